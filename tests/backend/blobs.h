/* Files as Convex's local storage keeps them (facts/convex.md 1.2): `<uuid>.blob` in one flat directory,
 * created under the final name and appended to while data arrives, fsynced when complete; the directory is
 * not. What an aborted upload leaves behind stays. Any thread. */
#ifndef TESTS_BACKEND_BLOBS_H
#define TESTS_BACKEND_BLOBS_H

#include "tests/backend/random.h"

#include "base/err.h"
#include "snapshot/digest.h"

/* One upload; zeroed memory before blob_create(). */
struct blob {
    int fd;
    char name[UUID_TEXT_SIZE];
    struct evp_md_ctx_st *hash;    /* OpenSSL's */
    char sha256[DIGEST_TEXT_SIZE]; /* after blob_complete() */
    uint64_t size;
};

/* Makes the folders below `data`/storage; ret_fd is that of files/. */
bool blobs_open(const char *data, int *ret_fd, struct err *err) CHECKED;

bool blob_create(int directory_fd, struct random *random, struct blob *blob, struct err *err) CHECKED;
bool blob_append(struct blob *blob, const void *bytes, size_t size, struct err *err) CHECKED;
/* Syncs the file and tells size and digest. */
bool blob_complete(struct blob *blob, struct err *err) CHECKED;
/* Closes; an incomplete file stays as it is. */
void blob_close(struct blob *blob);

/* Opens a complete blob for reading; ERR_NOT_FOUND, also for a name that is none. */
bool blob_open(int directory_fd, const char *name, int *ret_fd, uint64_t *ret_size, struct err *err) CHECKED;
/* Reads it all. */
bool blob_digest(int directory_fd, const char *name, char sha256[DIGEST_TEXT_SIZE], uint64_t *ret_size,
                 struct err *err) CHECKED;
/* An absent file is an error, as in Convex. */
bool blob_unlink(int directory_fd, const char *name, struct err *err) CHECKED;

#endif
