/* The records, proved from the head backwards: what stands behind a record is what it names.
 *
 * They are read many at a time and judged one after the other, newest first, so that a stranger among them is
 * named and not the record that follows it. A data record is whole when its sections are, and when the parts
 * and blobs that it speaks of are there and are what it says. */
#include "snapshot/reader_verify.h"

#include "base/clock.h"
#include "base/thread.h"
#include "snapshot/archive.h"
#include "snapshot/blob.h"
#include "snapshot/chain.h"
#include "snapshot/data_body.h"
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
    struct codec *codec;
    struct chain_listing listing; /* newest first; a pack before what it holds */
    uint64_t reported_ms;         /* when progress was told last */
    uint64_t next;                /* the position that was visited before; 0: none */
    bool has_previous;
    struct digest previous; /* what that one says of the record before it */
};

/* --- what a data record speaks of -------------------------------------------------------------------- */

static bool is_needed(const struct log_walk *walk, uint64_t position)
{
    return position > walk->verification->lowest;
}

static bool check_bulk(struct log_walk *walk, const struct record *record, const struct data_bulk *bulk,
                       struct err *err)
{
    struct verification *verification = walk->verification;
    struct key key = key_part(record->header.position, &record->header.owner, bulk->n);
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(bulk->size);
    struct digest hash;
    struct err why = {0};

    if (!is_needed(walk, record->header.position))
        return true;
    if (!store_get(verification->store, key.text, &bytes, &why)) {
        if (verification_finds(verification, key.text, &why))
            return true;
        *err = why;
        return false;
    }
    verification->result.objects++;
    hash = digest_of(bytes.bytes, bytes.size);
    if (bytes.size != bulk->size || !digest_equal(&hash, &bulk->hash))
        verification_note(verification, key.text, "it is damaged: its hash is not the one in the record");
    return true;
}

static bool check_piece(struct log_walk *walk, const struct tree_piece *piece, struct err *err)
{
    struct verification *verification = walk->verification;
    struct blob_name name = {piece->tag, piece->content};
    struct blob_names proved = {0};
    struct key key = key_blob(piece->tag, &piece->content);
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX);
    CLEANUP(buf_clearp) struct buf raw = BUF_INIT(TREE_PIECE_SIZE);
    struct err why = {0};

    if (blob_names_has(&verification->proved, &name))
        return true;
    blob_names_add(&proved, &name);
    blob_names_merge(&verification->proved, &proved);
    if (store_get(verification->store, key.text, &object, &why) &&
        blob_decode(walk->codec, &object, &piece->content, piece->raw_bytes, &raw, &why)) {
        verification->result.objects++;
        return true;
    }
    if (verification_finds(verification, key.text, &why))
        return true;
    *err = why;
    return false;
}

/* A blob that is put at or below the horizon may have been dropped again there. */
static bool check_put(struct log_walk *walk, const struct record *record, const struct data_put *put,
                      struct err *err)
{
    const struct tree_piece *pieces;

    if (put->entry->content != CONTENT_PIECES || record->header.position <= walk->verification->horizon)
        return true;
    pieces = tree_pieces(put->tree, put->entry);
    for (uint32_t at = 0; at < put->entry->extra; at++)
        if (pieces[at].tag != 0 && !check_piece(walk, &pieces[at], err))
            return false;
    return true;
}

static void note_dropped(struct log_walk *walk, const struct record *record,
                         const struct data_dropped *dropped)
{
    struct blob_names names = {.list = xcalloc(dropped->count, sizeof(names.list[0])),
                               .count = dropped->count};

    for (size_t at = 0; at < dropped->count; at++)
        names.list[at] = data_dropped_name(dropped, at);
    if (record->header.position <= walk->verification->horizon)
        blob_names_merge(&walk->verification->dead, &names);
    blob_names_clear(&names);
}

