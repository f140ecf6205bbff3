/* When a base has to be cut: since nothing else can follow, or since one is due. */
#include "snapshot/shipper_internal.h"

#include "base/clock.h"
#include "snapshot/pack.h"
#include "snapshot/restore_budget.h"

enum { DURATIONS_BETWEEN = 10 }; /* of a base, from its end to the beginning of the next */

void shipper_want_base(struct shipper *shipper, uint64_t request)
{
    shipper->wanted = request;
}

bool shipper_is_asked(const struct shipper *shipper)
{
    return shipper->wanted > shipper->given.request;
}

/* How many requests the records behind this one take. */
static uint64_t objects_since(const struct shipper *shipper, uint64_t position)
{
    uint64_t packed = packer_reached(shipper->packer), newest = shipper->log.newest.position;

    if (packed <= position)
        return newest - position;
    return newest - packed + (packed - position) / PACK_RECORDS_MAX + shipper->delta_bytes / PACK_BYTES_MAX +
           1;
}

bool shipper_base_is_due(const struct shipper *shipper)
{
    const struct record_header *newest = &shipper->log.newest;
    struct restore_work work = {.objects = objects_since(shipper, newest->base.position),
                                .record_bytes = shipper->delta_bytes,
                                .commits = shipper->delta_commits};
    uint64_t now_ns = store_unix_ns(shipper->store);

    if (shipper_is_asked(shipper) || shipper->config->snapshot_interval_ms == 0)
        return true;
    if (clock_monotonic_ms() < shipper_base_due_ms(shipper))
        return false;
    if (now_ns > shipper->base_time_ns &&
        (now_ns - shipper->base_time_ns) / NS_PER_MS >= shipper->config->snapshot_interval_ms)
        return true;
    /* Asked often, and the bytes of all files are only summed up when they may matter. */
    if (restore_predict_records_ms(&work) <= shipper->config->restore_budget_ms / 2)
        return false;
    work.state_bytes = manifest_state_bytes(&shipper->previous);
    return restore_exceeds_budget(&work, shipper->config->restore_budget_ms);
}

bool shipper_needs_base(struct shipper *shipper)
{
    return !shipper->has_previous || shipper->lost_continuity ||
           (shipper_moves_databases(shipper) && !shipper_can_move_databases(shipper));
}

bool shipper_wants_base(struct shipper *shipper)
{
    return shipper_needs_base(shipper) || shipper_base_is_due(shipper);
}

uint64_t shipper_base_due_ms(const struct shipper *shipper)
{
    if (shipper_is_asked(shipper))
        return 0;
    return shipper->base_ended_ms + DURATIONS_BETWEEN * shipper->base_duration_ms;
}
