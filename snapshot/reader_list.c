/* What can be restored, and which record was the last at some time.
 *
 * Every record from the horizon on is a point. A log holds up to a million of them in a week, and only their
 * bytes say what they are and when they were made. So the list has all bases, whose records name one another,
 * and the data records of the newest stretch of the log that costs little to read. A time is found among all
 * of them by halving, since record times never go back. */
#include "base/clock.h"
#include "snapshot/archive.h"
#include "snapshot/chain.h"
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

static bool read_stretch(struct store *store, const struct reader_head *head,
                         const struct chain_listing *listing, uint64_t first, struct points *points,
                         struct err *err)
{
    struct chain_range range = {.after = first - 1,
                                .through = head->header.position,
                                .lineage = head->lineage,
                                .anchors = {{head->header.position, head->hash}}};
    CLEANUP(chain_freep) struct chain *chain = NULL;
    struct record record;
    bool end = false;

    if (!chain_open(store, &range, listing, &chain, err))
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
                                      .bytes = record.size};
        add_point(points, &point);
    }
}

/* From the head down, to the horizon, a gap, or where it is long enough. */
static bool add_records(struct store *store, const struct reader_head *head, struct points *points,
                        struct err *err)
{
    uint64_t horizon = head->header.horizon, newest = head->header.position, first;
    uint64_t after = newest > RECORDS_MAX ? newest - RECORDS_MAX : 0;
    struct chain_listing listing = {0};
    bool read;

    if (horizon == 0)
        return true;
    if (after < horizon - 1)
        after = horizon - 1;
    read = chain_list(store, after, newest, &listing, err);
    if (read) {
        first = chain_listing_reach(&listing, newest, RECORDS_BYTES_MAX);
        first = first > after ? first : after + 1; /* a pack may begin below */
        read = read_stretch(store, head, &listing, first, points, err);
    }
    chain_listing_clear(&listing);
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
static bool read_is_later(struct archive *archive, uint64_t position, uint64_t time_ns, bool *ret_later,
                          struct err *err)
{
    struct record record;

    if (!archive_read(archive, position, &record, err))
        return false;
    *ret_later = record.header.time_ns / NS_PER_MS > time_ns / NS_PER_MS;
    return true;
}

/* The last record up to the head that is not later; 0: not even the oldest that can be restored. */
static bool search(struct store *store, const struct reader_head *head, uint64_t time_ns,
                   uint64_t *ret_position, struct err *err)
{
    CLEANUP(archive_clear) struct archive archive = archive_of(store, &head->lineage);
    uint64_t low = head->header.horizon - 1, high = head->header.position;

    while (low < high) {
        uint64_t middle = high - (high - low) / 2;
        bool later = head->header.time_ns / NS_PER_MS > time_ns / NS_PER_MS;
        if (middle < head->header.position && !read_is_later(&archive, middle, time_ns, &later, err))
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
