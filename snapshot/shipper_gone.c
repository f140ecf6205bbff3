/* What a start after a crash must know of databases that went before anything could be shipped.
 *
 * The log names a database, and the disk that was kept doesn't have it: has the application deleted it, or is
 * the disk not what it was? Only who watched can tell, so it is written down when it is seen, before anything
 * else is done about it (gone.h). Noted is each database that is let go of, for whatever reason, and what has
 * its name then and later: one that could merely not be followed for a moment still has its own, which proves
 * nothing; and the next look may find it deleted. */
#include "snapshot/shipper_internal.h"

#include "base/clock.h"

enum { PAUSE_MS = 50 }; /* between two writes while something else is waited for */

/* What no record can hold yet needs no proof. */
static bool may_be_shipped(const struct shipper *shipper, uint64_t incarnation)
{
    const struct state *state = &shipper->state;

    return incarnation != 0 &&
           (incarnation <= state->shipped.position || incarnation <= state->sending.position);
}

static void note(struct shipper *shipper, const struct base_database *source)
{
    struct file_id was = database_file(source->database);

    if (!may_be_shipped(shipper, source->incarnation) ||
        gone_has(&shipper->state.gone, source->path, source->incarnation))
        return;
    gone_add(&shipper->state.gone, source->path, source->incarnation, &was);
    shipper->gone_is_unsaved = true;
}

void shipper_note_gone(struct shipper *shipper, const struct database *database)
{
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);

    for (size_t at = 0; at < count; at++)
        if (databases[at].database == database)
            note(shipper, &databases[at]);
}

void shipper_follow_gone(struct shipper *shipper)
{
    if (gone_look(&shipper->state.gone, shipper->directory_fd) || shipper->gone_is_unsaved)
        shipper_remember(shipper);
}

static void note_stale(struct shipper *shipper)
{
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);

    for (size_t at = 0; at < count; at++)
        if (database_is_stale(databases[at].database))
            note(shipper, &databases[at]);
}

/* The sender is at work, perhaps for seconds, so this thread writes; and it may move the log, so what the
 * state file says of that stays as it was when the sending began. */
void shipper_follow_gone_meanwhile(struct shipper *shipper, bool are_there)
{
    uint64_t now_ms = clock_monotonic_ms();
    struct err ignored = {0}; /* the next look tries again */

    if (shipper->is_saving)
        return;
    if (!are_there)
        note_stale(shipper);
    if (gone_look(&shipper->state.gone, shipper->directory_fd))
        shipper->gone_is_unsaved = true;
    if (!shipper->gone_is_unsaved || now_ms - shipper->gone_saved_ms < PAUSE_MS)
        return;
    shipper->gone_saved_ms = now_ms;
    shipper->gone_is_unsaved = !state_save(shipper->directory_fd, &shipper->state, &ignored);
}
