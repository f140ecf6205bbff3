/* One entry of a tree as bytes (docs/FORMAT.md, Manifest 3), the same in manifests and data records. They
 * differ only in where inline content lies: that comes last, and each writes and reads it by itself. Pure;
 * any thread. */
#ifndef SNAPSHOT_ENTRY_H
#define SNAPSHOT_ENTRY_H

#include "snapshot/tree.h"
#include "snapshot/wire.h"

enum { ENTRY_MODE_MAX = 07777 };

/* The rules that an entry keeps by itself: path, kind, mode, size, target, pieces that add up. ERR_CORRUPT
 * with the path and the rule. */
bool entry_check(const struct tree *tree, const struct tree_entry *entry, struct err *err) CHECKED;

/* Appends all but the place of inline content: what is to follow, if entry->content says so. */
void entry_encode(const struct tree *tree, const struct tree_entry *entry, struct buf *bytes);
/* Adds what it reads to the tree, up to the place of inline content; after that, entry_check() is due. The
 * pointer is valid until the next addition. ERR_CORRUPT if the bytes end too early, or for what would not fit
 * into the struct. */
bool entry_decode(struct wire_reader *reader, struct tree *tree, struct tree_entry **ret_entry,
                  struct err *err) CHECKED;
/* A path alone, terminated, which may stand in the data directory (tree_path_is_safe()). ERR_CORRUPT. */
bool entry_decode_path(struct wire_reader *reader, char ret_path[TREE_PATH_MAX + 1], struct err *err) CHECKED;

#endif