static bool check_section(struct log_walk *walk, const struct record *record,
                          const struct data_section *section, struct err *err)
{
    switch (section->kind) {
    case DATA_BULK:
        return check_bulk(walk, record, &section->bulk, err);
    case DATA_PUT:
        return check_put(walk, record, &section->put, err);
    case DATA_DROPPED:
        note_dropped(walk, record, &section->dropped);
        return true;
    case DATA_RUN:
    case DATA_GONE:
    case DATA_DATABASE_GONE:
    case DATA_ATTRIBUTES:
        return true;
    }
    return true;
}

static bool check_data(struct log_walk *walk, const struct record *record, struct err *err)
{
    CLEANUP(data_reader_freep) struct data_reader *reader = data_reader_new(record->body, record->body_size);
    struct key key = key_log(record->header.position);
    struct data_section section;
    struct err why = {0};
    bool end = false;

    while (data_next(reader, &section, &end, &why)) {
        if (end)
            return true;
        if (!check_section(walk, record, &section, err))
            return false;
    }
    verification_note(walk->verification, key.text, why.text);
    return true;
}

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

/* The record follows from what was visited before, and what it speaks of is there. */
static bool judge_record(struct log_walk *walk, const struct record *record, const char *key, struct err *err)
{
    struct verification *verification = walk->verification;
    uint64_t position = record->header.position;
    bool follows = walk->has_previous && walk->next == position + 1;

    walk->next = position;
    if (follows && !digest_equal(&walk->previous, &record->hash))
        verification_note(
            verification, key,
            "the record after it names another hash: two histories are mixed in HOLDFAST_STORE");
    walk->has_previous = true;
    walk->previous = record->header.previous;
    return record->header.kind != RECORD_DATA || check_data(walk, record, err);
}

/* From its last record down, but for those that a newer pack holds as well. */
static bool judge_pack(struct log_walk *walk, const struct reading *reading, uint64_t last, const char *key,
                       struct err *err)
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
        } else if (!judge_record(walk, &record, key, err)) {
            return false;
        }
    }
    return true;
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
        if (verification_finds(verification, key.text, &reading->why))
            return true;
        *err = reading->why;
        return false;
    }
    verification->result.objects++;
    if (is_known)
        return true;
    return chain_source_is_pack(source) ? judge_pack(walk, reading, last, key.text, err)
                                        : judge_record(walk, &reading->record, key.text, err);
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

/* Bytes as they are stored: nobody knows how many they become. */
static uint64_t bytes_of(const struct chain_listing *listing, size_t first, size_t end)
{
    uint64_t bytes = 0;

    for (size_t at = first; at < end; at++)
        bytes += listing->sources[at].bytes;
    return bytes;
}

static void report(struct log_walk *walk, uint64_t done, uint64_t total)
{
    const struct reader_progress *progress = walk->verification->progress;
    uint64_t before = walk->verification->bytes_read, now_ms = clock_monotonic_ms();

    if (!progress || now_ms - walk->reported_ms < READER_REPORT_EVERY_MS)
        return;
    walk->reported_ms = now_ms;
    progress->report(progress->context, before + done, before + total);
}

static bool read_all(struct log_walk *walk, struct err *err)
{
    const atomic_bool *canceled = walk->verification->canceled;
    struct chain_listing *listing = &walk->listing;
    uint64_t total = bytes_of(listing, 0, listing->count), done = 0;

    chain_listing_sort(listing);
    for (size_t at = 0, count; at < listing->count; at += count) {
        count = window_of(listing, at);
        report(walk, done, total);
        if (!read_window(walk, at, count, err))
            return false;
        done += bytes_of(listing, at, at + count);
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
    walk.codec = codec_new();
    /* What is packed and deleted after the one was listed is in the other. */
    done = store_list(verification->store, "log/", NULL, 0, visit, &walk, err) &&
           store_list(verification->store, "pack/", NULL, 0, visit, &walk, err) && read_all(&walk, err);
    codec_free(walk.codec);
    pool_free(walk.pool);
    chain_listing_clear(&walk.listing);
    return done;
}
