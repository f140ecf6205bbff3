#include "snapshot/blob_names.h"

#include "base/buf.h"

#include <assert.h>
#include <string.h>

static int compare(const void *left, const void *right)
{
    const struct blob_name *one = left;
    const struct blob_name *other = right;

    if (one->tag != other->tag)
        return one->tag < other->tag ? -1 : 1;
    return memcmp(one->content.bytes, other->content.bytes, HASH_SIZE);
}

static void make_set(struct blob_names *names)
{
    size_t unique = 0;

    if (names->count > 0)
        qsort(names->list, names->count, sizeof(names->list[0]), compare);
    for (size_t at = 0; at < names->count; at++)
        if (unique == 0 || compare(&names->list[at], &names->list[unique - 1]) != 0)
            names->list[unique++] = names->list[at];
    names->count = unique;
}

struct blob_names blob_names_of(struct tree *tree)
{
    struct blob_names names = {0};

    for (size_t at = 0; at < tree_count(tree); at++) {
        const struct tree_entry *entry = tree_at(tree, at);
        const struct tree_piece *pieces;
        if (entry->content != CONTENT_PIECES)
            continue;
        pieces = tree_pieces(tree, entry);
        names.list = xrealloc(names.list, (names.count + entry->extra) * sizeof(names.list[0]));
        for (uint32_t piece = 0; piece < entry->extra; piece++)
            if (pieces[piece].tag != 0)
                names.list[names.count++] = (struct blob_name){pieces[piece].tag, pieces[piece].content};
    }
    make_set(&names);
    return names;
}

bool blob_names_has(const struct blob_names *names, const struct blob_name *wanted)
{
    return names->count > 0 && bsearch(wanted, names->list, names->count, sizeof(names->list[0]), compare);
}

void blob_names_add(struct blob_names *names, const struct blob_name *name)
{
    assert(names->count == 0 || compare(&names->list[names->count - 1], name) < 0);
    names->list = xrealloc(names->list, (names->count + 1) * sizeof(names->list[0]));
    names->list[names->count++] = *name;
}

void blob_names_subtract(struct blob_names *names, const struct blob_names *others)
{
    size_t kept = 0;

    for (size_t at = 0; at < names->count; at++)
        if (!blob_names_has(others, &names->list[at]))
            names->list[kept++] = names->list[at];
    names->count = kept;
}

void blob_names_merge(struct blob_names *names, struct blob_names *more)
{
    names->list = xrealloc(names->list, (names->count + more->count) * sizeof(names->list[0]));
    if (more->count > 0)
        memcpy(names->list + names->count, more->list, more->count * sizeof(names->list[0]));
    names->count += more->count;
    make_set(names);
    blob_names_clear(more);
}

void blob_names_clear(struct blob_names *names)
{
    free(names->list);
    *names = (struct blob_names){0};
}
