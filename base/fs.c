#include "base/fs.h"

#include "base/cleanup.h"
#include "base/walk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

bool fs_write_at(int fd, const void *bytes, size_t size, uint64_t offset, struct err *err)
{
    const uint8_t *at = bytes;

    while (size > 0) {
        ssize_t written = pwrite(fd, at, size, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return err_errno(err, "write %zu bytes", size);
        at += written;
        size -= (size_t)written;
        offset += (uint64_t)written;
    }
    return true;
}

bool fs_write_all(int fd, const void *bytes, size_t size, struct err *err)
{
    const uint8_t *at = bytes;

    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return err_errno(err, "write %zu bytes", size);
        at += written;
        size -= (size_t)written;
    }
    return true;
}

bool fs_read_at(int fd, void *bytes, size_t size, uint64_t offset, struct err *err)
{
    uint8_t *at = bytes;

    while (size > 0) {
        ssize_t got = pread(fd, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "read %zu bytes", size);
        if (got == 0)
            return err_set(err, ERR_CORRUPT, "the file ends %zu bytes too early", size);
        at += got;
        size -= (size_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

bool fs_read_file(int directory_fd, const char *path, struct buf *contents, struct err *err)
{
    CLEANUP(close_fdp) int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    uint8_t piece[16384];

    if (fd < 0)
        return err_errno(err, "open %s", path);
    for (;;) {
        ssize_t got = read(fd, piece, sizeof(piece));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "read %s", path);
        if (got == 0)
            return buf_check(contents, path, err);
        buf_add(contents, piece, (size_t)got);
        if (contents->overflowed)
            return buf_check(contents, path, err);
    }
}

static bool write_new_file(int directory_fd, const char *path, const void *bytes, size_t size, mode_t mode,
                           struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;

    /* One that a crash left behind may have another mode or be a link to somewhere. */
    (void)unlinkat(directory_fd, path, 0);
    fd = openat(directory_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return err_errno(err, "create %s", path);
    if (!fs_write_all(fd, bytes, size, err))
        return err_wrap(err, "%s", path);
    if (fsync(fd) != 0)
        return err_errno(err, "fsync %s", path);
    return true;
}

static bool write_and_rename(int directory_fd, const char *temporary, const char *path, const void *bytes,
                             size_t size, mode_t mode, struct err *err)
{
    if (!write_new_file(directory_fd, temporary, bytes, size, mode, err))
        return false;
    if (renameat(directory_fd, temporary, directory_fd, path) != 0)
        return err_errno(err, "rename %s", temporary);
    return true;
}

bool fs_replace_file(int directory_fd, const char *path, const void *bytes, size_t size, mode_t mode,
                     struct err *err)
{
    CLEANUP(freep) char *temporary = xasprintf("%s.new", path);
    CLEANUP(freep) char *parent = xstrdup(path);
    char *slash = strrchr(parent, '/');

    if (!write_and_rename(directory_fd, temporary, path, bytes, size, mode, err)) {
        (void)unlinkat(directory_fd, temporary, 0); /* a full disk needs the room */
        return false;
    }
    if (slash)
        *slash = '\0';
    return fs_sync_directory(directory_fd, slash ? (slash == parent ? "/" : parent) : ".", err);
}

bool fs_open_directory(int directory_fd, const char *path, int *ret_fd, struct err *err)
{
    int fd = openat(directory_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, "open the directory %s", path);
    *ret_fd = fd;
    return true;
}

/* A descriptor, or -1 with errno. */
static int open_beneath(int directory_fd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = (flags & O_CREAT) ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;

    do
        fd = syscall(SYS_openat2, directory_fd, path, &how, sizeof(how));
    while (fd < 0 && (errno == EINTR || errno == EAGAIN)); /* EAGAIN: a rename raced with the resolution */
    return (int)fd;
}

bool fs_open_beneath(int directory_fd, const char *path, int flags, mode_t mode, int *ret_fd, struct err *err)
{
    int fd = open_beneath(directory_fd, path, flags, mode);

    if (fd < 0 && (errno == EXDEV || errno == ELOOP))
        return err_set(err, ERR_CORRUPT, "the name %s leads out of the directory", path);
    if (fd < 0)
        return err_errno(err, "open %s", path);
    *ret_fd = fd;
    return true;
}

bool fs_open_directory_beneath(int directory_fd, const char *path, int *ret_fd, struct err *err)
{
    int fd = open_beneath(directory_fd, path, O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0 && (errno == EXDEV || errno == ELOOP || errno == ENOTDIR))
        return err_set(err, ERR_NOT_FOUND, "there is no directory %s", path);
    if (fd < 0)
        return err_errno(err, "open the directory %s", path);
    *ret_fd = fd;
    return true;
}

static bool make_one_directory(int directory_fd, const char *path, mode_t mode, int *ret_fd, struct err *err)
{
    if (mkdirat(directory_fd, path, mode) != 0 && errno != EEXIST)
        return err_errno(err, "create the directory %s", path);
    return fs_open_beneath(directory_fd, path, O_RDONLY | O_DIRECTORY, 0, ret_fd, err);
}

bool fs_make_directories(int directory_fd, const char *path, mode_t mode, struct err *err)
{
    CLEANUP(freep) char *copy = xstrdup(path);
    CLEANUP(close_fdp) int current = dup(directory_fd);
    char *rest = copy;
    char *name;

    if (current < 0)
        return err_errno(err, "dup");
    while ((name = strsep(&rest, "/"))) {
        int next = -1;
        if (!*name)
            continue;
        if (!make_one_directory(current, name, mode, &next, err))
            return err_wrap(err, "%s", path);
        (void)close(current);
        current = next;
    }
    return true;
}

bool fs_open_parent(int directory_fd, const char *path, int *ret_fd, const char **ret_name, struct err *err)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(freep) char *parent = slash ? xasprintf("%.*s", (int)(slash - path), path) : xstrdup(".");

    if (!fs_open_beneath(directory_fd, parent, O_RDONLY | O_DIRECTORY, 0, ret_fd, err))
        return false;
    *ret_name = slash ? slash + 1 : path;
    return true;
}

bool fs_remove_tree(int directory_fd, const char *path, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;

    if (unlinkat(directory_fd, path, 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM)
        return err_errno(err, "remove %s", path);
    fd = openat(directory_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "remove %s", path);
    if (!walk_remove(fd, NULL, NULL, err))
        return err_wrap(err, "%s", path);
    if (unlinkat(directory_fd, path, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return err_errno(err, "remove the directory %s", path);
    return true;
}

bool fs_sync_directory(int directory_fd, const char *path, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;

    if (!fs_open_directory(directory_fd, path, &fd, err))
        return false;
    if (fsync(fd) != 0)
        return err_errno(err, "fsync the directory %s", path);
    return true;
}

bool fs_free_bytes(int directory_fd, uint64_t *ret_bytes, struct err *err)
{
    struct statvfs usage;

    if (fstatvfs(directory_fd, &usage) != 0)
        return err_errno(err, "ask for the free disk space");
    assert(usage.f_frsize > 0);
    *ret_bytes = (uint64_t)usage.f_bavail * usage.f_frsize;
    return true;
}
