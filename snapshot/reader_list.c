/* What can be restored.
 *
 * Every record from the horizon on is a point. A log holds up to a million of them in a week, and only their
 * bytes say what they are and when they were made. So the list has all bases, whose records name one another,
 * and the data records of the newest stretch of the log that costs little to read. */
#include "snapshot/chain.h"
#include "snapshot/reader_internal.h"

#include <assert.h>
#include <string.h>

enum { RECORDS_MAX = 1000, RECORDS_BYTES_MAX = 16 << 20 };

struct listed {
    struct reader_point point;
    /* A base: from which record on it gives every state, and that it needs all records above this one. */
    uint64_t from;
    uint64_t needs;
};

struct points {
    struct listed *list;
    size_t count;
    struct err damage; /* the first that was met */
};

static void points_clear(struct points *points)
{
    free(points->list);
}

static void add_point(struct points *points, const struct listed *listed)
{
    bool is_full = (points->count & (points->count - 1)) == 0;

    if (is_full)
        points->list =
            xrealloc(points->list, (points->count > 0 ? 2 * points->count : 1) * sizeof(points->list[0]));
    points->list[points->count++] = *listed;
}

/* An object that is damaged or missing takes away the points that need it, and no others. */
static bool bears(struct points *points, const struct err *why, struct err *err)
{
    if (why->code != ERR_CORRUPT) {
        *err = *why;
        return false;
    }
    if (points->damage.code == ERR_NONE)
        points->damage = *why;
    return true;
}

static bool add_base(void *context, const struct reader_base *base, struct err *err)
{
    struct points *points = context;
    bool restarts = (base->body.flags & BASE_RESTARTS) != 0;
    struct listed listed = {.point = {.record = base->header.position,
                                      .time_ns = base->header.time_ns,
                                      .kind = base->header.kind,
                                      .bytes = base->body.state_bytes,
                                      .taken_from = base->body.taken_from},
                            .from = restarts ? base->header.position : base->body.position,
                            .needs = restarts ? base->header.position : base->body.lowest_position};

    (void)err;
    add_point(points, &listed);
    return true;
}

static bool add_bases(struct store *store, const struct reader_head *head, struct points *points,
                      struct err *err)
{
    struct err why = {0};

    return reader_walk(store, head, add_base, points, &why) || bears(points, &why, err);
}

/* --- the newest stretch ------------------------------------------------------------------------------ */

/* Of records that are listed: from *first, which moves on to the one behind the last that was read. */
static bool read_stretch(struct store *store, const struct reader_head *head,
                         const struct chain_listing *listing, uint64_t *first, struct points *points,
                         struct err *err)
{
    uint64_t newest = head->header.position, last = chain_listing_end(listing, *first);
    struct chain_range range = {
        .after = *first - 1, .through = last < newest ? last : newest, .lineage = head->lineage};
    CLEANUP(chain_freep) struct chain *chain = NULL;
    struct record record;
    bool end = false;

    if (last < *first)
        return err_set(err, ERR_CORRUPT, "%s: it is missing", key_log(*first).text);
    if (range.through == newest)
        range.anchors[0] = (struct chain_anchor){newest, head->hash};
    if (!chain_open(store, &range, listing, &chain, err))
        return false;
    for (;;) {
        struct listed listed = {0};
        if (!chain_next(chain, &record, &end, err))
            return false;
        if (end)
            return true;
        *first = record.header.position + 1;
        if (record.header.kind != RECORD_DATA)
            continue;
        listed.point = (struct reader_point){.record = record.header.position,
                                             .time_ns = record.header.time_ns,
                                             .kind = record.header.kind,
                                             .bytes = record.size};
        add_point(points, &listed);
    }
}

/* The record at `lost` can't be read. Takes away the bases that need it, and gives the record at which states
 * begin again that don't; UINT64_MAX: there are none. */
static uint64_t drop_lost(struct points *points, uint64_t lost)
{
    uint64_t first = UINT64_MAX;
    size_t kept = 0;

    for (size_t at = 0; at < points->count; at++) {
        struct listed listed = points->list[at];
        uint64_t from = listed.from > lost ? listed.from : lost + 1;
        bool is_above = listed.point.kind == RECORD_BASE && listed.point.record >= lost;
        if (is_above && listed.needs < lost)
            continue;
        if (is_above && from < first)
            first = from;
        points->list[kept++] = listed;
    }
    points->count = kept;
    return first;
}

static bool read_stretches(struct store *store, const struct reader_head *head,
                           const struct chain_listing *listing, uint64_t first, struct points *points,
                           struct err *err)
{
    while (first <= head->header.position) {
        struct err why = {0};
        if (read_stretch(store, head, listing, &first, points, &why))
            continue;
        if (!bears(points, &why, err))
            return false;
        first = drop_lost(points, first);
    }
    return true;
}

/* From the head down, to the horizon or where it is long enough. */
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
        chain_listing_sort(&listing);
        first = chain_listing_reach(&listing, newest, RECORDS_BYTES_MAX);
        first = first > after ? first : after + 1; /* a pack may begin below */
        read = read_stretches(store, head, &listing, first, points, err);
    }
    chain_listing_clear(&listing);
    return read;
}

static int newest_first(const void *one, const void *other)
{
    uint64_t left = ((const struct listed *)one)->point.record;
    uint64_t right = ((const struct listed *)other)->point.record;

    return left == right ? 0 : left > right ? -1 : 1;
}

/* All that lies between a roll-back and the record that it went back to. */
static void mark_superseded(struct points *points)
{
    uint64_t lowest = UINT64_MAX; /* from newest to oldest: what is above it counts */

    for (size_t at = 0; at < points->count; at++) {
        struct reader_point *point = &points->list[at].point;
        point->superseded = point->record > lowest;
        if (!point->superseded)
            lowest = point->taken_from > 0 ? point->taken_from : UINT64_MAX;
    }
}

static bool collect_once(struct store *store, struct points *points, struct err *err)
{
    struct reader_head head;

    points->count = 0;
    points->damage = (struct err){0};
    return reader_find_head(store, &head, err) && add_bases(store, &head, points, err) &&
           add_records(store, &head, points, err);
}

/* What was pruned between listing and reading is looked for again, and what is damaged is looked at again. */
static bool collect(struct store *store, struct points *points, struct err *err)
{
    struct err before = {0};

    for (int plan = 1;; plan++) {
        struct err why = {0};
        bool collected = collect_once(store, points, &why), again;
        again = reader_looks_again(&before, collected ? &points->damage : &why) || why.code == ERR_NOT_FOUND;
        if (again && plan < READER_PLANS_MAX)
            continue;
        if (!collected)
            *err = why;
        if (!collected && err->code == ERR_NOT_FOUND) /* it is listed every time */
            err->code = ERR_CORRUPT;
        return collected;
    }
}

bool reader_list(struct store *store, bool (*visit)(void *context, const struct reader_point *point),
                 void *context, struct err *err)
{
    CLEANUP(points_clear) struct points points = {0};

    if (!collect(store, &points, err))
        return err->code != ERR_CONFIG && err_wrap(err, "list the points that can be restored");
    if (points.count > 1)
        qsort(points.list, points.count, sizeof(points.list[0]), newest_first);
    mark_superseded(&points);
    for (size_t at = 0; at < points.count; at++)
        if (!visit(context, &points.list[at].point))
            break;
    if (points.damage.code == ERR_NONE)
        return true;
    *err = points.damage;
    return err_wrap(err, "what needs it can't be restored, and isn't listed");
}
