/* What is looked at, and when.
 *
 * Looking at every file takes part of a second where there are many, and is done at first, where
 * nothing is known, and now and then as a safety net. Else only what file events have named is looked at,
 * since what was settled: the state of the newest record. Every look goes back that far, so one that fails,
 * or comes to nothing, loses nothing. What was touched is numbered by the first look that comes after it;
 * when the tree of a look has become the state, all up to its number is settled, and what came later is not.
 */
#include "snapshot/follower_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>

enum {
    LOOKS_SHARE = 10, /* whole scans take at most one part in so many of the time, and so do others */
    NET_SHARE = 1000, /* or in so many, if only the safety net asks for it */
    NET_MIN_MS = 1000,
    NET_MAX_MS = 10 * 60 * 1000,
    TAKES_MAX = 3,         /* while directories move under a look */
    REFUSED_LOOKS_MAX = 3, /* while files turn out to be no databases; the next refresh takes them as that */
};

static uint64_t take(struct follower *follower, uint64_t look)
{
    struct touched touched;
    uint64_t events = watch_take(follower->watch, &touched);

    follower_note_told(follower, &touched);
    follower_note_written(follower, &touched, look);
    touched_merge(&follower->touched, &touched, look);
    return events;
}

static bool is_attached(void *context, uint64_t device, uint64_t inode)
{
    (void)context; /* the follower */
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

static bool is_due(struct follower *follower, bool whole, uint64_t events)
{
    const struct look_pace *pace = whole ? &follower->whole : &follower->part;
    uint64_t now_ms = clock_monotonic_ms();

    if (now_ms - pace->ended_ms < LOOKS_SHARE * pace->duration_ms)
        return false;
    return !follower->scanned || events != follower->scanned_events ||
           follower_wants_attempt(follower, now_ms) || now_ms - follower->whole.ended_ms >= NET_MAX_MS;
}

/* --- looking ----------------------------------------------------------------------------------------- */

static struct scan_options options_of(struct follower *follower, struct tree *before)
{
    return (struct scan_options){.exclude = follower->config.exclude,
                                 .databases = follower->config.databases,
                                 .before = before,
                                 .is_attached = is_attached,
                                 .is_no_database = follower_is_refused,
                                 .context = follower};
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

static bool look_at_all(struct follower *follower, struct tree *before, struct scan_result *ret_scan,
                        struct err *err)
{
    struct scan_options options = options_of(follower, before);
    uint64_t begun_ms = clock_monotonic_ms();
    bool knows = knows_what_to_look_at(follower, before);
    bool scanned = scan_directory(follower->config.directory_fd, &options, ret_scan, err);

    follower->whole.ended_ms = clock_monotonic_ms();
    follower->whole.duration_ms = follower->whole.ended_ms - begun_ms;
    if (scanned)
        follower_forget_refused(follower, ret_scan);
    if (!scanned || !knows)
        return scanned;
    (void)take(follower, follower->looks + 1); /* what came while the scan went on is for the next look */
    follower_find_untold(follower, before, ret_scan->tree);
    return true;
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

/* What turns out to be no database belongs to the tree: then the look is made once more. */
static bool look_and_attach(struct follower *follower, struct tree *before, bool whole, uint64_t *events,
                            struct scan_result *ret_scan, bool *ret_steady, struct err *err)
{
    for (int attempt = 1;; attempt++) {
        uint64_t refusals = follower->refusals;
        follower->scanned = look(follower, before, whole, events, ret_scan, err);
        if (!follower->scanned)
            return err_wrap(err, "look through HOLDFAST_DATA_DIR");
        follower->scanned_events = *events;
        follower_drop_stale(follower, ret_steady); /* what was renamed meanwhile can be attached at once */
        if (!follower_attach_found(follower, ret_scan, ret_steady, err))
            return false;
        if (follower->refusals == refusals || attempt == REFUSED_LOOKS_MAX)
            return true;
        scan_result_clear(ret_scan);
    }
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
    follower_warn_of_untold(follower, NET_MAX_MS / 60000);
    whole = how == FOLLOWER_WHOLE || !knows_what_to_look_at(follower, before) ||
            (how == FOLLOWER_IF_DUE && clock_monotonic_ms() - follower->whole.ended_ms >= net_ms(follower));
    if (how == FOLLOWER_IF_DUE && *ret_steady && !is_due(follower, whole, events))
        return true;
    attached = look_and_attach(follower, before, whole, &events, &scan, ret_steady, err);
    if (!follower->scanned)
        return false;
    follower_distrust_written(follower, scan.tree);
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
    follower_settle_written(follower, look);
    touched_merge(&follower->touched, again, follower->looks + 1);
}

void follower_touch(struct follower *follower, const char *path)
{
    struct touched_path *added = touched_add(&follower->touched, path, 0, true);

    if (added)
        added->look = follower->looks;
    else
        follower->touched.all_look = follower->looks;
    follower_note_change(follower);
}

void follower_unsettle(struct follower *follower)
{
    touched_add_all(&follower->touched, follower->looks + 1);
}

void follower_clear_looks(struct follower *follower)
{
    touched_clear(&follower->touched);
    touched_clear(&follower->written);
    forget_found(follower);
}
