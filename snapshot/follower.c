/* Databases are found by content, attached while they live, and let go when they vanish, are replaced or
 * aren't shared. The application is never waited for longer than an instant: what is in the way now is tried
 * again at the next look. */
#include "snapshot/follower.h"

#include "base/clock.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    DATABASES_MAX = 64,
    CONVERT_MS = 2000, /* for one attempt; between the tries the application has its way */
    LET_GO_RETRY_MS = 5000,
    FROZEN_LOG_MAX = 8 << 20, /* a frozen file keeps its log growing */
};

struct followed {
    struct base_database source; /* path owned */
    uint64_t device;
    uint64_t inode;
};

/* One that can't be followed now. */
struct avoided {
    char *path;
    uint64_t retry_ms;
};

struct follower {
    struct follower_config config;
    struct watch *watch;
    uint64_t scanned_events; /* the watch's counter before the last scan */
    bool scanned;

    pthread_mutex_t mutex; /* guards what follows, which follower_position() reads from any thread */
    struct followed followed[DATABASES_MAX];
    size_t count;
    uint64_t retired; /* begins at 1; positions of databases that are gone, so that the sum never falls */

    struct base_database list[DATABASES_MAX]; /* what follower_databases() shows */
    struct avoided avoided[DATABASES_MAX];
    size_t avoided_count;
    bool warned_skipped;
    bool warned_orphan;
    bool warned_full;
};

static void warn(const struct follower *follower, const char *format, ...) PRINTF_LIKE(2, 3);

static void warn(const struct follower *follower, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    follower->config.warn(follower->config.warn_context, text);
}

uint64_t follower_commits(struct follower *follower)
{
    uint64_t commits;

    MUTEX_GUARD(&follower->mutex);
    commits = follower->retired;
    for (size_t at = 0; at < follower->count; at++)
        commits += database_position(follower->followed[at].source.database);
    return commits;
}

uint64_t follower_position(struct follower *follower)
{
    return watch_drain(follower->watch) + follower_commits(follower);
}

void follower_note_change(struct follower *follower)
{
    MUTEX_GUARD(&follower->mutex);
    follower->retired++;
}

int follower_watch_fd(const struct follower *follower)
{
    return watch_fd(follower->watch);
}

bool follower_is_partial(const struct follower *follower)
{
    return watch_is_partial(follower->watch);
}

size_t follower_let_go(const struct follower *follower)
{
    return follower->avoided_count;
}

static struct followed *find_followed(struct follower *follower, const char *path)
{
    for (size_t at = 0; at < follower->count; at++)
        if (strcmp(follower->followed[at].source.path, path) == 0)
            return &follower->followed[at];
    return NULL;
}

/* It leaves, and its position stays in the sum, one higher: that it went is a change too. */
static void let_go(struct follower *follower, struct followed *gone)
{
    struct database *database = gone->source.database;
    char *path = (char *)(uintptr_t)gone->source.path;
    size_t at = (size_t)(gone - follower->followed);

    mutex_locked(&follower->mutex);
    follower->retired += database_position(database) + 1;
    memmove(gone, gone + 1, (follower->count - at - 1) * sizeof(*gone));
    follower->count--;
    pthread_mutex_unlock(&follower->mutex);
    watch_forget_database(follower->watch, path);
    database_detach(database);
    free(path);
}

static struct avoided *find_avoided(struct follower *follower, const char *path)
{
    for (size_t at = 0; at < follower->avoided_count; at++)
        if (strcmp(follower->avoided[at].path, path) == 0)
            return &follower->avoided[at];
    return NULL;
}

static void forget_avoided(struct follower *follower, struct avoided *avoided)
{
    free(avoided->path);
    *avoided = follower->avoided[--follower->avoided_count];
}

static void avoid(struct follower *follower, const char *path, const struct err *why)
{
    struct avoided *avoided = find_avoided(follower, path);

    if (!avoided && follower->avoided_count < DATABASES_MAX) {
        avoided = &follower->avoided[follower->avoided_count++];
        avoided->path = xstrdup(path);
        warn(follower, "%s is not protected: %s", path, why->text);
    }
    if (avoided)
        avoided->retry_ms = clock_monotonic_ms() + LET_GO_RETRY_MS;
}

static void add_followed(struct follower *follower, const struct scan_database *found,
                         struct database *database)
{
    struct followed *followed;
    size_t at = 0;

    MUTEX_GUARD(&follower->mutex);
    while (at < follower->count && strcmp(follower->followed[at].source.path, found->path) < 0)
        at++;
    followed = &follower->followed[at];
    memmove(followed + 1, followed, (follower->count - at) * sizeof(*followed));
    *followed = (struct followed){.source = {.path = xstrdup(found->path), .database = database},
                                  .device = found->device,
                                  .inode = found->inode};
    follower->count++;
    follower->retired++;
}

/* true and *ret_attached false: not now. */
static bool attach(struct follower *follower, const struct scan_database *found, bool *ret_attached,
                   struct err *err)
{
    CLEANUP(freep) char *path = xasprintf("%s/%s", follower->config.directory_path, found->path);
    uint64_t deadline_ms = clock_monotonic_ms() + CONVERT_MS;
    struct database *database = NULL;
    struct err why = {0};

    *ret_attached = false;
    if (!database_convert(path, deadline_ms, follower->config.canceled, &why) ||
        !database_attach(path, deadline_ms, follower->config.canceled, &database, &why)) {
        if (why.code == ERR_CANCELED) {
            *err = why;
            return false;
        }
        if (why.code != ERR_NOT_FOUND && why.code != ERR_TRANSIENT)
            avoid(follower, found->path, &why);
        return true;
    }
    watch_ignore_database(follower->watch, found->path);
    add_followed(follower, found, database);
    *ret_attached = true;
    return true;
}

