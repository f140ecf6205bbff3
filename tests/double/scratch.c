#include "tests/double/scratch.h"

#include "base/buf.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

static void must(bool done, const char *what)
{
    if (done)
        return;
    perror(what);
    abort();
}

void scratch_open(struct scratch *scratch)
{
    const char *parent = getenv("TMPDIR");

    (void)snprintf(scratch->path, sizeof(scratch->path), "%s/holdfast-XXXXXX", parent ? parent : "/tmp");
    must(mkdtemp(scratch->path) != NULL, scratch->path);
    scratch->fd = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(scratch->fd >= 0, scratch->path);
}

void scratch_close(struct scratch *scratch)
{
    struct err err;

    must(fs_remove_tree(AT_FDCWD, scratch->path, &err), scratch->path);
    (void)close(scratch->fd);
}

static void make_parents(int directory_fd, const char *path)
{
    CLEANUP(freep) char *parent = xstrdup(path);
    char *slash = strrchr(parent, '/');

    if (!slash)
        return;
    *slash = '\0';
    scratch_mkdir(directory_fd, parent);
}

void scratch_write_bytes(int directory_fd, const char *path, const void *bytes, size_t size)
{
    CLEANUP(close_fdp) int fd = -1;
    struct err err;

    make_parents(directory_fd, path);
    fd = openat(directory_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    must(fd >= 0 && fs_write_all(fd, bytes, size, &err), path);
}

void scratch_write(int directory_fd, const char *path, const char *text)
{
    scratch_write_bytes(directory_fd, path, text, strlen(text));
}

void scratch_mkdir(int directory_fd, const char *path)
{
    struct err err;

    must(fs_make_directories(directory_fd, path, 0755, &err), path);
}

void scratch_symlink(int directory_fd, const char *target, const char *path)
{
    make_parents(directory_fd, path);
    must(symlinkat(target, directory_fd, path) == 0, path);
}

bool scratch_exists(int directory_fd, const char *path)
{
    struct stat status;

    return fstatat(directory_fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

struct stat scratch_stat(int directory_fd, const char *path)
{
    struct stat status;

    must(fstatat(directory_fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0, path);
    return status;
}

char *scratch_read(int directory_fd, const char *path)
{
    struct buf contents = BUF_INIT(64 << 20);
    struct err err;

    if (!fs_read_file(directory_fd, path, &contents, &err))
        return NULL;
    (void)buf_text(&contents);
    return (char *)contents.bytes; /* the caller's from here on */
}

bool scratch_mount(const char *path, const char *options)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", path, "tmpfs", 0, options) == 0;
}
