/* The records behind the base that a start begins with.
 *
 * They are asked for together with the base's parts, beside the takeover, from what the very first round has
 * listed: so they cost no round of their own. They are proved twice, by the base, which names one of them,
 * and by the head, which our own open follows. (In a roll-back an earlier record takes the head's part: its
 * header says as much about the state there.) */
#include "snapshot/opening.h"

#include "snapshot/replay.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* --- fetching ---------------------------------------------------------------------------------------- */

/* The position behind which the records are needed: where the lowest database of the base stands. While the
 * manifest is on its way the base's own position is a good guess. */
static uint64_t records_after(const struct start *start)
{
    return start->has_manifest ? start->manifest.lowest_position : start_goal_header(start)->base.position;
}

/* A base that restarts the state counts as the newest change itself; so nothing changed behind it. */
static bool records_matter(const struct record_header *goal, uint64_t after)
{
    return goal->base.announced != 0 && goal->data_position > after &&
           goal->data_position != goal->base.announced;
}

static bool open_chain(struct opening *opening, const struct chain_range *range, struct err *err)
{
    struct start *start = &opening->start;
    struct chain_listing listing = {0};
    struct err why = {0};
    bool opened;

    if (chain_open(start->store, range, &start->listing, &opening->chain, &why))
        return true;
    /* Older than the newest 1000, or moved into a pack since. */
    opened = why.code == ERR_NOT_FOUND &&
             chain_list(start->store, range->after, range->through, &listing, &why) &&
             chain_open(start->store, range, &listing, &opening->chain, &why);
    chain_listing_clear(&listing);
    if (opened)
        return true;
    *err = why;
    if (err->code == ERR_NOT_FOUND)
        err->code = ERR_CORRUPT; /* a second plan needs it, and hasn't got it */
    return err_wrap(err, "the records behind the newest base");
}

bool opening_begin_records(struct opening *opening, struct err *err)
{
    const struct start *start = &opening->start;
    struct chain_anchor goal = start_goal(start);
    struct chain_range range = {.after = records_after(start),
                                .through = goal.position,
                                .lineage = start->lineage,
                                .anchors = {goal}};

    if (opening->chain && chain_range(opening->chain)->after <= range.after &&
        chain_range(opening->chain)->through == range.through)
        return true;
    chain_free(MOVE(opening->chain));
    return !records_matter(start_goal_header(start), range.after) || open_chain(opening, &range, err);
}

/* --- applying ---------------------------------------------------------------------------------------- */

/* What was listed is gone now: whoever was the owner has packed it meanwhile. `last` was applied, unless its
 * position is 0. */
static bool reopen(struct opening *opening, const struct chain_anchor *last, struct err *err)
{
    const struct manifest *manifest = &opening->start.manifest;
    struct chain_range range = *chain_range(opening->chain);

    range.anchors[0] = start_goal(&opening->start);
    range.anchors[1] =
        last->position != 0 ? *last : (struct chain_anchor){manifest->position, manifest->record};
    if (last->position != 0)
        range.after = last->position;
    chain_free(MOVE(opening->chain));
    chain_listing_clear(&opening->start.listing);
    return open_chain(opening, &range, err);
}

/* A record was not found: true if it is worth asking once more, of what the store lists by now. */
static bool look_again(struct opening *opening, const struct chain_anchor *last, bool again, struct err *err)
{
    if (err->code != ERR_NOT_FOUND)
        return false;
    if (!again)
        return reopen(opening, last, err);
    err->code = ERR_CORRUPT;
    return false;
}

/* Before anything was applied. */
static bool peek(struct opening *opening, uint64_t position, struct record_header *ret_header,
                 struct err *err)
{
    const struct chain_anchor nothing = {0};

    for (bool again = false; !chain_peek(opening->chain, position, ret_header, err); again = true)
        if (!look_again(opening, &nothing, again, err))
            return false;
    return true;
}

/* The base record, if the state restarts there; 0: it repeats what the log says. */
static bool find_restart(struct opening *opening, uint64_t *ret_restarted, struct err *err)
{
    const struct record_header *goal = start_goal_header(&opening->start);
    uint64_t announced = goal->base.announced;
    struct record_header header;

    *ret_restarted = 0;
    if (goal->data_position < announced)
        return true;
    if (!peek(opening, announced, &header, err))
        return err_wrap(err, "the record of the newest base");
    if (header.data_position == announced)
        *ret_restarted = announced;
    return true;
}

static bool next_record(struct opening *opening, const struct chain_anchor *last, struct record *ret_record,
                        bool *ret_end, struct err *err)
{
    for (bool again = false; !chain_next(opening->chain, ret_record, ret_end, err); again = true)
        if (!look_again(opening, last, again, err))
            return false;
    return true;
}

static bool replay_all(struct opening *opening, struct replay *replay, struct err *err)
{
    const struct engine *engine = opening->engine;
    struct chain_anchor last = {0};
    struct record record;
    bool end = false;

    for (;;) {
        if (!next_record(opening, &last, &record, &end, err))
            return false;
        if (end)
            return true;
        if (atomic_load(&engine->given_up))
            return err_set(err, ERR_CANCELED, "the restore was stopped");
        replay_expect(replay, chain_ahead(opening->chain));
        if (!replay_record(replay, &record, err))
            return false;
        last = (struct chain_anchor){record.header.position, record.hash};
    }
}

bool opening_apply_records(struct opening *opening, struct place *place, struct err *err)
{
    struct start *start = &opening->start;
    struct replay_config config = {.store = start->store,
                                   .manifest = &start->manifest,
                                   .place = place,
                                   .restore = place ? opening->restore : NULL,
                                   .canceled = &opening->engine->given_up};
    CLEANUP(replay_freep) struct replay *replay = NULL;

    if (!opening->chain)
        return true;
    engine_set_step(opening->engine, "applying what was shipped since the newest base, up to record %" PRIu64,
                    start_goal(start).position);
    chain_expect(opening->chain, &(struct chain_anchor){start->manifest.position, start->manifest.record});
    if (!find_restart(opening, &config.restarted, err))
        return false;
    replay = replay_open(&config);
    opening_end_base(opening); /* its buffers are free for the records */
    if (!replay_all(opening, replay, err) || !replay_finish(replay, err))
        return false;
    chain_free(MOVE(opening->chain));
    replay_take(replay);
    return true;
}
