/* Which record was the last at some time: found by halving, since record times never go back.
 *
 * A record that can't be read has no time, and most answers don't need it: its neighbours say on which side
 * of it to go on. Only between a neighbour that is not later and one that is later it may be the very record
 * that is meant. Then the one below would be a point that nobody asked for, perhaps older by hours, so there
 * is no answer, but a record to ask for instead. */
#include "base/clock.h"
#include "snapshot/archive.h"
#include "snapshot/reader_internal.h"

#include <assert.h>
#include <inttypes.h>

/* All records up to `low` are not later, all above `high` are. */
struct search {
    const struct reader_head *head;
    struct archive archive;
    uint64_t time_ns;
    uint64_t low; /* below the horizon: none is known not to be later */
    uint64_t high;
    struct err damage; /* the last that was met */
    bool is_undecided; /* nothing above `low` up to `high` can be read */
};

enum side { SIDE_NOT_LATER, SIDE_LATER, SIDE_UNKNOWN };

/* An object that can't be read is noted in search->damage, beginning with its key. */
static bool read_time(struct search *search, uint64_t position, uint64_t *ret_time_ns, bool *ret_known,
                      struct err *err)
{
    struct record record;
    struct err why = {0};

    *ret_known = archive_read(&search->archive, position, &record, &why);
    if (*ret_known)
        *ret_time_ns = record.header.time_ns;
    if (*ret_known || why.code == ERR_CORRUPT) {
        search->damage = *ret_known ? search->damage : why;
        return true;
    }
    if (why.code != ERR_NOT_FOUND) {
        *err = why;
        return err_wrap(err, "look for the record of that time");
    }
    (void)err_set(&search->damage, ERR_CORRUPT, "%s: it is missing", key_log(position).text);
    return true;
}

/* A point is known by the time that `list` prints, which has milliseconds: that time has to find it again. */
static bool find_side(struct search *search, uint64_t position, enum side *ret_side, struct err *err)
{
    uint64_t time_ns = search->head->header.time_ns;
    bool is_known = true;

    if (position < search->head->header.position && !read_time(search, position, &time_ns, &is_known, err))
        return false;
    *ret_side = !is_known                                           ? SIDE_UNKNOWN
                : time_ns / NS_PER_MS > search->time_ns / NS_PER_MS ? SIDE_LATER
                                                                    : SIDE_NOT_LATER;
    if (*ret_side == SIDE_LATER)
        search->high = position - 1;
    else if (*ret_side == SIDE_NOT_LATER)
        search->low = position;
    return true;
}

/* Nothing is known of the records from `first` to `last`. Goes down from there, then up, to what can be read;
 * that narrows the search, or leaves nothing to be looked at. */
static bool step_aside(struct search *search, uint64_t first, uint64_t last, struct err *err)
{
    enum side side = SIDE_UNKNOWN;

    while (side == SIDE_UNKNOWN && first > search->low + 1) {
        if (!find_side(search, first - 1, &side, err))
            return false;
        first = search->archive.lost_first;
    }
    if (side == SIDE_LATER)
        return true;
    for (side = SIDE_UNKNOWN; side == SIDE_UNKNOWN && last < search->high; last = search->archive.lost_last)
        if (!find_side(search, last + 1, &side, err))
            return false;
    search->is_undecided = side != SIDE_NOT_LATER;
    return true;
}

static bool halve(struct search *search, struct err *err)
{
    while (search->low < search->high && !search->is_undecided) {
        uint64_t middle = search->high - (search->high - search->low) / 2;
        enum side side;
        if (!find_side(search, middle, &side, err))
            return false;
        if (side == SIDE_UNKNOWN &&
            !step_aside(search, search->archive.lost_first, search->archive.lost_last, err))
            return false;
    }
    return true;
}

/* The record at `low`, or why that isn't certain. 0: not even the oldest that can be restored. */
static bool conclude(const struct search *search, uint64_t *ret_record, struct err *err)
{
    bool has_one = search->low >= search->head->header.horizon;
    char time[CLOCK_TEXT_SIZE];

    if (!search->is_undecided) {
        *ret_record = has_one ? search->low : 0;
        return true;
    }
    clock_format(search->time_ns, time);
    if (has_one)
        return err_set(err, ERR_CORRUPT,
                       "%s; the last point at or before %s may lie there, so a time can't name it: ask for "
                       "record %" PRIu64 ", the last one before the damage",
                       search->damage.text, time, search->low);
    return err_set(err, ERR_CORRUPT,
                   "%s; the last point at or before %s may lie there, and none before it can be restored: "
                   "`holdfast list` "
                   "shows what can",
                   search->damage.text, time);
}

static bool find_once(struct store *store, uint64_t time_ns, uint64_t *ret_record, struct err *err)
{
    struct reader_head head;
    struct search search = {.head = &head, .time_ns = time_ns};
    bool searched;

    if (!reader_find_head(store, &head, err))
        return false;
    if (head.header.horizon == 0)
        return err_set(err, ERR_CONFIG,
                       "nothing can be restored yet: no base was announced in HOLDFAST_STORE");
    search.archive = archive_of(store, &head.lineage);
    search.low = head.header.horizon - 1;
    search.high = head.header.position;
    searched = halve(&search, err);
    archive_clear(&search.archive);
    return searched && conclude(&search, ret_record, err);
}

/* What was pruned meanwhile lies below the horizon of the next plan. */
bool reader_find_time(struct store *store, uint64_t time_ns, uint64_t *ret_record, struct err *err)
{
    struct err before = {0};

    for (int plan = 0; plan < READER_PLANS_MAX; plan++) {
        struct err why = {0};
        if (find_once(store, time_ns, ret_record, &why))
            return true;
        if (!reader_looks_again(&before, &why)) {
            *err = why;
            return false;
        }
    }
    return err_set(err, ERR_TRANSIENT,
                   "the owner prunes faster than a time can be looked up; try again, or raise "
                   "HOLDFAST_RETENTION");
}
