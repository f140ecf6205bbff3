/* A directory of a test's own, gone with everything in it at the end of the scope: `SCRATCH(scratch);`. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char path[64];
    int fd;
};

static inline struct scratch scratch_open(void)
{
    struct scratch scratch = {.path = "/tmp/holdfast-test-XXXXXX"};

    if (!mkdtemp(scratch.path))
        abort();
    scratch.fd = open(scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (scratch.fd < 0)
        abort();
    return scratch;
}

static inline void scratch_close(struct scratch *scratch)
{
    struct err err = {0};

    (void)close(scratch->fd);
    if (!fs_remove_tree(AT_FDCWD, scratch->path, &err))
        printf("# %s stays behind: %s\n", scratch->path, err.text);
}

#define SCRATCH(name) CLEANUP(scratch_close) struct scratch name = scratch_open()

/* Writes a file below the scratch directory, or ends the test: what is given can't be what is tested. */
static inline void scratch_write(const struct scratch *scratch, const char *name, const char *text)
{
    CLEANUP(close_fdp) int fd = openat(scratch->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t size = strlen(text);

    if (fd < 0 || write(fd, text, size) != (ssize_t)size)
        abort();
}

static inline bool scratch_has(const struct scratch *scratch, const char *name)
{
    struct stat info;

    return fstatat(scratch->fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whether the file holds exactly this text. */
static inline bool scratch_holds(const struct scratch *scratch, const char *name, const char *text)
{
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(1024 * 1024);
    struct err err = {0};

    if (!fs_read_file(scratch->fd, name, &contents, &err)) {
        printf("# %s\n", err.text);
        return false;
    }
    return strcmp(buf_text(&contents), text) == 0;
}

#endif
