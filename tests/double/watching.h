/* A small directory that is watched, and inotify's limits as a test wants them. Included by one file of a
 * program. */
#ifndef TESTS_DOUBLE_WATCHING_H
#define TESTS_DOUBLE_WATCHING_H

#include "snapshot/watch.h"
#include "tests/double/scratch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Stands before libc's: inotify's limits are the machine's, so a test makes its own. */
static int watches_left = -1;

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    if (watches_left == 0) {
        errno = ENOSPC;
        return -1;
    }
    watches_left -= watches_left > 0;
    return (int)syscall(SYS_inotify_add_watch, fd, path, mask);
}

struct fixture {
    struct scratch scratch;
    struct globs *exclude;
    struct watch *watch;
    uint64_t counter;
};

static inline void fixture_closep(struct fixture *fixture)
{
    watch_free(fixture->watch);
    globs_free(fixture->exclude);
    scratch_close(&fixture->scratch);
}

static inline void fixture_open(struct fixture *fixture)
{
    struct err err;

    *fixture = (struct fixture){0};
    scratch_open(&fixture->scratch);
    scratch_mkdir(fixture->scratch.fd, "a/b");
    scratch_mkdir(fixture->scratch.fd, "tmp/below");
    scratch_mkdir(fixture->scratch.fd, ".holdfast/pending");
    scratch_mkdir(fixture->scratch.fd, "lost+found");
    scratch_write(fixture->scratch.fd, "file", "old");
    scratch_write(fixture->scratch.fd, "a/b/file", "old");
    if (!globs_parse("tmp:*.bak", &fixture->exclude, &err) ||
        !watch_open(fixture->scratch.fd, fixture->exclude, &fixture->watch, &err))
        abort();
    fixture->counter = watch_drain(fixture->watch);
}

/* Has the counter moved since the last look? */
static inline bool moved(struct fixture *fixture)
{
    uint64_t before = fixture->counter;

    fixture->counter = watch_drain(fixture->watch);
    return fixture->counter > before;
}

#endif