static bool attach_new(struct follower *follower, const struct scan_result *scan, bool *ret_steady,
                       struct err *err)
{
    for (size_t at = 0; at < scan->databases_count; at++) {
        const struct scan_database *found = &scan->databases[at];
        struct avoided *avoided = find_avoided(follower, found->path);
        bool attached = false;
        if (find_followed(follower, found->path) || (avoided && clock_monotonic_ms() < avoided->retry_ms))
            continue;
        if (follower->count == DATABASES_MAX) {
            if (!follower->warned_full)
                warn(follower, "more than %d databases; %.150s and others are not protected", DATABASES_MAX,
                     found->path);
            follower->warned_full = true;
            return true;
        }
        if (!attach(follower, found, &attached, err))
            return false;
        *ret_steady = *ret_steady && !attached;
        avoided = find_avoided(follower, found->path);
        if (attached && avoided)
            forget_avoided(follower, avoided);
    }
    return true;
}

static void drop_stale(struct follower *follower, bool *ret_steady)
{
    for (size_t at = follower->count; at > 0; at--) {
        struct followed *followed = &follower->followed[at - 1];
        if (!database_is_stale(followed->source.database))
            continue;
        let_go(follower, followed);
        *ret_steady = false;
    }
}

static bool is_attached(void *context, uint64_t device, uint64_t inode)
{
    (void)context;
    return database_is_attached((dev_t)device, (ino_t)inode);
}

static void warn_of(struct follower *follower, const struct scan_result *scan)
{
    if (scan->skipped > 0 && !follower->warned_skipped)
        warn(follower, "sockets, fifos and devices are not kept: %.180s", scan->skipped_example);
    if (scan->orphan_wal[0] && !follower->warned_orphan)
        warn(follower, "%.180s has a -wal beside it and is no SQLite database that can be followed",
             scan->orphan_wal);
    follower->warned_skipped = follower->warned_skipped || scan->skipped > 0;
    follower->warned_orphan = follower->warned_orphan || scan->orphan_wal[0];
}

bool follower_refresh(struct follower *follower, bool always, struct tree *before, struct tree **ret_tree,
                      bool *ret_steady, struct err *err)
{
    uint64_t events = watch_drain(follower->watch);
    struct scan_options options = {.exclude = follower->config.exclude,
                                   .databases = follower->config.databases,
                                   .before = before,
                                   .is_attached = is_attached};
    struct scan_result scan = {0};
    bool attached;

    *ret_steady = true;
    drop_stale(follower, ret_steady);
    if (!always && follower->scanned && *ret_steady && events == follower->scanned_events &&
        follower->avoided_count == 0)
        return true;
    if (!scan_directory(follower->config.directory_fd, &options, &scan, err))
        return err_wrap(err, "look through HOLDFAST_DATA_DIR");
    follower->scanned = true;
    follower->scanned_events = events;
    warn_of(follower, &scan);
    attached = attach_new(follower, &scan, ret_steady, err);
    if (attached && ret_tree)
        *ret_tree = MOVE(scan.tree);
    scan_result_clear(&scan);
    return attached;
}

void follower_tend(struct follower *follower)
{
    for (size_t at = follower->count; at > 0; at--) {
        struct followed *followed = &follower->followed[at - 1];
        struct err why = {0};
        if (database_log_growth(followed->source.database) > FROZEN_LOG_MAX)
            database_thaw(followed->source.database);
        if (database_tend(followed->source.database, &why) || why.code == ERR_TRANSIENT)
            continue;
        if (why.code != ERR_NOT_FOUND)
            avoid(follower, followed->source.path, &why);
        let_go(follower, followed);
    }
}

bool follower_freeze(struct follower *follower, uint64_t deadline_ms, uint64_t *ret_position, struct err *err)
{
    struct database *databases[DATABASES_MAX];
    uint64_t position;

    for (size_t at = 0; at < follower->count; at++)
        databases[at] = follower->followed[at].source.database;
    if (follower->count > 0 &&
        !database_freeze(databases, follower->count, deadline_ms, follower->config.canceled, err))
        return err_wrap(err, "freeze the databases");
    position = watch_drain(follower->watch) + follower->retired;
    for (size_t at = 0; at < follower->count; at++)
        position += database_frozen(databases[at])->position;
    *ret_position = position;
    return true;
}

void follower_thaw(struct follower *follower)
{
    for (size_t at = 0; at < follower->count; at++)
        database_thaw(follower->followed[at].source.database);
}

struct base_database *follower_databases(struct follower *follower, size_t *ret_count)
{
    for (size_t at = 0; at < follower->count; at++)
        follower->list[at] = follower->followed[at].source;
    *ret_count = follower->count;
    return follower->list;
}

void follower_set_incarnation(struct follower *follower, const char *path, uint64_t incarnation)
{
    struct followed *followed = find_followed(follower, path);

    if (followed)
        followed->source.incarnation = incarnation;
}

bool follower_open(const struct follower_config *config, struct follower **ret_follower, struct err *err)
{
    struct follower *follower = xcalloc(1, sizeof(*follower));
    bool steady = false;

    follower->config = *config;
    follower->retired = 1;
    pthread_mutex_init(&follower->mutex, NULL);
    if (!watch_open(config->directory_fd, config->exclude, &follower->watch, err) ||
        !follower_refresh(follower, true, NULL, NULL, &steady, err)) {
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
        let_go(follower, &follower->followed[follower->count - 1]);
    while (follower->avoided_count > 0)
        forget_avoided(follower, &follower->avoided[0]);
    watch_free(follower->watch);
    pthread_mutex_destroy(&follower->mutex);
    free(follower);
}
