/* Cutting a base: the frozen databases and the tree of files become parts, blobs and a manifest in the store.
 *
 * A base that restarts the state takes its files from the disk, as a scan has just met them. One that repeats
 * the state (`repeats`) holds what the log says already: a tree with contents, each of which is in the store,
 * whatever has become of the file since.
 *
 * Nothing of it exists for anybody until the caller has appended a base record that names the manifest's key
 * and hash. A cut that fails or is cut off leaves objects that nobody names; their keys are never used again.
 */
#ifndef SNAPSHOT_BASE_H
#define SNAPSHOT_BASE_H

#include "base/thread.h"
#include "snapshot/database.h"
#include "snapshot/globs.h"
#include "snapshot/log.h"
#include "snapshot/manifest.h"

/* One of the databases that go in, frozen by the caller. */
struct base_database {
    const char *path; /* relative to the data directory */
    struct database *database;
    uint64_t incarnation;
};

struct base_request {
    struct store *store; /* with retry */
    struct pool *pool;   /* its workers compress and upload */
    const atomic_bool *canceled;
    int directory_fd;
    const struct globs *database_names; /* which files are databases if they look like one; NULL: none */
    const struct log *log;              /* the base stands at its newest record */
    const struct id *owner;
    _Atomic uint64_t *next_n; /* counted over the life of the process; never used twice */
    const struct base_database *databases;
    size_t databases_count;
    /* Reads pages of databases[database], from any of the workers; NULL: they stay frozen until the base is
     * cut, and are simply read. */
    bool (*read_pages)(const struct base_request *request, size_t database, uint64_t offset, void *bytes,
                       size_t size, struct err *err);
    void *read_context;
    struct tree *tree; /* as scanned after the freeze, without contents; given to the manifest (taken) */
    /* The newest announced base, from which unchanged pieces are named again and vanished small files are
     * read; NULL: none. */
    const struct manifest *previous;
    /* The tree has contents, as the newest record's state has them and in terms of `previous`, whose tree it
     * is too. */
    bool repeats;
    /* base_cut()'s own. */
    const struct base_held *held;
    const struct file_reading *reading;
};

struct base_result {
    struct manifest manifest; /* the caller clears it. With the hashes of all pages, unless the base repeats
                                 the state */
    struct base_reference reference;
    uint64_t manifest_bytes;
    uint64_t blobs_uploaded;
    /* A file that could only come from `previous` and is damaged or missing there: left out, since a snapshot
     * without it is better than none. Empty: none. */
    char lost[256];
    struct err lost_why;
    /* A file that is there was changing while it was read, so what went in is older than the freeze. */
    bool moved;
};

/* The first half, which costs nothing: how the frozen databases are, and the tree (taken, whatever comes of
 * it). By the thread that owns the databases. The caller clears the manifest, also after a failure. */
bool base_begin(struct base_request *request, struct base_result *ret_result, struct err *err) CHECKED;
/* The second half: blocks until everything is stored. By any thread. ERR_CORRUPT where the base repeats the
 * state: what the log says can't be read back. */
bool base_fill(struct base_request *request, struct base_result *result, struct err *err) CHECKED;
/* Both. ERR_TRANSIENT: try again later, with a new scan. */
bool base_cut(struct base_request *request, struct base_result *ret_result, struct err *err) CHECKED;

#endif
