/* A tree of files while changes are laid over it, one path at a time.
 *
 * A tree is three arrays, made once; putting one entry into it would move all that follow. So the changes
 * stand beside it, the newest of each path, until overlay_merge() makes one tree of both. Memory grows with
 * the number of paths that changed, not with the number of changes. One thread. */
#ifndef SNAPSHOT_OVERLAY_H
#define SNAPSHOT_OVERLAY_H

#include "snapshot/tree.h"

struct overlay;

/* Over tree (borrowed, in order, not changed while the overlay lives). */
struct overlay *overlay_new(struct tree *tree);
void overlay_free(struct overlay *overlay); /* NULL is fine */
DEFINE_CLEANUP(struct overlay *, overlay_free, overlay_freep)

/* What stands at the path now, or NULL; *ret_tree: the tree that holds its texts and pieces. Valid until the
 * path changes. */
const struct tree_entry *overlay_find(struct overlay *overlay, const char *path,
                                      const struct tree **ret_tree);
/* Whether the path is as it was in the tree below. */
bool overlay_is_untouched(const struct overlay *overlay, const char *path);

/* Copies the entry of another tree to its path, whatever was there; the copy can be changed until the next
 * call. */
struct tree_entry *overlay_put(struct overlay *overlay, const struct tree *from,
                               const struct tree_entry *entry);
/* Nothing stands at the path from here on; what is below it stays. */
void overlay_remove(struct overlay *overlay, const char *path);

/* The paths of what stands below a directory, ascending. The caller frees each and the array. */
char **overlay_below(struct overlay *overlay, const char *path, size_t *ret_count);

/* A new tree, in order: of everything, or of what was put alone. */
struct tree *overlay_merge(struct overlay *overlay);
struct tree *overlay_puts(struct overlay *overlay);

#endif
