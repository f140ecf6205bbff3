/* Files that were written to when they had been looked at, and look as if nothing had happened since.
 *
 * write(2) sets a file's times before it copies the bytes, and tells of itself when all are copied: with many
 * bytes, or a disk that keeps it waiting, much later. A file that is read in between looks the same before
 * the reading, after it, and ever after. Writing through memory sets the times even earlier, when a page is
 * touched first, and close(2) is all that tells of it. So equal times prove nothing against an event that
 * comes after the look: such a file is read once more, if its times are so young that the write may have
 * begun with them. Where events are lost nothing is known of that. */
#include "snapshot/follower_internal.h"

#include "base/clock.h"

#include <stdlib.h>

/* One call writes at most 2 GiB, and a page written through memory is clean again within half a minute. */
static const int64_t young_ns = 120 * (int64_t)NS_PER_SECOND;

void follower_note_written(struct follower *follower, const struct touched *touched, uint64_t look)
{
    for (size_t at = 0; at < touched->count; at++) {
        struct touched_path *added;
        if (!touched->list[at].written)
            continue;
        added = touched_add(&follower->written, touched->list[at].path, 0, false);
        if (added)
            added->look = look;
    }
}

void follower_settle_written(struct follower *follower, uint64_t look)
{
    touched_settle(&follower->written, look);
}

struct distrust {
    struct tree *tree;
    uint64_t *inodes; /* of what was written to, which may have other names */
    size_t count;
    int64_t young_since_ns;
};

static void collect_inodes(struct distrust *distrust, const struct touched *written)
{
    for (size_t at = 0; at < written->count; at++) {
        const struct tree_entry *entry = tree_find(distrust->tree, written->list[at].path);
        if (entry && entry->kind == ENTRY_FILE && entry->inode != 0 &&
            entry->ctime_ns >= distrust->young_since_ns)
            distrust->inodes[distrust->count++] = entry->inode;
    }
    if (distrust->count > 1)
        qsort(distrust->inodes, distrust->count, sizeof(distrust->inodes[0]), tree_compare_inodes);
}

void follower_distrust_written(struct follower *follower, struct tree *tree)
{
    const struct touched *written = &follower->written;
    struct distrust distrust = {.tree = tree, .young_since_ns = (int64_t)clock_unix_ns() - young_ns};

    if (written->count == 0)
        return;
    distrust.inodes = xcalloc(written->count, sizeof(distrust.inodes[0]));
    collect_inodes(&distrust, written);
    for (size_t at = 0; distrust.count > 0 && at < tree_count(tree); at++) {
        struct tree_entry *entry = tree_at(tree, at);
        if (entry->kind == ENTRY_FILE && entry->ctime_ns >= distrust.young_since_ns &&
            bsearch(&entry->inode, distrust.inodes, distrust.count, sizeof(entry->inode),
                    tree_compare_inodes))
            entry->ctime_ns = 0; /* unlike any that was noted */
    }
    free(distrust.inodes);
}
