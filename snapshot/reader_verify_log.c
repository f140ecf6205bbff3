/* The records, proved from the head backwards: what stands behind a record is what it names.
 *
 * They are read many at a time and judged one after the other, newest first, so that a stranger among them is
 * named and not the record that follows it. Those behind the newest base are usually proved by the time that
 * this begins (reader_verify.c: measure()); then it begins below them. A data record is whole when its
 * sections are, and when the parts and blobs that it speaks of are there and are what it says
 * (reader_verify_claims.c). */
#include "snapshot/reader_verify.h"

#include "base/thread.h"
#include "snapshot/archive.h"
#include "snapshot/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { READERS = 8, WINDOW_OBJECTS = 64, WINDOW_BYTES = 16 << 20, GAP_TOLD_MAX = 8 };

/* One object of a window. */
struct reading {
    struct verification *verification;
    struct chain_source source;
    struct buf bytes;
    struct record record; /* if it is one */
    struct pack pack;     /* if it is one */
    bool read;
    struct err why;
};

/* The records, newest first. */
struct log_walk {
    struct verification *verification;
    struct pool *pool;
    struct chain_listing listing; /* newest first; a pack before what it holds */
    uint64_t next;                /* the position that was visited before; 0: none */
    bool has_previous;
    struct digest previous; /* what that one says of the record before it */
};

/* --- one record -------------------------------------------------------------------------------------- */

/* Tells the records between `position` and the one visited before that are needed and not there. */
static void note_gap(struct log_walk *walk, uint64_t position)
{
    struct verification *verification = walk->verification;
    uint64_t limit = verification->lowest;
    int told = 0;

    if (walk->next == 0 || position > limit)
        limit = position;
    for (uint64_t missing = walk->next; missing > limit + 1 && told < GAP_TOLD_MAX; told++) {
        struct key key = key_log(--missing);
        verification_note(verification, key.text, "it is missing");
    }
}

/* The record follows from what was visited before; what it speaks of is looked at later. */
static void judge_record(struct log_walk *walk, const struct record *record, const char *key)
{
    struct verification *verification = walk->verification;
    uint64_t position = record->header.position;
    bool follows = walk->has_previous && walk->next == position + 1;
    struct err why = {0};

    walk->next = position;
    if (follows && !digest_equal(&walk->previous, &record->hash))
        verification_note(
            verification, key,
            "the record after it names another hash: two histories are mixed in HOLDFAST_STORE");
    walk->has_previous = true;
    walk->previous = record->header.previous;
    if (!verification_claim(verification, record, &why))
        verification_note(verification, key_log(position).text, why.text);
}

/* From its last record down, but for those that a newer pack holds as well. */
static void judge_pack(struct log_walk *walk, const struct reading *reading, uint64_t last, const char *key)
{
    for (uint64_t position = last; position >= reading->pack.first; position--) {
        struct record record;
        struct err why = {0};
        size_t size = 0;
        const uint8_t *bytes = pack_find(&reading->pack, position, &size);
        if (!log_parse(&walk->verification->lineage, position, bytes, size, &record, &why)) {
            verification_note(walk->verification, key, why.text);
            walk->next = position;
            walk->has_previous = false;
        } else {
            judge_record(walk, &record, key);
        }
    }
}

/* What nothing needs may never go: pruning leaves what can't be read, since it may be an open. */
static bool note_unread(struct log_walk *walk, const struct reading *reading, const char *key,
                        struct err *err)
{
    struct err why = reading->why;

    if (reading->source.last <= walk->verification->lowest)
        err_record(&why, why.code, "%.900s; no point that can be restored needs it", why.text);
    if (verification_finds(walk->verification, key, &why))
        return true;
    *err = reading->why;
    return false;
}

/* A loose record that a pack holds too is read and means nothing more: an open that stays for ever, what its
 * owner had no time to delete, or an open that came too late. */
static bool judge(struct log_walk *walk, const struct reading *reading, struct err *err)
{
    struct verification *verification = walk->verification;
    const struct chain_source *source = &reading->source;
    struct key key = chain_source_key(source);
    bool is_known = walk->next != 0 && source->first >= walk->next;
    uint64_t last = walk->next != 0 && source->last >= walk->next ? walk->next - 1 : source->last;

    if (!is_known)
        note_gap(walk, last);
    if (!reading->read) {
        if (!is_known) {
            walk->next = source->first;
            walk->has_previous = false;
        }
        return note_unread(walk, reading, key.text, err);
    }
    verification->result.objects++;
    if (is_known)
        return true;
    if (chain_source_is_pack(source))
        judge_pack(walk, reading, last, key.text);
    else
        judge_record(walk, &reading->record, key.text);
    return true;
}

