/* What a whole scan finds and no event has told of: a disk that others write to, or a file that is written
 * through memory. It is shipped all the same, and said once.
 *
 * Told is more than what events name. A database decides over its side files, and what was written through
 * one name of a file shows in the others. An event that is on its way when the scan meets what it tells of
 * comes before the next look: nothing is said until then. */
#include "snapshot/follower_internal.h"

#include "base/buf.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the path itself, or of the database that makes it a side file. */
static bool is_named(const struct touched *touched, const char *path)
{
    CLEANUP(freep) char *stem = xstrdup(path);

    while (!touched_find(touched, stem)) {
        size_t length = scan_stem_length(stem);
        if (length == 0)
            return false;
        stem[length] = '\0';
    }
    return true;
}

/* Whether an event has told that the path may have changed, or a directory above it. */
static bool is_told(const struct touched *touched, const char *path)
{
    CLEANUP(freep) char *above = xstrdup(path);

    while (!touched->all && !is_named(touched, above)) {
        char *slash = strrchr(above, '/');
        if (!slash)
            return false;
        *slash = '\0';
    }
    return true;
}

void follower_note_told(struct follower *follower, const struct touched *touched)
{
    if (follower->untold[0] && is_told(touched, follower->untold))
        follower->untold[0] = '\0'; /* the event was late */
}

void follower_warn_of_untold(struct follower *follower, unsigned minutes)
{
    if (!follower->untold[0])
        return;
    if (!follower->warned_untold)
        follower_warn(follower,
                      "file events don't tell everything here: %.120s has changed without one; such changes "
                      "are found within %u minutes",
                      follower->untold, minutes);
    follower->warned_untold = true;
    follower->untold[0] = '\0';
}

struct comparison {
    struct follower *follower;
    struct tree *before;
    struct tree *now;
    uint64_t *inodes; /* of what was told */
    size_t inodes_count;
};

static void note_inode(struct comparison *comparison, struct tree *tree, const char *path)
{
    const struct tree_entry *entry = tree_find(tree, path);

    if (entry && entry->inode != 0)
        comparison->inodes[comparison->inodes_count++] = entry->inode;
}

static void collect_inodes(struct comparison *comparison)
{
    const struct touched *touched = &comparison->follower->touched;

    comparison->inodes = xcalloc(2 * touched->count + 1, sizeof(comparison->inodes[0]));
    for (size_t at = 0; at < touched->count; at++) {
        note_inode(comparison, comparison->before, touched->list[at].path);
        note_inode(comparison, comparison->now, touched->list[at].path);
    }
    if (comparison->inodes_count > 1)
        qsort(comparison->inodes, comparison->inodes_count, sizeof(comparison->inodes[0]),
              tree_compare_inodes);
}

static bool is_of_told(const struct comparison *comparison, const struct tree_entry *entry)
{
    return entry && bsearch(&entry->inode, comparison->inodes, comparison->inodes_count, sizeof(entry->inode),
                            tree_compare_inodes);
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
    log_debug("no event has told of a change of %s", path);
    if (!follower->untold[0])
        (void)snprintf(follower->untold, sizeof(follower->untold), "%s", path);
    follower_touch(follower, path);
}

/* Of one path: NULL is nothing. */
static void compare(struct comparison *comparison, const struct tree_entry *was, const struct tree_entry *is)
{
    const char *path = is ? tree_path(comparison->now, is) : tree_path(comparison->before, was);

    if (was && is && !differ(was, is))
        return;
    if (!is_told(&comparison->follower->touched, path) && !is_of_told(comparison, was) &&
        !is_of_told(comparison, is))
        note_untold(comparison->follower, path);
}

void follower_find_untold(struct follower *follower, struct tree *before, struct tree *now)
{
    struct comparison comparison = {follower, before, now, NULL, 0};
    size_t old = 0, at = 0;

    collect_inodes(&comparison);
    while (at < tree_count(now) || old < tree_count(before)) {
        const struct tree_entry *is = at < tree_count(now) ? tree_at(now, at) : NULL;
        const struct tree_entry *was = old < tree_count(before) ? tree_at(before, old) : NULL;
        int order = !is ? 1 : !was ? -1 : strcmp(tree_path(now, is), tree_path(before, was));
        compare(&comparison, order >= 0 ? was : NULL, order <= 0 ? is : NULL);
        at += order <= 0;
        old += order >= 0;
    }
    free(comparison.inodes);
}
