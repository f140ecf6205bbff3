/* Which paths something has happened to: what a scan has to look at again (scan.h).
 *
 * A path is named by what the kernel tells: a name in a directory. What stands there now, and whether it is
 * another thing than before, is for the scan to find out. Not thread-safe. */
#ifndef SNAPSHOT_TOUCHED_H
#define SNAPSHOT_TOUCHED_H

#include "snapshot/tree.h"

enum { TOUCHED_MAX = 8192 }; /* above that, looking at everything costs no more */

struct touched_path {
    char *path;
    uint64_t directory_inode; /* of the directory in which it has the name; 0: not known, or the top */
    uint64_t look;            /* the number of the first look that comes after it; the owner's to say */
    bool below;               /* a directory of which nothing below is known */
    bool written;             /* a file: somebody has written to it, or may have */
};

struct touched {
    struct touched_path *list; /* ascending path, each once */
    size_t count;
    size_t capacity;
    size_t most; /* more become all; 0: no limit */
    bool all;    /* whatever there is, the list apart */
    uint64_t all_look;
};

void touched_clear(struct touched *touched); /* zeroed memory is fine */

/* Adds the path, with look 0, or says more of it: what is said last of the directory counts. */
struct touched_path *touched_add(struct touched *touched, const char *path, uint64_t directory_inode,
                                 bool below);
/* Everything; the paths are forgotten. */
void touched_add_all(struct touched *touched, uint64_t look);
/* Adds what `from` has, all of it with this look, and clears that. */
void touched_merge(struct touched *touched, struct touched *from, uint64_t look);
/* Forgets what was seen by the looks up to this one. */
void touched_settle(struct touched *touched, uint64_t look);

const struct touched_path *touched_find(const struct touched *touched, const char *path);
/* Whether it is in the list, or below a directory that is; only_below: one that is with all below it. */
bool touched_covers(const struct touched *touched, const char *path, bool only_below);
/* Where the tree has what is in the list, or below a path that is with all below it: ascending, none meets
 * another. The caller frees it. */
struct tree_range *touched_ranges(const struct touched *touched, struct tree *tree, size_t *ret_count);

#endif