/* --- all of them ------------------------------------------------------------------------------------- */

static bool read_one(void *context, struct err *err)
{
    struct reading *reading = context;
    struct verification *verification = reading->verification;
    const struct chain_source *source = &reading->source;

    (void)err;
    if (!chain_source_is_pack(source)) {
        reading->bytes = (struct buf)BUF_INIT(RECORD_SIZE_MAX);
        reading->read = log_read(verification->store, &verification->lineage, source->first, &reading->bytes,
                                 &reading->record, &reading->why);
        return true;
    }
    reading->bytes = (struct buf)BUF_INIT(PACK_SIZE_MAX);
    reading->read = pack_fetch(verification->store, source->first, source->last, &reading->bytes,
                               &reading->pack, &reading->why);
    return true;
}

/* From the source `first` on, as many as are read at once. */
static size_t window_of(const struct chain_listing *listing, size_t first)
{
    uint64_t bytes = listing->sources[first].bytes;
    size_t end = first + 1;

    while (end < listing->count && end - first < WINDOW_OBJECTS &&
           bytes + listing->sources[end].bytes <= WINDOW_BYTES)
        bytes += listing->sources[end++].bytes;
    return end - first;
}

static bool read_window(struct log_walk *walk, size_t first, size_t count, struct err *err)
{
    CLEANUP(freep) struct reading *readings = xcalloc(count, sizeof(readings[0]));
    struct task_group group;
    bool judged;

    group_init(&group, walk->pool, READERS);
    for (size_t at = 0; at < count; at++) {
        readings[at].verification = walk->verification;
        readings[at].source = walk->listing.sources[first + at];
        group_submit(&group, read_one, &readings[at]);
    }
    judged = group_wait(&group, err);
    for (size_t at = 0; at < count; at++) {
        judged = judged && judge(walk, &readings[at], err);
        buf_clear(&readings[at].bytes);
    }
    return judged;
}

/* What was replayed is proved already. A pack that reaches further down is read for what is there. */
static void leave_out_replayed(struct log_walk *walk)
{
    struct verification *verification = walk->verification;
    const struct replayed *replayed = &verification->replayed;
    size_t kept = 0;

    if (replayed->first == 0)
        return;
    walk->next = replayed->first;
    walk->has_previous = true;
    walk->previous = replayed->previous;
    for (size_t at = 0; at < walk->listing.count; at++) {
        const struct chain_source *source = &walk->listing.sources[at];
        if (source->first < replayed->first || !chain_listing_has(&replayed->sources, source))
            walk->listing.sources[kept++] = *source;
        else
            verification->result.objects++;
    }
    walk->listing.count = kept;
}

static bool read_all(struct log_walk *walk, struct err *err)
{
    struct verification *verification = walk->verification;
    const atomic_bool *canceled = verification->canceled;
    struct chain_listing *listing = &walk->listing;
    uint64_t bytes;

    chain_listing_sort(listing);
    leave_out_replayed(walk);
    /* As they are stored: nobody knows how many they become. */
    verification->bytes_ahead = chain_listing_bytes(listing, 0, listing->count);
    for (size_t at = 0, count; at < listing->count; at += count) {
        count = window_of(listing, at);
        verification_report(verification, 0, 0);
        if (!read_window(walk, at, count, err) || !verification_settle(verification, walk->pool, err))
            return false;
        bytes = chain_listing_bytes(listing, at, at + count);
        verification->bytes_read += bytes;
        verification->bytes_ahead -= bytes;
        if (canceled && atomic_load(canceled))
            return err_set(err, ERR_CANCELED, "the verification was stopped");
    }
    note_gap(walk, 0);
    return true;
}

static bool visit(void *context, const struct store_entry *entry, struct err *err)
{
    struct log_walk *walk = context;

    (void)err;
    if (!chain_listing_add(&walk->listing, entry))
        verification_note(walk->verification, entry->key, "it is not a record of holdfast");
    return true;
}

bool verification_read_log(struct verification *verification, struct err *err)
{
    struct log_walk walk = {.verification = verification};
    bool done;

    if (!pool_open(READERS, "verify", &walk.pool, err))
        return false;
    /* What is packed and deleted after the one was listed is in the other. */
    done = store_list(verification->store, "log/", NULL, 0, visit, &walk, err) &&
           store_list(verification->store, "pack/", NULL, 0, visit, &walk, err) &&
           verification_settle(verification, walk.pool, err) && read_all(&walk, err);
    pool_free(walk.pool);
    chain_listing_clear(&walk.listing);
    return done;
}
