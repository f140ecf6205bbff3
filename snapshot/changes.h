/* The files of a data record: what changed in the tree since the newest record, as sections
 * (docs/FORMAT.md, Data record), and the tree as it stands after them.
 *
 * The caller takes the databases' positions first and scans after that: a file is complete before the commit
 * that names it, so every file that those positions name is in the scan. Large contents are in the store when
 * changes_collect() returns; the sections name them. The engine's thread. */
#ifndef SNAPSHOT_CHANGES_H
#define SNAPSHOT_CHANGES_H

#include "base/buf.h"
#include "base/thread.h"
#include "snapshot/blob_names.h"
#include "snapshot/deletions.h"
#include "snapshot/pending.h"
#include "snapshot/touched.h"

enum {
    CHANGES_BODY_MAX = 6 << 20,    /* a good share of a record */
    CHANGES_DROPPED_MAX = 1 << 20, /* and so much for blobs that it drops */
};

/* All borrowed. */
struct changes_request {
    struct store *store;        /* with retry */
    struct pool *pool;          /* its workers read, compress and upload */
    struct meanwhile meanwhile; /* while they are waited for */
    const atomic_bool *canceled;
    uint64_t tag; /* of new blobs, and the position of the record to come: the newest confirmed one + 1 */
    /* The tree that the newest record stands at, with contents and with identities where they are known. An
     * inline file's may lie in a record. */
    struct tree *previous;
    struct tree *now; /* as just scanned, sorted; what has to stay is added to it */
    struct pending *pending;
    /* Which deletions wait. moment NULL: the application has ended, none does. */
    struct deletions *deletions;
    const struct deletion_moment *moment;
    /* What is a database in the state of the record: no file has its name or that of a side file, and the
     * directories above it stay. NULL: those of the moment. */
    const struct base_database *databases;
    size_t databases_count;
    int directory_fd;                   /* of the data directory */
    const struct globs *database_names; /* which files are databases if they look like one; NULL: none */
    size_t body_max;                    /* of the sections: CHANGES_BODY_MAX, but for tests */
};

struct changes {
    struct buf sections; /* first what is gone, then what is put, then the dropped blobs; empty: nothing */
    /* What a restore of this record gives, with the identities (inode, ctime) as read. It may differ from
     * `previous` in identities alone. */
    struct tree *after;
    /* Paths at which `after` isn't what was scanned, deletions that wait apart: the next scan has to look at
     * them whether or not something happens. */
    struct touched again;
    struct blob_names dropped; /* as in the sections */
    size_t puts;
    size_t gones;
    uint64_t blobs_uploaded;
    /* Files that could not be read whole, since they were being written or had just gone: they stay as they
     * were in `previous`, so this record is older than the scan. Another look will find them. */
    size_t left;
    /* Files that may not be read or whose disk fails: they stay as they were too. One by name; "": none. */
    char failed[256];
    struct err failed_why;
};

/* Blocks until every blob that the sections name is stored. The caller makes `after` its tree when the record
 * is confirmed, and calls pending_settle() with it.
 *
 * ERR_TRANSIENT, ERR_CANCELED, …: of the store; call again with a new scan. ERR_CONFLICT: more changed than a
 * record can name at once, and half of it would be inconsistent: only a base can hold it. */
bool changes_collect(const struct changes_request *request, struct changes *ret_changes,
                     struct err *err) CHECKED;
void changes_clear(struct changes *changes); /* zeroed memory is fine */

static inline void changes_clearp(struct changes *changes)
{
    changes_clear(changes);
}

#endif
