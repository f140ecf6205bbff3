/* The body of a data record, from what waits in the outbox and what happened to the files.
 *
 * A record is small as a rule and holds everything itself. A large one (an import, the hours in which the
 * store was away) has its deltas in parts, which are uploaded here, before the record that names them. */
#ifndef SNAPSHOT_DATA_RECORD_H
#define SNAPSHOT_DATA_RECORD_H

#include "base/thread.h"
#include "snapshot/data_body.h"
#include "snapshot/outbox.h"
#include "snapshot/page_journal.h"

/* A database that was in the state, or was to come into it, and is no longer what it was: what waits of it
 * goes into the record all the same, and then it is gone. */
struct departed {
    char *path;
    uint64_t incarnation;
};

bool departed_has(const struct departed *list, size_t count, const char *path, uint64_t incarnation);

struct data_record_request {
    struct store *store;        /* with retry */
    struct pool *sender;        /* uploads; NULL: the caller's thread does */
    struct meanwhile meanwhile; /* while it is waited for; touches nothing of this request */
    const struct id *owner;
    uint64_t position; /* the record's */
    _Atomic uint64_t *next_n;
    struct outbox *outbox;
    uint64_t until;               /* takes what waits below this offset */
    const struct manifest *state; /* as it stands before the record, without pages for what begins with it */
    const struct departed *departed; /* in the order in which they went */
    size_t departed_count;
    const struct data_attributes *attributes; /* of databases of `state`, ascending by path */
    size_t attributes_count;
    const struct buf *files;      /* their sections, in the order of the format */
    struct page_journal *journal; /* is told what becomes of which page; NULL: nobody wants to know */
};

/* Where a database stands after the record. */
struct data_update {
    size_t database; /* in the manifest */
    uint32_t page_size;
    uint64_t pages;
    uint64_t rolling_hash;
};

struct data_updates {
    struct data_update list[DATABASE_FREEZE_MAX];
    size_t count;
    uint64_t commits; /* in the record */
    uint64_t bytes;   /* of their runs */
};

/* Appends the sections to *body. ERR_CONFLICT: what waits does not follow from `state`, or is too much for a
 * record however it is cut; a new base holds it. ERR_TRANSIENT and so on: the store's. */
bool data_record_build(const struct data_record_request *request, struct buf *body,
                       struct data_updates *ret_updates, struct err *err) CHECKED;

#endif
