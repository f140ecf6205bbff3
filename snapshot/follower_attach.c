/* Databases are found by content, attached while they live, and let go when they vanish, are replaced or
 * aren't shared. The application is never waited for longer than an instant: what is in the way now is tried
 * again soon. Until then the state is not complete, and nothing may be shipped that would lack it. */
#include "snapshot/follower_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum {
    CONVERT_MS = 2000, /* for the first attempts of one look; between the tries the application has its way */
    AGAIN_MS = 20,     /* for each, at least, and for one that was let go: all others wait meanwhile */
    ATTACH_RETRY_MS = 500,
};

void follower_warn(const struct follower *follower, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    follower->config.warn(follower->config.warn_context, text);
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
    follower->noted++;
}

/* SQLite has refused what stood there before. */
static bool refuse(struct follower *follower, const char *path, const struct statx *before)
{
    struct stat status;
    struct statx after;

    if (fstatat(follower->config.directory_fd, path, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    after = follower_file_at(follower, path);
    if (!follower_is_unchanged(before, &after) || after.stx_ino != status.st_ino ||
        after.stx_size != (uint64_t)status.st_size || after.stx_ctime.tv_nsec != status.st_ctim.tv_nsec)
        return false;
    follower_refuse(follower, path, &status);
    return true;
}

static bool is_renamed(const struct statx *file)
{
    return file->stx_nlink == 1 &&
           database_is_attached(makedev(file->stx_dev_major, file->stx_dev_minor), file->stx_ino);
}

static void leave_out(struct follower *follower, const char *path, const struct statx *before,
                      const struct err *why)
{
    struct statx after = follower_file_at(follower, path);

    if (why->code == ERR_NOT_FOUND && (after.stx_size == 0 || !follower_is_same_file(before, &after)))
        return;
    /* Of a file that has another's name by now nothing is known; one that got a new name is still attached
     * under the old one, or its index is. */
    if (why->code == ERR_TRANSIENT || !follower_is_same_file(before, &after) || is_renamed(&after)) {
        (void)snprintf(follower->waiting, sizeof(follower->waiting), "%s", path);
        return;
    }
    follower_avoid(follower, path, &after, why);
}

/* true and *ret_attached false: not now. */
static bool attach(struct follower *follower, const struct scan_database *found, uint64_t deadline_ms,
                   bool *ret_attached, struct err *err)
{
    CLEANUP(freep) char *path = xasprintf("%s/%s", follower->config.directory_path, found->path);
    struct statx before = follower_file_at(follower, found->path);
    struct database *database = NULL;
    struct err why = {0};
    bool converted = database_convert(path, deadline_ms, follower->config.canceled, &why);

    *ret_attached =
        converted && database_attach(path, deadline_ms, follower->config.canceled, &database, &why);
    if (*ret_attached) {
        watch_ignore_database(follower->watch, found->path);
        add_followed(follower, found, database);
        return true;
    }
    if (why.code == ERR_CANCELED) {
        *err = why;
        return false;
    }
    if (converted || why.code != ERR_CORRUPT || !refuse(follower, found->path, &before))
        leave_out(follower, found->path, &before, &why);
    return true;
}

/* Not one that follower_try_again() asks for. */
static bool is_on_its_own(const struct avoided *avoided)
{
    return avoided->retry_ms > 0;
}

static uint64_t attempt_deadline_ms(const struct avoided *avoided, uint64_t patient_ms)
{
    uint64_t least_ms = clock_monotonic_ms() + AGAIN_MS;

    return (avoided && is_on_its_own(avoided)) || patient_ms < least_ms ? least_ms : patient_ms;
}

/* One that is followed now, and perhaps was not before. */
static void welcome(struct follower *follower, const char *path)
{
    struct avoided *avoided = follower_find_avoided(follower, path);

    if (follower_accept(follower, path) || (avoided && is_on_its_own(avoided)))
        follower_warn(follower, "%s can be followed now, and is protected from here on", path);
    if (avoided)
        follower_forget_avoided(follower, avoided);
}

/* One that was found is attached, if that can be now. */
static bool attach_one(struct follower *follower, const struct scan_database *found, uint64_t patient_ms,
                       bool *ret_steady, struct err *err)
{
    struct avoided *avoided = follower_find_avoided(follower, found->path);
    bool attached = false;

    if (found->is_plain) {
        follower_avoid_plain(follower, found->path);
        return true;
    }
    if (follower_find(follower, found->path) || (avoided && !follower_may_try(follower, avoided)))
        return true;
    if (follower->count == DATABASES_MAX) {
        follower_avoid_excess(follower, found->path);
        return true;
    }
    if (!attach(follower, found, attempt_deadline_ms(avoided, patient_ms), &attached, err))
        return false;
    *ret_steady = *ret_steady && !attached;
    if (attached)
        welcome(follower, found->path);
    return true;
}

static bool attach_new(struct follower *follower, const struct scan_result *scan, bool *ret_steady,
                       struct err *err)
{
    uint64_t patient_ms = clock_monotonic_ms() + CONVERT_MS;

    follower->waiting[0] = '\0';
    follower_forget_vanished(follower, scan);
    for (size_t at = 0; at < scan->databases_count; at++)
        if (!attach_one(follower, &scan->databases[at], patient_ms, ret_steady, err))
            return false;
    return true;
}

void follower_drop_stale(struct follower *follower, bool *ret_steady)
{
    for (size_t at = follower->count; at > 0; at--) {
        struct followed *followed = &follower->followed[at - 1];
        if (!database_is_stale(followed->source.database))
            continue;
        follower_drop(follower, followed);
        *ret_steady = false;
    }
}

static void warn_of(struct follower *follower, const struct scan_result *scan)
{
    if (scan->skipped > 0 && !follower->warned_skipped)
        follower_warn(follower, "sockets, fifos and devices are not kept: %.180s", scan->skipped_example);
    if (scan->orphan_wal[0] && !follower->warned_orphan)
        follower_warn(follower, "%.180s has a -wal beside it and is no SQLite database that can be followed",
                      scan->orphan_wal);
    follower->warned_skipped = follower->warned_skipped || scan->skipped > 0;
    follower->warned_orphan = follower->warned_orphan || scan->orphan_wal[0];
}

bool follower_attach_found(struct follower *follower, const struct scan_result *scan, bool *ret_steady,
                           struct err *err)
{
    warn_of(follower, scan);
    return attach_new(follower, scan, ret_steady, err);
}

bool follower_wants_attempt(struct follower *follower, uint64_t now_ms)
{
    if (follower->waiting[0] && now_ms - follower->part.ended_ms >= ATTACH_RETRY_MS)
        return true;
    for (size_t at = 0; at < follower->avoided_count; at++)
        if (!follower->avoided[at].is_passive && follower_may_try(follower, &follower->avoided[at]))
            return true;
    return false;
}

bool follower_is_complete(const struct follower *follower, const struct manifest *previous, struct err *err)
{
    if (follower->waiting[0])
        return err_set(err, ERR_TRANSIENT, "%s is in use in a way that keeps it from being followed",
                       follower->waiting);
    for (size_t at = 0; at < follower->avoided_count; at++)
        if (previous && manifest_find_database(previous, follower->avoided[at].path))
            return err_set(err, ERR_TRANSIENT,
                           "%s was protected and can't be followed any more; share it again, or name it in "
                           "HOLDFAST_EXCLUDE",
                           follower->avoided[at].path);
    return true;
}
