#include "proxy/durable.h"

#include <assert.h>

void durable_init(struct durable *durable, const struct proxy_durability *source)
{
    assert(!source->gated || source->position_now);
    *durable = (struct durable){.source = *source};
    list_init(&durable->holds);
}

void hold_init(struct hold *hold, void (*changed)(struct hold *hold))
{
    assert(changed);
    *hold = (struct hold){.changed = changed};
    list_init(&hold->link);
}

void durable_forget(struct durable *durable, struct hold *hold)
{
    if (hold->state != HOLD_WAITING)
        return;
    list_remove(&hold->link);
    hold->state = HOLD_OPEN;
    durable->count--;
}

/* Says that we wait before looking at the position the last time, as durable_advance() sets the position
 * before it looks whether anybody waits: one of the two sees the other. */
static bool is_reached(struct durable *durable, uint64_t position)
{
    if (atomic_load(&durable->position) >= position)
        return true;
    atomic_store(&durable->waiting, true);
    return atomic_load(&durable->position) >= position;
}

enum hold_state durable_hold(struct durable *durable, struct hold *hold)
{
    uint64_t position;

    durable_forget(durable, hold);
    hold->state = HOLD_OPEN;
    if (!durable->source.gated)
        return HOLD_OPEN;
    position = durable->source.position_now(durable->source.context);
    if (is_reached(durable, position))
        return HOLD_OPEN;
    if (durable->failing)
        return hold->state = HOLD_FAILED;
    hold->position = position;
    hold->state = HOLD_WAITING;
    list_add_last(&durable->holds, &hold->link);
    if (durable->count++ == 0 && durable->source.waiting)
        durable->source.waiting(durable->source.context);
    return HOLD_WAITING;
}

bool durable_advance(struct durable *durable, uint64_t position)
{
    uint64_t known = atomic_load(&durable->position);

    while (known < position && !atomic_compare_exchange_weak(&durable->position, &known, position))
        ;
    return atomic_load(&durable->waiting);
}

/* Takes the first hold out and tells it. */
static void settle_first(struct durable *durable, enum hold_state state)
{
    struct hold *hold = LIST_ENTRY(durable->holds.next, struct hold, link);

    assert(!list_is_empty(&durable->holds) && hold->state == HOLD_WAITING);
    list_remove(&hold->link);
    durable->count--;
    hold->state = state;
    hold->changed(hold);
}

void durable_release(struct durable *durable)
{
    atomic_store(&durable->waiting, false);
    while (!list_is_empty(&durable->holds)) {
        const struct hold *first = LIST_ENTRY(durable->holds.next, struct hold, link);
        if (!is_reached(durable, first->position))
            return;
        settle_first(durable, HOLD_OPEN);
    }
}

void durable_fail(struct durable *durable, bool on)
{
    durable->failing = on;
    while (on && !list_is_empty(&durable->holds))
        settle_first(durable, HOLD_FAILED);
}
