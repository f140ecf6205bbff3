/* The walk goes from the newest base record back to the horizon. A base may be announced long after it was
 * begun, so it is known by its record; but only one is cut at a time, at or above the base record before it.
 * So bases are in one order, by record and by position.
 *
 * A base record that can't be read must not end all retention for good. What it announced is not known, so
 * whatever may be its stays, and the horizon never moves to it: what it doesn't say can't decide what is
 * deleted. The horizon moves past it with the next base that can be read, and then it is as good as gone. */
#include "snapshot/retain.h"

#include "base/clock.h"
#include "snapshot/archive.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { LEARN_RECORDS = 32 };

void retain_init(struct retain *retain, struct store *store, const struct record_header *head)
{
    *retain = (struct retain){
        .store = store, .lineage = head->lineage, .before = head->base.announced, .horizon = head->horizon};
}

void retain_clear(struct retain *retain)
{
    free(retain->bases);
    *retain = (struct retain){0};
}

static struct retain_base *base_at(const struct retain *retain, size_t index)
{
    assert(index < retain->count);
    return &retain->bases[retain->first + index];
}

/* Room at both ends: older ones are learned backwards. */
static void make_room(struct retain *retain)
{
    size_t capacity = retain->count * 3 + 24, first = retain->count + 8;
    struct retain_base *bases;

    if (retain->first > 0 && retain->first + retain->count < retain->capacity)
        return;
    bases = xmalloc(capacity * sizeof(bases[0]));
    if (retain->count > 0)
        memcpy(bases + first, retain->bases + retain->first, retain->count * sizeof(bases[0]));
    free(retain->bases);
    retain->bases = bases;
    retain->first = first;
    retain->capacity = capacity;
}

static bool read_base(const struct retain *retain, struct retain_base *base, uint64_t *ret_before,
                      struct err *err)
{
    CLEANUP(archive_clear) struct archive archive = archive_of(retain->store, &retain->lineage);
    struct record record;
    struct base_body body;
    bool named;

    if (!archive_read_base(&archive, base->record, &record, &body, err))
        return false;
    base->time_ns = record.header.time_ns;
    *ret_before = body.previous_base;
    named = key_parse_base(body.key.text, &base->position, &base->owner, &base->n);
    base_body_clear(&body);
    return named || err_set(err, ERR_CORRUPT, "record %" PRIu64 " names no manifest", base->record);
}

/* Any record names the base before it, so the one right before a base record does. 0: it can't be read
 * either, and what lies below can't be told from what the lost one announced. */
static bool find_before(const struct retain *retain, uint64_t position, uint64_t *ret_before, struct err *err)
{
    CLEANUP(archive_clear) struct archive archive = archive_of(retain->store, &retain->lineage);
    struct record record;
    struct err why = {0};
    bool found = archive_read(&archive, position - 1, &record, &why);

    if (!found && why.code != ERR_CORRUPT && why.code != ERR_NOT_FOUND) {
        *err = why;
        return false;
    }
    *ret_before = found ? record.header.base.announced : 0;
    return true;
}

/* From the horizon on nothing may be missing. */
static bool step_over(struct retain *retain, struct retain_base *base, const struct err *why,
                      uint64_t *ret_before, struct err *err)
{
    struct key key = key_log(base->record);

    if (why->code != ERR_CORRUPT && why->code != ERR_NOT_FOUND) {
        *err = *why;
        return false;
    }
    base->is_lost = true;
    if (retain->damage.code == ERR_NONE)
        retain->damage = *why;
    if (retain->damage.code == ERR_NOT_FOUND)
        (void)err_set(&retain->damage, ERR_CORRUPT, "%s: it is missing", key.text);
    return base->record <= retain->horizon || find_before(retain, base->record, ret_before, err);
}

static bool learn_one(struct retain *retain, struct err *err)
{
    struct retain_base base = {.record = retain->before};
    struct err why = {0};
    uint64_t before = 0;

    if (!read_base(retain, &base, &before, &why) && !step_over(retain, &base, &why, &before, err))
        return false;
    make_room(retain);
    retain->bases[--retain->first] = base;
    retain->count++;
    retain->before = base.record > retain->horizon ? before : 0;
    return true;
}

bool retain_learn(struct retain *retain, struct err *err)
{
    for (int read = 0; retain->before != 0 && read < LEARN_RECORDS; read++)
        if (!learn_one(retain, err))
            return err_wrap(err, "walk the bases back");
    return true;
}

uint64_t retain_horizon(const struct retain *retain, uint64_t position, uint64_t now_ns,
                        uint64_t retention_ms)
{
    uint64_t span_ns = retention_ms > UINT64_MAX / NS_PER_MS ? UINT64_MAX : retention_ms * NS_PER_MS;
    uint64_t limit_ns = now_ns > span_ns ? now_ns - span_ns : 0;
    uint64_t horizon = retain->horizon;

    if (retain->before != 0)
        return horizon; /* the older ones aren't known yet: it waits */
    if (horizon == 0)
        horizon = retain->count > 0 ? base_at(retain, 0)->record : position;
    for (size_t at = retain->count; at > 0 && base_at(retain, at - 1)->record > horizon; at--)
        if (!base_at(retain, at - 1)->is_lost && base_at(retain, at - 1)->time_ns <= limit_ns)
            horizon = base_at(retain, at - 1)->record;
    /* The new base is as old as now: with a retention of nothing it covers all before it. */
    if (retention_ms == 0)
        horizon = position;
    assert(horizon >= retain->horizon && horizon <= position);
    return horizon;
}

void retain_add(struct retain *retain, const struct retain_base *base, uint64_t horizon)
{
    assert(retain->count == 0 || base_at(retain, retain->count - 1)->record < base->record);
    assert(horizon >= retain->horizon);
    make_room(retain);
    retain->bases[retain->first + retain->count++] = *base;
    retain->horizon = horizon;
    for (; base_at(retain, 0)->record < horizon; retain->count--)
        retain->first++;
}

/* The one base that can stand at a position is the first that was announced above it. */
static const struct retain_base *base_standing_at(const struct retain *retain, uint64_t position)
{
    size_t low = 0, high = retain->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (base_at(retain, middle)->record <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < retain->count ? base_at(retain, low) : NULL;
}

bool retain_announces(const struct retain *retain, uint64_t position, const struct id *owner,
                      const uint64_t *n)
{
    const struct retain_base *base = base_standing_at(retain, position);

    assert(retain->before == 0);
    if (base && base->is_lost)
        return true;
    return base && base->position == position && id_equal(&base->owner, owner) && (!n || base->n == *n);
}

uint64_t retain_last_but_one(const struct retain *retain)
{
    uint64_t newest, before;

    if (retain->count == 0)
        return 0;
    newest = base_at(retain, retain->count - 1)->record;
    before = retain->count > 1 ? base_at(retain, retain->count - 2)->record : 0;
    /* Below the horizon an owner may have begun to prune: not all that follows such a base is there. */
    return before > 0 && before >= retain->horizon ? before : newest;
}
