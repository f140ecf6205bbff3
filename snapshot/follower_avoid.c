/* Databases that are there and aren't followed.
 *
 * What is committed in them reaches no record, and nobody can tell how much that is. So each counts as one
 * change, in the position, from when it was first known: as long as there is one, not everything is in the
 * store. That one is followed after all, or has gone, is a change too.
 *
 * An attempt opens the file for writing, which is a file event like any other and wakes everything up. So it
 * is made only where it may succeed: not while another process has the file locked, which costs next to
 * nothing to find out. */
#include "snapshot/follower_internal.h"

#include "base/buf.h"
#include "base/clock.h"
#include "snapshot/guarded_file.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 5000,
    RETRY_MAX_MS = 60000, /* while nobody has written to it, and it isn't locked either */
};

static int compare_path(const void *path, const void *avoided)
{
    return strcmp(path, ((const struct avoided *)avoided)->path);
}

static int compare_found(const void *path, const void *found)
{
    return strcmp(path, ((const struct scan_database *)found)->path);
}

struct avoided *follower_find_avoided(struct follower *follower, const char *path)
{
    if (follower->avoided_count == 0)
        return NULL;
    return bsearch(path, follower->avoided, follower->avoided_count, sizeof(follower->avoided[0]),
                   compare_path);
}

static struct avoided *add_avoided(struct follower *follower, const char *path)
{
    size_t at = follower->avoided_count;
    struct avoided *added;

    if (follower->avoided_count == follower->avoided_capacity) {
        follower->avoided_capacity = follower->avoided_capacity ? follower->avoided_capacity * 2 : 8;
        follower->avoided =
            xrealloc(follower->avoided, follower->avoided_capacity * sizeof(follower->avoided[0]));
    }
    while (at > 0 && strcmp(path, follower->avoided[at - 1].path) < 0)
        at--;
    added = &follower->avoided[at];
    memmove(added + 1, added, (follower->avoided_count - at) * sizeof(*added));
    follower->avoided_count++;
    *added = (struct avoided){
        .path = xstrdup(path), .since_ms = clock_monotonic_ms(), .since_ns = clock_unix_ns()};
    follower_note_change(follower);
    return added;
}

static void explain(struct follower *follower, struct avoided *avoided, const char *why)
{
    if (avoided->why && strcmp(avoided->why, why) == 0)
        return;
    free(avoided->why);
    avoided->why = xstrdup(why);
    follower->avoided_changes++;
}

struct statx follower_file_at(const struct follower *follower, const char *path)
{
    struct statx status = {0};

    (void)statx(follower->config.directory_fd, path, AT_SYMLINK_NOFOLLOW,
                STATX_INO | STATX_BTIME | STATX_SIZE | STATX_CTIME | STATX_NLINK, &status);
    return status;
}

static bool is_same_time(const struct statx_timestamp *one, const struct statx_timestamp *other)
{
    return one->tv_sec == other->tv_sec && one->tv_nsec == other->tv_nsec;
}

bool follower_is_same_file(const struct statx *one, const struct statx *other)
{
    return one->stx_ino == other->stx_ino && is_same_time(&one->stx_btime, &other->stx_btime);
}

bool follower_is_unchanged(const struct statx *one, const struct statx *other)
{
    return follower_is_same_file(one, other) && one->stx_size == other->stx_size &&
           is_same_time(&one->stx_ctime, &other->stx_ctime);
}

/* One that is attached under another name stays as it is, too. */
static bool is_kept_locked(const struct follower *follower, const char *path)
{
    CLEANUP(guarded_file_closep) int fd = -1;
    struct err why = {0};

    if (!guarded_file_open(follower->config.directory_fd, path, &fd, &why))
        return why.code == ERR_CONFLICT;
    return database_file_is_locked(fd);
}

bool follower_may_try(struct follower *follower, struct avoided *avoided)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (avoided->retry_ms == 0 || now_ms < avoided->retry_ms)
        return avoided->retry_ms == 0;
    if (!is_kept_locked(follower, avoided->path))
        return true;
    avoided->retry_ms = now_ms + RETRY_MS;
    return false;
}

