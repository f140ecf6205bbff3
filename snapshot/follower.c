/* One position for all that is followed, and one instant at which all of it is frozen. */
#include "snapshot/follower_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <string.h>

/* A database's position begins at 1 when it is attached. The mutex is held. */
static uint64_t count_commits(struct follower *follower)
{
    uint64_t commits = follower->departed;

    for (size_t at = 0; at < follower->count; at++)
        commits += database_position(follower->followed[at].source.database) - 1;
    return commits;
}

uint64_t follower_commits(struct follower *follower)
{
    MUTEX_GUARD(&follower->mutex);
    return count_commits(follower);
}

uint64_t follower_position(struct follower *follower)
{
    uint64_t events = watch_drain(follower->watch);

    MUTEX_GUARD(&follower->mutex);
    return events + follower->noted + count_commits(follower);
}

void follower_note_change(struct follower *follower)
{
    MUTEX_GUARD(&follower->mutex);
    follower->noted++;
}

int follower_watch_fd(const struct follower *follower)
{
    return watch_fd(follower->watch);
}

bool follower_is_partial(const struct follower *follower)
{
    return watch_is_partial(follower->watch);
}

const struct globs *follower_database_names(const struct follower *follower)
{
    return follower->config.databases;
}

struct followed *follower_find(struct follower *follower, const char *path)
{
    for (size_t at = 0; at < follower->count; at++)
        if (strcmp(follower->followed[at].source.path, path) == 0)
            return &follower->followed[at];
    return NULL;
}

void follower_drop(struct follower *follower, struct followed *gone)
{
    struct database *database = gone->source.database;
    char *path = (char *)(uintptr_t)gone->source.path;
    size_t at = (size_t)(gone - follower->followed);

    if (follower->leave)
        follower->leave(follower->leave_context, database);
    mutex_locked(&follower->mutex);
    follower->departed += database_position(database) - 1;
    follower->noted++;
    memmove(gone, gone + 1, (follower->count - at - 1) * sizeof(*gone));
    follower->count--;
    pthread_mutex_unlock(&follower->mutex);
    watch_forget_database(follower->watch, path);
    database_detach(database);
    free(path);
}

void follower_tend(struct follower *follower)
{
    for (size_t at = follower->count; at > 0; at--) {
        struct followed *followed = &follower->followed[at - 1];
        struct err why = {0};
        if (database_tend(followed->source.database, &why) || why.code == ERR_TRANSIENT)
            continue;
        /* It may be the collecting alone that can't go on: without it the next round tells. */
        if (why.code != ERR_NOT_FOUND && follower->leave && database_collects(followed->source.database)) {
            follower->leave(follower->leave_context, followed->source.database);
            continue;
        }
        if (why.code != ERR_NOT_FOUND)
            follower_avoid(follower, followed->source.path, NULL, &why);
        follower_drop(follower, followed);
    }
}

bool follower_keep_logs_short(struct follower *follower)
{
    bool are_there = true;

    for (size_t at = 0; at < follower->count; at++) {
        struct err why = {0};
        if (!database_tend(follower->followed[at].source.database, &why))
            are_there = are_there && why.code != ERR_NOT_FOUND;
    }
    return are_there;
}

bool follower_is_rushed(const struct follower *follower)
{
    for (size_t at = 0; at < follower->count; at++)
        if (database_is_rushed(follower->followed[at].source.database))
            return true;
    return false;
}

bool follower_freeze(struct follower *follower, uint64_t deadline_ms, struct follower_frozen *ret_frozen,
                     struct err *err)
{
    struct database *databases[DATABASES_MAX];
    struct follower_frozen frozen;
    /* Before the commits: an event that came between a commit and its look would else make up for the commit
     * in the sum, and it would pass for contained. */
    uint64_t events = watch_drain(follower->watch);

    for (size_t at = 0; at < follower->count; at++)
        databases[at] = follower->followed[at].source.database;
    if (follower->count > 0 &&
        !database_freeze(databases, follower->count, deadline_ms, follower->config.canceled, err))
        return false;
    frozen.commits = follower->departed;
    for (size_t at = 0; at < follower->count; at++)
        frozen.commits += database_frozen(databases[at])->position - 1;
    frozen.position = events + follower->noted + frozen.commits;
    *ret_frozen = frozen;
    return true;
}

void follower_on_leave(struct follower *follower,
                       void (*leave)(void *context, const struct database *database), void *context)
{
    follower->leave = leave;
    follower->leave_context = context;
}

uint64_t follower_file_changes(struct follower *follower)
{
    return watch_drain(follower->watch) + follower->noted;
}

void follower_thaw(struct follower *follower)
{
    for (size_t at = 0; at < follower->count; at++)
        database_thaw(follower->followed[at].source.database);
}

uint64_t follower_frozen_growth(const struct follower *follower)
{
    uint64_t most = 0;

    for (size_t at = 0; at < follower->count; at++) {
        uint64_t growth = database_log_growth(follower->followed[at].source.database);
        most = growth > most ? growth : most;
    }
    return most;
}

struct base_database *follower_databases(struct follower *follower, size_t *ret_count)
{
    for (size_t at = 0; at < follower->count; at++)
        follower->list[at] = follower->followed[at].source;
    *ret_count = follower->count;
    return follower->list;
}

const struct base_database *follower_database(struct follower *follower, const char *path)
{
    const struct followed *followed = follower_find(follower, path);

    return followed ? &followed->source : NULL;
}

void follower_set_incarnation(struct follower *follower, const char *path, uint64_t incarnation)
{
    struct followed *followed = follower_find(follower, path);

    if (followed)
        followed->source.incarnation = incarnation;
}

bool follower_open(const struct follower_config *config, struct follower **ret_follower, struct err *err)
{
    struct follower *follower = xcalloc(1, sizeof(*follower));
    bool steady = false;

    follower->config = *config;
    follower->noted = 1;
    follower->touched = (struct touched){.most = TOUCHED_MAX};
    follower->written = (struct touched){.most = TOUCHED_MAX};
    follower_unsettle(follower);
    pthread_mutex_init(&follower->mutex, NULL);
    if (!watch_open(config->directory_fd, config->exclude, &follower->watch, err) ||
        !follower_refresh(follower, FOLLOWER_WHOLE, NULL, NULL, &steady, err)) {
        follower_free(follower);
        return false;
    }
    *ret_follower = follower;
    return true;
}

void follower_free(struct follower *follower)
{
    if (!follower)
        return;
    while (follower->count > 0)
        follower_drop(follower, &follower->followed[follower->count - 1]);
    follower_clear_avoided(follower);
    follower_clear_refused(follower);
    follower_clear_looks(follower);
    watch_free(follower->watch);
    pthread_mutex_destroy(&follower->mutex);
    free(follower);
}
