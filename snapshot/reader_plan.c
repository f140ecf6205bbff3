/* Where a state begins and what leads to it: the newest base that reaches no further, and the records behind
 * that base. From the two of them alone, without a page of any database, follows what the state consists
 * of. */
#include "snapshot/chain.h"
#include "snapshot/reader_internal.h"
#include "snapshot/replay.h"

#include <inttypes.h>

/* --- which base -------------------------------------------------------------------------------------- */

/* A base that restarts the state holds from its record on. Any other repeats what the log says: with the
 * records behind it, it gives every state from P on, those before it was announced too. */
static bool take_base(void *context, const struct reader_base *base, struct err *err)
{
    struct reader_plan *plan = context;
    bool restarts = (base->body.flags & BASE_RESTARTS) != 0;

    (void)err;
    if (plan->is_oldest)
        plan->through = base->header.position;
    if ((restarts ? base->header.position : base->body.position) > plan->through)
        return true;
    plan->base = *base;
    /* Only what names the manifest is needed; the lists stay with the walk. */
    plan->base.body.dropped = NULL;
    plan->base.body.dropped_count = 0;
    plan->base.body.pins = NULL;
    plan->base.body.pins_count = 0;
    plan->has_base = true;
    plan->restarts = restarts;
    return plan->is_oldest;
}

bool reader_plan_from(struct store *store, const struct reader_head *head, uint64_t at,
                      struct reader_plan *plan, struct err *err)
{
    plan->head = *head;
    plan->is_oldest = at == READER_OLDEST;
    plan->through = at == READER_LATEST || plan->is_oldest ? plan->head.header.position : at;
    if (plan->through > plan->head.header.position)
        return err_set(err, ERR_CONFIG, "record %" PRIu64 " does not exist; the newest is %" PRIu64, at,
                       plan->head.header.position);
    if (plan->through >= plan->head.header.horizon && !reader_walk(store, &plan->head, take_base, plan, err))
        return false;
    if (plan->has_base)
        return true;
    if (at == READER_LATEST || plan->is_oldest)
        return err_set(err, ERR_CONFIG,
                       "nothing can be restored yet: no base was announced in HOLDFAST_STORE");
    return err_set(err, ERR_CONFIG,
                   "record %" PRIu64
                   " can't be restored: it was pruned, or lies before the first base; `holdfast list` "
                   "shows what can",
                   at);
}

bool reader_make_plan(struct store *store, uint64_t at, struct reader_plan *plan, struct err *err)
{
    struct reader_head head;

    return reader_find_head(store, &head, err) && reader_plan_from(store, &head, at, plan, err);
}

bool reader_newest_bytes(struct store *store, uint64_t *ret_bytes, struct err *err)
{
    struct reader_plan plan = {0};
    struct manifest manifest;

    if (!reader_make_plan(store, READER_LATEST, &plan, err) ||
        !reader_load_manifest(store, &plan.base, &manifest, err))
        return false;
    *ret_bytes = manifest_disk_bytes(&manifest, NULL, NULL);
    manifest_clear(&manifest);
    return true;
}

/* --- the records behind it --------------------------------------------------------------------------- */

bool reader_open_chain(struct store *store, const struct reader_plan *plan, const struct manifest *manifest,
                       struct chain **ret_chain, struct err *err)
{
    struct chain_listing listing = {0};
    struct chain_range range = {
        .after = plan->restarts ? plan->base.header.position : manifest->lowest_position,
        .through = plan->through,
        .lineage = plan->head.lineage,
        .anchors = {{manifest->position, manifest->record}},
    };
    bool opened;

    if (plan->restarts)
        range.anchors[0] = (struct chain_anchor){plan->base.header.position, plan->base.hash};
    if (plan->through == plan->head.header.position)
        range.anchors[1] = (struct chain_anchor){plan->through, plan->head.hash};
    *ret_chain = NULL;
    if (range.after == range.through)
        return true;
    opened = chain_list(store, range.after, range.through, &listing, err) &&
             chain_open(store, &range, &listing, ret_chain, err);
    chain_listing_clear(&listing);
    return opened;
}

/* --- what they lead to ------------------------------------------------------------------------------- */

void reader_count(const struct manifest *manifest, struct reader_result *result)
{
    result->has_state = true;
    result->databases = manifest->databases_count;
    result->files = 0;
    for (size_t at = 0; at < tree_count(manifest->tree); at++)
        result->files += tree_at(manifest->tree, at)->kind != ENTRY_DIRECTORY;
    result->bytes = manifest_state_bytes(manifest);
}

bool reader_replay(struct chain *chain, struct replay *replay, const struct reader_replaying *how,
                   struct err *err)
{
    struct record record;
    bool end = false;

    for (;;) {
        if (!chain_next(chain, &record, &end, err))
            return false;
        if (end)
            return true;
        if (how->canceled && atomic_load(how->canceled))
            return err_set(err, ERR_CANCELED, "it was stopped");
        replay_expect(replay, chain_ahead(chain));
        if (!replay_record(replay, &record, err) || !how->applied(how->context, chain, &record, err))
            return false;
    }
}

static bool bring_forward(struct store *store, const struct reader_plan *plan,
                          const struct reader_replaying *how, struct manifest *manifest,
                          struct chain_listing *read, struct err *err)
{
    CLEANUP(chain_freep) struct chain *chain = NULL;
    CLEANUP(replay_freep) struct replay *replay = NULL;
    struct replay_config config = {.store = store,
                                   .manifest = manifest,
                                   .restarted = plan->restarts ? plan->base.header.position : 0,
                                   .canceled = how->canceled};

    if (!reader_open_chain(store, plan, manifest, &chain, err))
        return false;
    if (!chain)
        return true;
    replay = replay_open(&config);
    if (!reader_replay(chain, replay, how, err) || !replay_finish(replay, err))
        return false;
    replay_take(replay);
    chain_add_sources(chain, read);
    return true;
}

bool reader_measure(struct store *store, const struct reader_plan *plan, const struct reader_replaying *how,
                    struct reader_result *result, struct chain_listing *read, struct err *err)
{
    struct manifest manifest;
    bool measured;

    if (!reader_load_manifest(store, &plan->base, &manifest, err))
        return false;
    measured = bring_forward(store, plan, how, &manifest, read, err);
    if (measured)
        reader_count(&manifest, result);
    manifest_clear(&manifest);
    return measured;
}