static uint64_t next_pause_ms(const struct avoided *avoided, const struct statx *seen)
{
    uint64_t pause_ms = 2 * avoided->pause_ms;

    if (pause_ms == 0 || !seen || !follower_is_unchanged(&avoided->seen, seen))
        return RETRY_MS;
    return pause_ms < RETRY_MAX_MS ? pause_ms : RETRY_MAX_MS;
}

void follower_avoid(struct follower *follower, const char *path, const struct statx *seen,
                    const struct err *why)
{
    struct avoided *avoided = follower_find_avoided(follower, path);

    if (!avoided || avoided->is_passive)
        follower_warn(follower, "%s is not protected, %s: %s", path,
                      why->code == ERR_CONFLICT ? "let the application share it in WAL mode"
                                                : "mend it or name it in HOLDFAST_EXCLUDE",
                      why->text);
    if (!avoided)
        avoided = add_avoided(follower, path);
    explain(follower, avoided, why->text);
    avoided->is_passive = false;
    avoided->pause_ms = next_pause_ms(avoided, seen);
    avoided->seen = seen ? *seen : (struct statx){0};
    avoided->retry_ms = clock_monotonic_ms() + avoided->pause_ms;
}

static void avoid_for_good(struct follower *follower, const char *path, const char *why)
{
    struct avoided *avoided = follower_find_avoided(follower, path);

    if (!avoided)
        avoided = add_avoided(follower, path);
    explain(follower, avoided, why);
    avoided->is_passive = true;
    avoided->retry_ms = 0;
}

void follower_avoid_excess(struct follower *follower, const char *path)
{
    avoid_for_good(follower, path, "there are more databases than can be followed");
    if (!follower->warned_full)
        follower_warn(follower, "more than %d databases; %.150s and others are not protected", DATABASES_MAX,
                      path);
    follower->warned_full = true;
}

void follower_avoid_plain(struct follower *follower, const char *path)
{
    avoid_for_good(follower, path,
                   "what is in its -wal or -journal is in no record, since it can't be written or "
                   "HOLDFAST_DATABASES leaves it out");
    if (!follower->warned_plain)
        follower_warn(follower,
                      "%.100s is kept as a plain file, without what is in its -wal or -journal: it can't be "
                      "written, or HOLDFAST_DATABASES leaves it out",
                      path);
    follower->warned_plain = true;
}

void follower_forget_avoided(struct follower *follower, struct avoided *avoided)
{
    size_t at = (size_t)(avoided - follower->avoided);

    assert(at < follower->avoided_count);
    free(avoided->path);
    free(avoided->why);
    memmove(avoided, avoided + 1, (--follower->avoided_count - at) * sizeof(*avoided));
    follower->avoided_changes++;
    follower_note_change(follower);
}

void follower_forget_vanished(struct follower *follower, const struct scan_result *scan)
{
    for (size_t at = follower->avoided_count; at > 0; at--) {
        struct avoided *avoided = &follower->avoided[at - 1];
        if (scan->databases_count == 0 || !bsearch(avoided->path, scan->databases, scan->databases_count,
                                                   sizeof(scan->databases[0]), compare_found))
            follower_forget_avoided(follower, avoided);
    }
}

void follower_clear_avoided(struct follower *follower)
{
    while (follower->avoided_count > 0)
        follower_forget_avoided(follower, &follower->avoided[follower->avoided_count - 1]);
    free(MOVE(follower->avoided));
}

void follower_try_again(struct follower *follower)
{
    for (size_t at = 0; at < follower->avoided_count; at++)
        follower->avoided[at].retry_ms = 0;
}

size_t follower_left_out_count(const struct follower *follower)
{
    return follower->avoided_count;
}

struct left_out follower_left_out(const struct follower *follower, size_t at)
{
    const struct avoided *avoided = &follower->avoided[at];

    assert(at < follower->avoided_count);
    return (struct left_out){avoided->path, avoided->why, avoided->since_ms, avoided->since_ns};
}

uint64_t follower_left_out_since_ms(const struct follower *follower)
{
    uint64_t since_ms = 0;

    for (size_t at = 0; at < follower->avoided_count; at++)
        if (since_ms == 0 || follower->avoided[at].since_ms < since_ms)
            since_ms = follower->avoided[at].since_ms;
    return since_ms;
}

uint64_t follower_left_out_changes(const struct follower *follower)
{
    return follower->avoided_changes;
}
