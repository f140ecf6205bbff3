#include "snapshot/piece_names.h"

#include "base/buf.h"

#include <string.h>

static int compare(const void *left, const void *right)
{
    const struct tree_piece *one = left;
    const struct tree_piece *other = right;

    return memcmp(one->content.bytes, other->content.bytes, sizeof(one->content.bytes));
}

static size_t count_pieces(struct tree *tree)
{
    size_t count = 0;

    for (size_t at = 0; at < tree_count(tree); at++)
        if (tree_at(tree, at)->content == CONTENT_PIECES)
            count += tree_at(tree, at)->extra;
    return count;
}

static void add_pieces(struct piece_names *names, const struct tree_piece *pieces, uint32_t count)
{
    for (uint32_t at = 0; at < count; at++)
        if (pieces[at].tag != 0)
            names->list[names->count++] = pieces[at];
}

struct piece_names piece_names_of(struct tree *tree)
{
    struct piece_names names = {0};

    if (!tree)
        return names;
    names.list = xcalloc(count_pieces(tree), sizeof(names.list[0]));
    for (size_t at = 0; at < tree_count(tree); at++) {
        const struct tree_entry *entry = tree_at(tree, at);
        if (entry->content == CONTENT_PIECES)
            add_pieces(&names, tree_pieces(tree, entry), entry->extra);
    }
    if (names.count > 1)
        qsort(names.list, names.count, sizeof(names.list[0]), compare);
    return names;
}

void piece_names_clear(struct piece_names *names)
{
    free(names->list);
    *names = (struct piece_names){0};
}

const struct tree_piece *piece_names_find(const struct piece_names *names, const struct digest *content,
                                          uint32_t raw_bytes)
{
    struct tree_piece wanted = {.content = *content};
    const struct tree_piece *found;

    if (names->count == 0)
        return NULL;
    found = bsearch(&wanted, names->list, names->count, sizeof(names->list[0]), compare);
    return found && found->raw_bytes == raw_bytes ? found : NULL;
}
