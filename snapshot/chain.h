/* The records of the log, one after the other, as a restore needs them: those above `after` up to and
 * including `through`.
 *
 *     struct chain_listing   what was listed: objects that hold records, in any order
 *     chain_plan()           which of them to fetch so that every position is there once
 *     chain_open()           starts to fetch them, in parallel and within a budget of memory
 *     chain_next()           hands out one record after the other, proved
 *
 * An object holds one record (log/) or a run of consecutive ones (pack/); only chain.c knows which, and how a
 * record is found in it. Packs win: a run reaches farther than what stands at one position. One thread owns a
 * chain; what it fetches with is its own. */
#ifndef SNAPSHOT_CHAIN_H
#define SNAPSHOT_CHAIN_H

#include "snapshot/record.h"
#include "snapshot/store/store.h"

/* Records first to last in one object of so many bytes. */
struct chain_source {
    uint64_t first;
    uint64_t last;
    uint64_t bytes;
};

/* A pack, which has at least two records; or one record in log/. */
bool chain_source_is_pack(const struct chain_source *source);
struct key chain_source_key(const struct chain_source *source);

struct chain_listing {
    struct chain_source *sources;
    size_t count;
};

void chain_listing_clear(struct chain_listing *listing);
/* Adds what a LIST of log/ or of pack/ has shown; false if the key is neither's. */
bool chain_listing_add(struct chain_listing *listing, const struct store_entry *entry) CHECKED;
void chain_listing_add_source(struct chain_listing *listing, const struct chain_source *source);
/* Whether a sorted listing has these records in one object. */
bool chain_listing_has(const struct chain_listing *listing, const struct chain_source *source);
/* Bytes of the objects from `first` up to but not including `end`. */
uint64_t chain_listing_bytes(const struct chain_listing *listing, size_t first, size_t end);
/* Newest first: by the last record, and a pack before what it holds. */
void chain_listing_sort(struct chain_listing *listing);
/* Moves what `from` has to `listing`. */
void chain_listing_take(struct chain_listing *listing, struct chain_listing *from);
/* Lists what holds the records above `after` up to and including `through`; nothing if there are none
 * between. log/ first, then pack/: whatever was packed and deleted before the one was listed is in the other,
 * and packs win. */
bool chain_list(struct store *store, uint64_t after, uint64_t through, struct chain_listing *listing,
                struct err *err) CHECKED;
/* The lowest position from which on all that is listed up to `through` takes at most bytes_max to fetch;
 * through + 1: not even that one fits. Of a sorted listing. */
uint64_t chain_listing_reach(const struct chain_listing *listing, uint64_t through, uint64_t bytes_max);
/* The last position up to which every record from `first` on is listed; first - 1: not even that one. Of a
 * sorted listing. */
uint64_t chain_listing_end(const struct chain_listing *listing, uint64_t first);

/* A record whose hash is known from elsewhere: a manifest names the record that it stands at, a header the
 * one before it. Position 0: none. */
struct chain_anchor {
    uint64_t position;
    struct digest hash;
};

enum { CHAIN_ANCHORS = 2 };

struct chain_range {
    uint64_t after;   /* the first record handed out is after + 1 */
    uint64_t through; /* the last one; `after`: none at all */
    struct id lineage;
    /* From `after` to `through`. With one of them anywhere every record below it is proved, and what comes
     * above it follows from it. */
    struct chain_anchor anchors[CHAIN_ANCHORS];
};

struct chain;

/* Starts to fetch what covers the range. ERR_NOT_FOUND names the first record that the listing doesn't have:
 * the log was pruned or packed since, or a record is missing; list again. listing isn't used afterwards. */
bool chain_open(struct store *store, const struct chain_range *range, const struct chain_listing *listing,
                struct chain **ret_chain, struct err *err) CHECKED;

/* What it was opened for. */
const struct chain_range *chain_range(const struct chain *chain);

/* Adds the objects that it fetches. */
void chain_add_sources(const struct chain *chain, struct chain_listing *listing);

/* Adds an anchor that has become known, before the first record is taken: in place of one without position.
 */
void chain_expect(struct chain *chain, const struct chain_anchor *anchor);

/* The header of a record of the range that has not been handed out yet, waiting for it. Nothing says yet that
 * it belongs there: that comes when it is handed out. ERR_NOT_FOUND, ERR_CORRUPT. */
bool chain_peek(struct chain *chain, uint64_t position, struct record_header *ret_header,
                struct err *err) CHECKED;

/* The next record, checked: lineage, position, its own hash, the hash of the one before it, and the anchors.
 * It lives until the next call. *ret_end: there is none left. ERR_NOT_FOUND, ERR_CORRUPT begin with the key
 * of the object at fault. */
bool chain_next(struct chain *chain, struct record *ret_record, bool *ret_end, struct err *err) CHECKED;

/* The record behind the one that was handed out last, if it is here already; else NULL. It lives as long as
 * that one. Nothing says yet that it belongs there: it is good for reading ahead, and for nothing else. */
const struct record *chain_ahead(struct chain *chain);

/* Bytes of all objects that are fetched, and of those that have been handed out so far. Any thread. */
void chain_progress(const struct chain *chain, uint64_t *ret_done, uint64_t *ret_total);

/* Waits for requests under way. NULL is fine. */
void chain_free(struct chain *chain);
DEFINE_CLEANUP(struct chain *, chain_free, chain_freep)

#endif
