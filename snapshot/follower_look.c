/* What is looked at, and when.
 *
 * Looking at every file takes seconds of processor time where there are many, and is done at first, where
 * nothing is known, and now and then as a safety net. Else only what file events have named is looked at,
 * since what was settled: the state of the newest record. Every look goes back that far, so one that fails,
 * or comes to nothing, loses nothing. What was touched is numbered by the first look that comes after it;
 * when the tree of a look has become the state, all up to its number is settled, and what came later is not.
 *
 * A whole scan that finds what no event has told of (a disk that others write to, or a file written through
 * memory) has it shipped, and it is said once. */
#include "snapshot/follower_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    LOOKS_SHARE = 10, /* whole scans take at most one part in so many of the time, and so do others */
    NET_SHARE = 1000, /* or in so many, if only the safety net asks for it */
    NET_MIN_MS = 1000,
    NET_MAX_MS = 10 * 60 * 1000,
    TAKES_MAX = 3, /* while directories move under a look */
};

static uint64_t take(struct follower *follower, uint64_t look)
{
    struct touched touched;
    uint64_t events = watch_take(follower->watch, &touched);

    if (follower->untold[0] && (touched.all || touched_covers(&touched, follower->untold, false)))
        follower->untold[0] = '\0'; /* the event was late */
    touched_merge(&follower->touched, &touched, look);
    return events;
}

static bool is_attached(void *context, uint64_t device, uint64_t inode)
{
    (void)context;
    return database_is_attached((dev_t)device, (ino_t)inode);
}

/* --- when -------------------------------------------------------------------------------------------- */

static uint64_t net_ms(const struct follower *follower)
{
    uint64_t ms = NET_SHARE * follower->whole.duration_ms;

    if (ms < NET_MIN_MS)
        return NET_MIN_MS;
    return ms < NET_MAX_MS ? ms : NET_MAX_MS;
}

static bool knows_what_to_look_at(const struct follower *follower, const struct tree *before)
{
    return before && follower->scanned && !follower->touched.all;
}

static bool is_due(const struct follower *follower, bool whole, uint64_t events)
{
    const struct look_pace *pace = whole ? &follower->whole : &follower->part;
    uint64_t now_ms = clock_monotonic_ms();

    if (now_ms - pace->ended_ms < LOOKS_SHARE * pace->duration_ms)
        return false;
    return !follower->scanned || events != follower->scanned_events ||
           follower_wants_attempt(follower, now_ms) || now_ms - follower->whole.ended_ms >= NET_MAX_MS;
}

/* --- looking ----------------------------------------------------------------------------------------- */

static struct scan_options options_of(const struct follower *follower, struct tree *before)
{
    return (struct scan_options){.exclude = follower->config.exclude,
                                 .databases = follower->config.databases,
                                 .before = before,
                                 .is_attached = is_attached};
}

/* *ret_done false: everything has to be looked at after all. */
static bool look_at_touched(struct follower *follower, struct tree *before, uint64_t *events,
                            struct scan_result *ret_scan, bool *ret_done, struct err *err)
{
    struct scan_options options = options_of(follower, before);

    *ret_done = false;
    for (int attempt = 0; attempt < TAKES_MAX; attempt++) {
        struct scan_known known = {follower->found, follower->found_count, &follower->touched};
        struct err why = {0};
        *ret_done = scan_touched(follower->config.directory_fd, &options, &known, ret_scan, &why);
        if (*ret_done)
            return true;
        if (why.code != ERR_TRANSIENT) {
            *err = why;
            return false;
        }
        *events = take(follower, follower->looks);
        if (follower->touched.all)
            return true;
    }
    return true;
}

static bool differ(const struct tree_entry *one, const struct tree_entry *other)
{
    if (one->kind != other->kind || one->mode != other->mode || one->uid != other->uid ||
        one->gid != other->gid)
        return true;
    return one->kind == ENTRY_FILE && one->inode != 0 &&
           (one->inode != other->inode || one->size != other->size || one->mtime_ns != other->mtime_ns);
}

static void note_untold(struct follower *follower, const char *path)
{
    struct touched_path *added;

    if (follower->touched.all || touched_covers(&follower->touched, path, false))
        return;
    log_debug("no event has told of a change of %s", path);
    if (!follower->untold[0])
        (void)snprintf(follower->untold, sizeof(follower->untold), "%s", path);
    added = touched_add(&follower->touched, path, 0, true);
    if (added)
        added->look = follower->looks;
    else
        follower->touched.all_look = follower->looks;
    follower_note_change(follower);
}

