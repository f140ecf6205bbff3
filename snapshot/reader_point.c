/* Points as they are named from outside, and what the log says of a roll-back. */
#include "snapshot/reader_internal.h"

#include "base/clock.h"

#include <inttypes.h>

static bool find_time(struct store *store, uint64_t time_ns, uint64_t *ret_record, struct err *err)
{
    char time[CLOCK_TEXT_SIZE];
    uint64_t record = 0;

    if (!reader_find_time(store, time_ns, &record, err))
        return false;
    clock_format(time_ns, time);
    if (record == 0)
        return err_set(err, ERR_CONFIG,
                       "%s is before the first point: `holdfast list` shows what can be restored", time);
    *ret_record = record;
    return true;
}

bool reader_find_point(struct store *store, const struct point *point, uint64_t *ret_record, struct err *err)
{
    struct reader_head head;
    uint64_t newest;

    if (point->kind == POINT_TIME)
        return find_time(store, point->value, ret_record, err);
    if (!reader_find_head(store, &head, err))
        return false;
    newest = head.header.position;
    if (point->value > newest)
        return err_set(err, ERR_CONFIG, "record %" PRIu64 " does not exist; the newest is %" PRIu64,
                       point->value, newest);
    if (head.header.horizon == 0 || point->value < head.header.horizon)
        return err_set(err, ERR_CONFIG,
                       "record %" PRIu64
                       " can't be restored: it was pruned, or lies before the first base; "
                       "`holdfast list` shows what can",
                       point->value);
    *ret_record = point->value;
    return true;
}

bool reader_is_carried_out(struct store *store, const struct point *point, bool *ret_done, struct err *err)
{
    struct reader_head head;

    if (!reader_find_head(store, &head, err))
        return false;
    *ret_done = point_equal(point, &head.header.roll_back);
    return true;
}
