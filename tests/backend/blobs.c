#include "tests/backend/blobs.h"

#include "base/fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { NAME_SIZE = UUID_TEXT_SIZE + 5 };

bool blobs_open(const char *data, int *ret_fd, struct err *err)
{
    static const char *const folders[] = {"exports", "snapshot_imports", "modules", "search", "files"};
    CLEANUP(close_fdp) int data_fd = -1;
    char path[64];

    if (!fs_open_directory(AT_FDCWD, data, &data_fd, err))
        return false;
    for (size_t at = 0; at < sizeof(folders) / sizeof(folders[0]); at++) {
        (void)snprintf(path, sizeof(path), "storage/%s", folders[at]);
        if (!fs_make_directories(data_fd, path, 0755, err))
            return false;
    }
    return fs_open_directory(data_fd, "storage/files", ret_fd, err);
}

/* A UUID and nothing else: names come from clients. */
static bool file_name(const char *name, char path[NAME_SIZE], struct err *err)
{
    size_t size = strspn(name, "0123456789abcdef-");

    if (size != UUID_TEXT_SIZE - 1 || name[size])
        return err_set(err, ERR_NOT_FOUND, "no such file");
    (void)snprintf(path, NAME_SIZE, "%s.blob", name);
    return true;
}

bool blob_create(int directory_fd, struct random *random, struct blob *blob, struct err *err)
{
    char path[NAME_SIZE];

    random_uuid(random, blob->name);
    (void)snprintf(path, sizeof(path), "%s.blob", blob->name);
    blob->fd = openat(directory_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (blob->fd < 0)
        return err_errno(err, "create %s", path);
    blob->size = 0;
    digest_init(&blob->digest);
    return true;
}

bool blob_append(struct blob *blob, const void *bytes, size_t size, struct err *err)
{
    digest_update(&blob->digest, bytes, size);
    blob->size += size;
    return fs_write_all(blob->fd, bytes, size, err);
}

bool blob_complete(struct blob *blob, struct err *err)
{
    struct digest digest = digest_final(&blob->digest);

    digest_hex(&digest, blob->sha256);
    return fsync(blob->fd) == 0 || err_errno(err, "sync %s", blob->name);
}

void blob_close(struct blob *blob)
{
    if (blob->digest.state)
        (void)close(blob->fd);
    digest_clear(&blob->digest);
}

bool blob_open(int directory_fd, const char *name, int *ret_fd, uint64_t *ret_size, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;
    char path[NAME_SIZE];
    struct stat status;

    if (!file_name(name, path, err))
        return false;
    fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return err_errno(err, "open %s", path);
    *ret_fd = MOVE_FD(fd);
    *ret_size = (uint64_t)status.st_size;
    return true;
}

bool blob_digest(int directory_fd, const char *name, char sha256[DIGEST_TEXT_SIZE], uint64_t *ret_size,
                 struct err *err)
{
    CLEANUP(digest_clearp) struct digest_context context = {0};
    CLEANUP(close_fdp) int fd = -1;
    uint8_t piece[32 * 1024];
    struct digest digest;
    uint64_t size;

    if (!blob_open(directory_fd, name, &fd, &size, err))
        return false;
    digest_init(&context);
    for (uint64_t at = 0; at < size;) {
        size_t wanted = size - at < sizeof(piece) ? (size_t)(size - at) : sizeof(piece);
        if (!fs_read_at(fd, piece, wanted, at, err))
            return err_wrap(err, "read %s", name);
        digest_update(&context, piece, wanted);
        at += wanted;
    }
    digest = digest_final(&context);
    digest_hex(&digest, sha256);
    *ret_size = size;
    return true;
}

bool blob_unlink(int directory_fd, const char *name, struct err *err)
{
    char path[NAME_SIZE];

    if (!file_name(name, path, err))
        return false;
    return unlinkat(directory_fd, path, 0) == 0 || err_errno(err, "unlink %s", path);
}
