/* What can be restored, and which record was the last at some time.
 *
 * Every record from the horizon on is a point. A log holds up to a million of them in a week, and only their
 * bytes say what they are and when they were made. So the list has all bases, whose records name one another,
 * and the data records of the newest stretch of the log that costs little to read. A time is found among all
 * of them by halving, since record times never go back. */
#include "base/clock.h"
#include "snapshot/chain.h"
#include "snapshot/log.h"
#include "snapshot/reader_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { RECORDS_MAX = 1000, RECORDS_BYTES_MAX = 16 << 20 };

struct points {
    struct reader_point *list;
    size_t count;
};

static void points_clear(struct points *points)
{
    free(points->list);
}

static void add_point(struct points *points, const struct reader_point *point)
{
    bool is_full = (points->count & (points->count - 1)) == 0;

    if (is_full)
        points->list =
            xrealloc(points->list, (points->count > 0 ? 2 * points->count : 1) * sizeof(points->list[0]));
    points->list[points->count++] = *point;
}

static bool add_base(void *context, const struct reader_base *base, struct err *err)
{
    struct reader_point point = {.record = base->header.position,
                                 .time_ns = base->header.time_ns,
                                 .kind = base->header.kind,
                                 .bytes = base->body.state_bytes,
                                 .taken_from = base->body.taken_from};

    (void)err;
    add_point(context, &point);
    return true;
}

/* --- the newest stretch ------------------------------------------------------------------------------ */

struct stretch {
    struct chain_listing listing;
    uint64_t lowest; /* position that was met last; 0: none */
    uint64_t bytes;
    bool ends; /* at a gap, or because it is long enough */
};

static bool visit_record(void *context, const struct store_entry *entry, struct err *err)
{
    struct stretch *stretch = context;
    uint64_t position = 0;

    if (!key_parse_log(entry->key, &position))
        return err_set(err, ERR_CORRUPT, "%s: it is not a record of holdfast", entry->key);
    stretch->ends = stretch->ends || (stretch->lowest > 0 && position + 1 != stretch->lowest) ||
                    (stretch->lowest > 0 && stretch->bytes + entry->size > RECORDS_BYTES_MAX);
    if (stretch->ends)
        return true;
    stretch->lowest = position;
    stretch->bytes += entry->size;
    return chain_listing_add(&stretch->listing, entry);
}

static uint64_t bytes_of(const struct chain_listing *listing, uint64_t position)
{
    for (size_t at = 0; at < listing->count; at++)
        if (listing->sources[at].first == position)
            return listing->sources[at].bytes;
    return 0;
}

static bool read_stretch(struct store *store, const struct reader_head *head, const struct stretch *stretch,
                         struct points *points, struct err *err)
{
    uint64_t horizon = head->header.horizon;
    uint64_t first = stretch->lowest > horizon ? stretch->lowest : horizon;
    struct chain_range range = {.after = first - 1,
                                .through = head->header.position,
                                .lineage = head->lineage,
                                .anchors = {{head->header.position, head->hash}}};
    CLEANUP(chain_freep) struct chain *chain = NULL;
    struct record record;
    bool end = false;

    if (!chain_open(store, &range, &stretch->listing, &chain, err))
        return false;
    for (;;) {
        struct reader_point point;
        if (!chain_next(chain, &record, &end, err))
            return false;
        if (end)
            return true;
        if (record.header.kind != RECORD_DATA)
            continue;
        point = (struct reader_point){.record = record.header.position,
                                      .time_ns = record.header.time_ns,
                                      .kind = record.header.kind,
                                      .bytes = bytes_of(&stretch->listing, record.header.position)};
        add_point(points, &point);
    }
}

/* From the head down. */
static bool add_records(struct store *store, const struct reader_head *head, struct points *points,
                        struct err *err)
{
    struct stretch stretch = {.bytes = 0};
    struct key newer = key_log(head->header.position + 1);
    bool read;

    if (head->header.horizon == 0)
        return true;
    read = store_list(store, "log/", newer.text, RECORDS_MAX, visit_record, &stretch, err) &&
           (stretch.lowest == 0 || read_stretch(store, head, &stretch, points, err));
    chain_listing_clear(&stretch.listing);
    return read;
}

static int newest_first(const void *one, const void *other)
{
    const struct reader_point *left = one, *right = other;

    return left->record == right->record ? 0 : left->record > right->record ? -1 : 1;
}

/* All that lies between a roll-back and the record that it went back to. */
static void mark_superseded(struct points *points)
{
    uint64_t lowest = UINT64_MAX; /* from newest to oldest: what is above it counts */

    for (size_t at = 0; at < points->count; at++) {
        struct reader_point *point = &points->list[at];
        point->superseded = point->record > lowest;
        if (!point->superseded)
            lowest = point->taken_from > 0 ? point->taken_from : UINT64_MAX;
    }
}

/* What was pruned between listing and reading is looked for again. */
static bool collect(struct store *store, struct points *points, struct err *err)
{
    for (int plan = 1;; plan++) {
        struct reader_head head;
        points->count = 0;
        if (reader_find_head(store, &head, err) && reader_walk(store, &head, add_base, points, err) &&
            add_records(store, &head, points, err))
            return true;
        if (err->code != ERR_NOT_FOUND || plan == READER_PLANS_MAX)
            return false;
    }
}

bool reader_list(struct store *store, bool (*visit)(void *context, const struct reader_point *point),
                 void *context, struct err *err)
{
    CLEANUP(points_clear) struct points points = {0};

    if (!collect(store, &points, err))
        return err_wrap(err, "list the points that can be restored");
    if (points.count > 1)
        qsort(points.list, points.count, sizeof(points.list[0]), newest_first);
    mark_superseded(&points);
    for (size_t at = 0; at < points.count; at++)
        if (!visit(context, &points.list[at]))
            break;
    return true;
}

/* --- by time ----------------------------------------------------------------------------------------- */

/* A point is known by the time that `list` prints, which has milliseconds: that time has to find it again. */
static bool read_is_later(struct store *store, const struct reader_head *head, uint64_t position,
                          uint64_t time_ns, bool *ret_later, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;

    if (!log_read(store, &head->lineage, position, &bytes, &record, err))
        return false;
    *ret_later = record.header.time_ns / NS_PER_MS > time_ns / NS_PER_MS;
    return true;
}

/* The last record up to the head that is not later; 0: not even the oldest that can be restored. */
static bool search(struct store *store, const struct reader_head *head, uint64_t time_ns,
                   uint64_t *ret_position, struct err *err)
{
    uint64_t low = head->header.horizon - 1, high = head->header.position;

    while (low < high) {
        uint64_t middle = high - (high - low) / 2;
        bool later = head->header.time_ns / NS_PER_MS > time_ns / NS_PER_MS;
        if (middle < head->header.position && !read_is_later(store, head, middle, time_ns, &later, err))
            return false;
        if (later)
            high = middle - 1;
        else
            low = middle;
    }
    *ret_position = low >= head->header.horizon ? low : 0;
    return true;
}

bool reader_find_time(struct store *store, uint64_t time_ns, uint64_t *ret_record, struct err *err)
{
    for (int plan = 1;; plan++) {
        struct reader_head head;
        if (!reader_find_head(store, &head, err))
            return false;
        if (head.header.horizon == 0)
            return err_set(err, ERR_CONFIG,
                           "nothing can be restored yet: no base was announced in HOLDFAST_STORE");
        if (search(store, &head, time_ns, ret_record, err))
            return true;
        if (err->code != ERR_NOT_FOUND || plan == READER_PLANS_MAX)
            return err_wrap(err, "look for the record of that time");
    }
}
