/* HOLDFAST_RESTORE_AT: an earlier state of the data directory becomes the newest one.
 *
 * A record's header says of its state all that a head's says of the newest: so that record takes the head's
 * place as the goal of this start, and the restore is the usual one. Then a base that restarts the state is
 * appended, which says in its header what was asked for. All headers after it repeat that, so a container
 * that starts again with the same environment, on whatever disk, sees in the head that it was done.
 *
 * That base is confirmed before the backend is launched: a write that the backend answered in between would
 * be undone by the next start. (Nothing else is published so early. But this state was served before, so the
 * reason for waiting, a first boot that is half done, can't apply.) Until it is sent, the state file marks
 * the directory as being restored, and a crash repeats everything. What lies here from the end of the
 * exchange on came from the store, so the mark is then "in place": a repetition must not set it aside, for
 * that could push out what really was local. */
#include "snapshot/opening.h"

#include "snapshot/archive.h"
#include "snapshot/reader.h"

#include <assert.h>
#include <inttypes.h>

enum { LOOKS_MAX = 3 };

static bool find_goal(struct opening *opening, struct err *err)
{
    struct start *start = &opening->start;
    CLEANUP(archive_clear) struct archive archive = archive_of(start->store, &start->lineage);
    struct chain_anchor head = start_head(start);
    struct record record;
    uint64_t position = 0;

    if (!reader_find_point(start->store, &opening->engine->config.restore_at, &position, err))
        return false;
    opening->taken_from = position < head.position ? position : head.position;
    if (opening->taken_from == head.position)
        return true;
    if (!archive_read(&archive, position, &record, err))
        return false;
    start_set_goal(start, &record.header, &record.hash);
    return true;
}

bool opening_find_goal(struct opening *opening, struct err *err)
{
    engine_set_step(opening->engine, "looking for the point that HOLDFAST_RESTORE_AT names");
    for (int look = 1; !find_goal(opening, err); look++) {
        /* What is absent was pruned by an owner that is still at work, which the next look tells, or is
         * missing. */
        if (err->code == ERR_NOT_FOUND && look < LOOKS_MAX)
            continue;
        if (err->code == ERR_NOT_FOUND)
            err->code = ERR_CORRUPT;
        return err_wrap(err, "HOLDFAST_RESTORE_AT");
    }
    return true;
}

/* What is here came from the store: a repetition replaces it and sets nothing aside. */
static bool mark_replaceable(struct opening *opening, struct err *err)
{
    opening->state.restoring = RESTORING_IN_PLACE;
    opening->state.aside[0] = '\0';
    return state_save(opening->engine->directory_fd, &opening->state, err);
}

bool opening_learn_superseded(struct opening *opening, struct err *err)
{
    struct start *start = &opening->start;
    bool is_head = start->goal.position == 0;
    struct err why = {0};

    opening_end_restore(opening);
    if (!mark_replaceable(opening, err))
        return false;
    if (is_head)
        return true; /* it is what was restored */
    start_set_goal(start, NULL, NULL);
    start_forget_manifest(start);
    if (start_load_manifest(start, &why) && opening_begin_records(opening, &why) &&
        opening_apply_records(opening, NULL, &why))
        return true;
    start_forget_manifest(start);
    opening_end_restore(opening);
    if (why.code != ERR_CORRUPT && why.code != ERR_NOT_FOUND) {
        *err = why;
        return false;
    }
    /* Going back to before the damage may be why this was asked for. */
    err_prefix(&why, "the state that is superseded can't be read, so all files are uploaded anew");
    engine_warn(opening->engine, why.text);
    return true;
}

static void use_store(struct shipper *shipper, struct store *store)
{
    shipper->store = store;
    shipper->log.store = store;
}

bool opening_supersede(struct opening *opening, struct err *err)
{
    struct engine *engine = opening->engine;
    struct shipper *shipper = &engine->shipper;
    struct roll_back roll_back = {engine->config.restore_at, opening->taken_from};
    bool shipped;

    engine_set_step(engine, "superseding what came after record %" PRIu64, opening->taken_from);
    /* A start has its own patience with the store. */
    use_store(shipper, engine->patient);
    shipped = shipper_roll_back(shipper, &roll_back,
                                opening->start.has_manifest ? &opening->start.manifest : NULL, err);
    use_store(shipper, engine->serving);
    if (!shipped)
        return err_wrap(err, "append the base that rolls back");
    opening->start.has_manifest = false;
    return shipper_save_state(shipper, err);
}
