/* The log: numbered records, each the hash of the one before, each created once. Appending is both the commit
 * and the fence.
 *
 * Sending is split in two, since the bytes of a record are frozen once its first PUT is sent: log_freeze()
 * makes them, log_send() may be called again and again with the same bytes until the outcome is known.
 * Between the two nothing else can be appended. One thread. */
#ifndef SNAPSHOT_LOG_H
#define SNAPSHOT_LOG_H

#include "snapshot/record.h"
#include "snapshot/store/store.h"

struct log {
    struct store *once;  /* makes one attempt */
    struct store *store; /* the same store with retry */
    /* The header of the newest confirmed record of this chain: what the next one is derived from. At position
     * 0: no record yet. */
    struct record_header newest;
    struct digest newest_hash;
    /* The record that was frozen and isn't confirmed; empty: none. */
    struct buf flight;
    struct record_header flight_header;
    struct digest flight_hash;
    struct buf met; /* after ERR_CONFLICT: what stands at the position instead of ours, intact; empty: it is
                       absent */
};

/* What a new record changes; all else is carried on from the newest. */
struct log_change {
    enum record_kind kind;
    const void *body;
    size_t body_size;
    bool changes_data;
    const struct base_reference *base; /* RECORD_BASE: announced is filled in here */
    uint64_t horizon;                  /* RECORD_BASE */
    const struct point *roll_back;     /* RECORD_BASE: the one that it carries out; NULL: none */
    uint64_t draining_until_ns;        /* RECORD_DRAIN */
};

void log_init(struct log *log, struct store *once, struct store *store, const struct id *lineage);
void log_clear(struct log *log);

/* Makes `head` (the newest record, as read) what the next record follows. */
void log_follow(struct log *log, const struct record_header *head, const struct digest *hash);

/* Freezes the next record as written by `owner`; nothing may be in flight. An open's epoch is its own
 * position. */
void log_freeze(struct log *log, const struct id *owner, const struct log_change *change);

/* Sends what is frozen. true: confirmed, it is the newest now. ERR_FENCED: another's record stands at that
 * position. ERR_TRANSIENT, ERR_CANCELED, ERR_CORRUPT (what stands there can't be read): not known; call
 * again. ERR_CONFLICT instead of ERR_FENCED if what was frozen is an open: the claimant reads what is there
 * and tries behind it. */
bool log_send(struct log *log, struct err *err) CHECKED;

bool log_in_flight(const struct log *log);

/* Checks that these bytes are record `position` of this lineage. ERR_CORRUPT begins with its key. The body
 * points into them. */
bool log_parse(const struct id *lineage, uint64_t position, const void *bytes, size_t size,
               struct record *ret_record, struct err *err) CHECKED;

/* Reads and checks record `position`: right key, right lineage. ERR_NOT_FOUND, ERR_CORRUPT. The body points
 * into *bytes. */
bool log_read(struct store *store, const struct id *lineage, uint64_t position, struct buf *bytes,
              struct record *ret_record, struct err *err) CHECKED;

#endif