static void compare(struct follower *follower, struct tree *before, struct tree *now)
{
    size_t old = 0, at = 0;

    while (at < tree_count(now) || old < tree_count(before)) {
        const struct tree_entry *entry = at < tree_count(now) ? tree_at(now, at) : NULL;
        const struct tree_entry *was = old < tree_count(before) ? tree_at(before, old) : NULL;
        int order = !entry ? 1 : !was ? -1 : strcmp(tree_path(now, entry), tree_path(before, was));
        if (order != 0 || differ(was, entry))
            note_untold(follower, order > 0 ? tree_path(before, was) : tree_path(now, entry));
        at += order <= 0;
        old += order >= 0;
    }
}

/* What comes while the scan goes on is for the next look. */
static void find_untold(struct follower *follower, struct tree *before, struct tree *now)
{
    (void)take(follower, follower->looks + 1);
    if (!follower->touched.all)
        compare(follower, before, now);
}

static bool look_at_all(struct follower *follower, struct tree *before, struct scan_result *ret_scan,
                        struct err *err)
{
    struct scan_options options = options_of(follower, before);
    uint64_t begun_ms = clock_monotonic_ms();
    bool knows = knows_what_to_look_at(follower, before);
    bool scanned = scan_directory(follower->config.directory_fd, &options, ret_scan, err);

    follower->whole.ended_ms = clock_monotonic_ms();
    follower->whole.duration_ms = follower->whole.ended_ms - begun_ms;
    if (scanned && knows)
        find_untold(follower, before, ret_scan->tree);
    return scanned;
}

/* An event that was on its way when the scan met what it tells of has come by now. */
static void warn_of_untold(struct follower *follower)
{
    if (!follower->untold[0])
        return;
    if (!follower->warned_untold)
        follower_warn(follower,
                      "file events don't tell everything here: %.120s has changed without one; such changes "
                      "are found within %d minutes",
                      follower->untold, NET_MAX_MS / 60000);
    follower->warned_untold = true;
    follower->untold[0] = '\0';
}

static bool look(struct follower *follower, struct tree *before, bool whole, uint64_t *events,
                 struct scan_result *ret_scan, struct err *err)
{
    uint64_t begun_ms = clock_monotonic_ms();
    bool done = false, looked = true;

    if (!whole)
        looked = look_at_touched(follower, before, events, ret_scan, &done, err);
    if (looked && !done)
        looked = look_at_all(follower, before, ret_scan, err);
    follower->part.ended_ms = clock_monotonic_ms();
    if (done)
        follower->part.duration_ms = follower->part.ended_ms - begun_ms;
    return looked;
}

static void forget_found(struct follower *follower)
{
    for (size_t at = 0; at < follower->found_count; at++)
        free(follower->found[at].path);
    free(follower->found);
    follower->found = NULL;
    follower->found_count = 0;
}

/* The scan's databases are moved. */
static void remember_found(struct follower *follower, struct scan_result *scan)
{
    forget_found(follower);
    follower->found = MOVE(scan->databases);
    follower->found_count = scan->databases_count;
    scan->databases_count = 0;
}

bool follower_refresh(struct follower *follower, enum follower_look how, struct tree *before,
                      struct tree **ret_tree, bool *ret_steady, struct err *err)
{
    CLEANUP(scan_result_clearp) struct scan_result scan = {0};
    uint64_t events;
    bool whole, attached;

    *ret_steady = true;
    follower_drop_stale(follower, ret_steady);
    events = take(follower, ++follower->looks);
    warn_of_untold(follower);
    whole = how == FOLLOWER_WHOLE || !knows_what_to_look_at(follower, before) ||
            (how == FOLLOWER_IF_DUE && clock_monotonic_ms() - follower->whole.ended_ms >= net_ms(follower));
    if (how == FOLLOWER_IF_DUE && *ret_steady && !is_due(follower, whole, events))
        return true;
    follower->scanned = look(follower, before, whole, &events, &scan, err);
    if (!follower->scanned)
        return err_wrap(err, "look through HOLDFAST_DATA_DIR");
    follower->scanned_events = events;
    attached = follower_attach_found(follower, &scan, ret_steady, err);
    if (attached && ret_tree)
        *ret_tree = MOVE(scan.tree);
    remember_found(follower, &scan);
    return attached;
}

uint64_t follower_looked(const struct follower *follower)
{
    return follower->looks;
}

void follower_settle(struct follower *follower, uint64_t look, struct touched *again)
{
    assert(look <= follower->looks);
    touched_settle(&follower->touched, look);
    touched_merge(&follower->touched, again, follower->looks + 1);
}

void follower_unsettle(struct follower *follower)
{
    touched_add_all(&follower->touched, follower->looks + 1);
}

void follower_clear_looks(struct follower *follower)
{
    touched_clear(&follower->touched);
    forget_found(follower);
}
