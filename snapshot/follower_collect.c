/* One moment of all databases, for a record.
 *
 * Where an application always commits to one database before the other, no restored state may show the second
 * without the first. To read the one and then the other would: a pair of commits may fall between the two
 * readings. So all headers are read twice, and count only if nothing moved from the last reading of the first
 * round to the first reading of the second: then there was one instant at which all of them stood so. */
#include "base/clock.h"
#include "snapshot/follower_internal.h"
#include "snapshot/wal_index.h"

#include <assert.h>

enum { ROUNDS_MAX = 1000, ROUND_PAUSE_EVERY = 50 };

struct moment {
    struct wal_index_header headers[DATABASES_MAX];
    uint64_t positions[DATABASES_MAX];
};

static bool read_all(struct follower *follower, struct moment *moment)
{
    for (size_t at = 0; at < follower->count; at++)
        if (!database_position_at(follower->followed[at].source.database, &moment->headers[at],
                                  &moment->positions[at]))
            return false; /* torn: a commit is being made */
    return true;
}

/* An application that was killed while it published a commit leaves its header torn for good. */
static void repair_all(struct follower *follower)
{
    struct err busy = {0}; /* somebody commits just now */

    for (size_t at = 0; at < follower->count; at++)
        (void)!database_repair(follower->followed[at].source.database, &busy);
}

static bool is_same(const struct follower *follower, const struct moment *one, const struct moment *other)
{
    for (size_t at = 0; at < follower->count; at++)
        if (!wal_index_equal(&one->headers[at], &other->headers[at]))
            return false;
    return true;
}

/* A single database needs no second reading: each of its headers is a moment. */
static bool find_moment(struct follower *follower, struct moment *moment, struct err *err)
{
    struct moment again;

    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        if (read_all(follower, moment) &&
            (follower->count < 2 || (read_all(follower, &again) && is_same(follower, moment, &again))))
            return true;
        if (round % ROUND_PAUSE_EVERY != ROUND_PAUSE_EVERY - 1)
            continue;
        if (!clock_pause(1, follower->config.canceled))
            return err_set(err, ERR_CANCELED, "canceled");
        repair_all(follower);
    }
    return err_set(err, ERR_TRANSIENT, "the databases never stand still together");
}

bool follower_collect(struct follower *follower, struct follower_frozen *ret_moment, struct err *err)
{
    /* Before the commits, as in follower_freeze(). */
    uint64_t events = watch_drain(follower->watch);
    struct follower_frozen moment;
    struct moment found;

    if (!find_moment(follower, &found, err))
        return false;
    moment.commits = follower->departed;
    for (size_t at = 0; at < follower->count; at++) {
        struct database *database = follower->followed[at].source.database;
        if (database_collects(database) && !database_collect(database, &found.headers[at], err))
            return false;
        moment.commits += found.positions[at] - 1;
    }
    moment.position = events + follower->noted + moment.commits;
    *ret_moment = moment;
    return true;
}
