#include "tests/backend/blobs.h"

#include "base/fs.h"

#include <assert.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { NAME_SIZE = UUID_TEXT_SIZE + 5 };

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free, hash_freep)

static EVP_MD_CTX *hash_begin(void)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    int begun = EVP_DigestInit_ex(hash, EVP_sha256(), NULL);

    assert(hash && begun == 1);
    return hash;
}

static void hash_add(EVP_MD_CTX *hash, const void *bytes, size_t size)
{
    int added = EVP_DigestUpdate(hash, bytes, size);

    assert(added == 1);
}

static void hash_end(EVP_MD_CTX *hash, char sha256[DIGEST_TEXT_SIZE])
{
    struct digest digest;
    int ended = EVP_DigestFinal_ex(hash, digest.bytes, NULL);

    assert(ended == 1);
    digest_hex(&digest, sha256);
}

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
    blob->hash = hash_begin();
    return true;
}

bool blob_append(struct blob *blob, const void *bytes, size_t size, struct err *err)
{
    hash_add(blob->hash, bytes, size);
    blob->size += size;
    return fs_write_all(blob->fd, bytes, size, err);
}

bool blob_complete(struct blob *blob, struct err *err)
{
    hash_end(blob->hash, blob->sha256);
    return fsync(blob->fd) == 0 || err_errno(err, "sync %s", blob->name);
}

void blob_close(struct blob *blob)
{
    if (blob->hash)
        (void)close(blob->fd);
    EVP_MD_CTX_free(MOVE(blob->hash));
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
    CLEANUP(hash_freep) EVP_MD_CTX *hash = hash_begin();
    CLEANUP(close_fdp) int fd = -1;
    uint8_t piece[32 * 1024];
    uint64_t size;

    if (!blob_open(directory_fd, name, &fd, &size, err))
        return false;
    for (uint64_t at = 0; at < size;) {
        size_t wanted = size - at < sizeof(piece) ? (size_t)(size - at) : sizeof(piece);
        if (!fs_read_at(fd, piece, wanted, at, err))
            return err_wrap(err, "read %s", name);
        hash_add(hash, piece, wanted);
        at += wanted;
    }
    hash_end(hash, sha256);
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
