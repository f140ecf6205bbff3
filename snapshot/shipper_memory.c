/* What this disk remembers of what was shipped, so that the next start can tell whether it still has it.
 *
 * The state file is a hint and never an authority, so nothing waits for it while an application is served. It
 * is written before a record is sent, after it was confirmed, and when the log of a database has gone on in
 * another generation: the marks of a state are its place in one generation, and the next one can be told to
 * follow it only by somebody who watched. */
#include "snapshot/shipper.h"

#include <string.h>

static bool save(void *context, struct err *err)
{
    struct shipper *shipper = context;

    return state_save(shipper->directory_fd, &shipper->state, err);
}

bool shipper_save_state(struct shipper *shipper, struct err *err)
{
    bool saved;

    shipper->state.lineage = shipper->log.newest.lineage;
    shipper->state.confirmed = shipper->log.newest;
    shipper->state.confirmed_hash = shipper->log.newest_hash;
    (void)gone_look(&shipper->state.gone, shipper->directory_fd);
    shipper->gone_is_unsaved = false;
    shipper->is_saving = true;
    /* A disk that is busy takes its time to sync. */
    saved = pool_run(shipper->sender, &shipper->meanwhile, save, shipper, err);
    shipper->is_saving = false;
    return saved;
}

/* While serving, a state file that can't be written (a full disk) must not keep anything from the store: what
 * it says is a hint, and an old one only makes the next start fetch instead of keep. */
void shipper_remember(struct shipper *shipper)
{
    struct err why = {0};

    if (shipper_save_state(shipper, &why)) {
        shipper->warned_state = false;
        return;
    }
    if (shipper->warned_state)
        return;
    shipper->warned_state = true;
    err_prefix(&why, "shipping goes on, but");
    shipper->warn(shipper->warn_context, why.text);
}

void shipper_note_answer(struct shipper *shipper)
{
    if (shipper->state.answered)
        return;
    shipper->state.answered = true;
    shipper_remember(shipper);
}

void shipper_remember_marks(struct shipper *shipper, struct state_point *point)
{
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);

    state_point_clear(point);
    point->databases = xcalloc(count, sizeof(point->databases[0]));
    for (size_t at = 0; at < count; at++) {
        point->databases[at].path = xstrdup(databases[at].path);
        if (database_collects(databases[at].database))
            database_mark_collected(databases[at].database, &point->databases[at].mark);
        else
            database_mark(databases[at].database, &point->databases[at].mark);
    }
    point->databases_count = count;
}

/* True if the log of the database goes on in one that the mark doesn't name yet. */
static bool follow_mark(struct database_mark *mark, const struct base_database *source)
{
    struct database_mark now;

    database_mark(source->database, &now);
    if (now.inode != mark->inode || memcmp(now.tail_salt, mark->tail_salt, sizeof(now.tail_salt)) == 0)
        return false;
    memcpy(mark->tail_salt, now.tail_salt, sizeof(now.tail_salt));
    return true;
}

/* Only where the database was followed without a gap since: a later incarnation was not. */
static bool is_in_previous(const struct shipper *shipper, const struct base_database *source)
{
    const struct manifest_database *before = manifest_find_database(&shipper->previous, source->path);

    return before && before->incarnation == source->incarnation;
}

void shipper_remember_shipped(struct shipper *shipper)
{
    struct state_point *point = &shipper->state.shipped;
    size_t kept = 0;

    shipper_remember_marks(shipper, point);
    for (size_t at = 0; at < point->databases_count; at++) {
        const struct base_database *source = follower_database(shipper->follower, point->databases[at].path);
        if (source && is_in_previous(shipper, source))
            point->databases[kept++] = point->databases[at];
        else
            free(point->databases[at].path);
    }
    point->databases_count = kept;
    point->position = shipper->log.newest.data_position;
}

void shipper_follow_logs(struct shipper *shipper)
{
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);
    bool moved = false;

    if (shipper->databases_move)
        return;
    for (size_t at = 0; at < count; at++) {
        struct database_mark *mark = state_mark_of(&shipper->state.shipped, databases[at].path);
        if (mark && is_in_previous(shipper, &databases[at]))
            moved = follow_mark(mark, &databases[at]) || moved;
    }
    if (moved)
        shipper_remember(shipper);
}
