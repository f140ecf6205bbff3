/* A directory for one test, and short ways to fill it and look into it. What goes wrong here is the machine's
 * fault and ends the test. */
#ifndef TESTS_DOUBLE_SCRATCH_H
#define TESTS_DOUBLE_SCRATCH_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct scratch {
    int fd;
    char path[64];
};

/* A new directory under $TMPDIR or /tmp; scratch_close() removes it with all that is in it. */
void scratch_open(struct scratch *scratch);
void scratch_close(struct scratch *scratch);

/* Parents are made as needed. An existing file is rewritten in place. */
void scratch_write_bytes(int directory_fd, const char *path, const void *bytes, size_t size);
void scratch_write(int directory_fd, const char *path, const char *text);
void scratch_mkdir(int directory_fd, const char *path);
void scratch_symlink(int directory_fd, const char *target, const char *path);

bool scratch_exists(int directory_fd, const char *path);
/* Without following a symlink. */
struct stat scratch_stat(int directory_fd, const char *path);
/* The content as a text that the caller frees; NULL if the file isn't there. */
char *scratch_read(int directory_fd, const char *path);

/* A tmpfs on the directory, in a mount namespace of this test's own, with options like "size=2m"; false if
 * that isn't allowed here. */
bool scratch_mount(const char *path, const char *options);

static inline void scratch_closep(struct scratch *scratch)
{
    scratch_close(scratch);
}

#endif
