/* By which name a content is known already: the pieces that a tree names, found by the hash of what is in
 * them. So a large file that was renamed, copied or touched is not uploaded again. Pure; any thread may find
 * while nobody changes it. */
#ifndef SNAPSHOT_PIECE_NAMES_H
#define SNAPSHOT_PIECE_NAMES_H

#include "snapshot/tree.h"

struct piece_names {
    struct tree_piece *list; /* ascending by content, without zeros */
    size_t count;
};

/* Of a tree, which may be NULL. */
struct piece_names piece_names_of(struct tree *tree);
void piece_names_clear(struct piece_names *names);

/* NULL: no piece of this content and size. */
const struct tree_piece *piece_names_find(const struct piece_names *names, const struct digest *content,
                                          uint32_t raw_bytes);

static inline void piece_names_clearp(struct piece_names *names)
{
    piece_names_clear(names);
}

#endif
