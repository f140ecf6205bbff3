#include "snapshot/touched.h"

#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void forget_paths(struct touched *touched)
{
    assert(touched->list || touched->count == 0);
    for (size_t at = 0; at < touched->count; at++)
        free(touched->list[at].path);
    free(touched->list);
    touched->list = NULL;
    touched->count = touched->capacity = 0;
}

void touched_clear(struct touched *touched)
{
    forget_paths(touched);
    touched->all = false;
}

/* The first that is not below the path in order. Most come in order, or again and again. */
static size_t place_of(const struct touched *touched, const char *path)
{
    size_t low = 0, high = touched->count;

    if (high > 0 && strcmp(touched->list[high - 1].path, path) < 0)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(touched->list[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct touched_path *insert(struct touched *touched, size_t at, const char *path)
{
    if (touched->count == touched->capacity) {
        touched->capacity = touched->capacity ? 2 * touched->capacity : 16;
        touched->list = xrealloc(touched->list, touched->capacity * sizeof(touched->list[0]));
    }
    assert(touched->list);
    memmove(&touched->list[at + 1], &touched->list[at], (touched->count - at) * sizeof(touched->list[0]));
    touched->list[at] = (struct touched_path){.path = xstrdup(path)};
    touched->count++;
    return &touched->list[at];
}

struct touched_path *touched_add(struct touched *touched, const char *path, uint64_t directory_inode,
                                 bool below)
{
    size_t at = place_of(touched, path);
    struct touched_path *found = at < touched->count ? &touched->list[at] : NULL;

    if (!found || strcmp(found->path, path) != 0) {
        if (touched->most > 0 && touched->count == touched->most) {
            touched_add_all(touched, 0);
            return NULL;
        }
        found = insert(touched, at, path);
    }
    found->directory_inode = directory_inode;
    found->below = found->below || below;
    return found;
}

void touched_add_all(struct touched *touched, uint64_t look)
{
    forget_paths(touched);
    touched->all = true;
    touched->all_look = look;
}

void touched_merge(struct touched *touched, struct touched *from, uint64_t look)
{
    if (from->all)
        touched_add_all(touched, look);
    for (size_t at = 0; at < from->count; at++) {
        struct touched_path *path = &from->list[at];
        struct touched_path *added = touched_add(touched, path->path, path->directory_inode, path->below);
        if (added) {
            added->look = look;
            added->written = added->written || path->written;
        } else {
            touched->all_look = look;
        }
    }
    touched_clear(from);
}

void touched_settle(struct touched *touched, uint64_t look)
{
    size_t kept = 0;

    for (size_t at = 0; at < touched->count; at++) {
        if (touched->list[at].look > look)
            touched->list[kept++] = touched->list[at];
        else
            free(touched->list[at].path);
    }
    touched->count = kept;
    if (kept == 0)
        forget_paths(touched);
    if (touched->all_look <= look)
        touched->all = false;
}

const struct touched_path *touched_find(const struct touched *touched, const char *path)
{
    size_t at = place_of(touched, path);

    return at < touched->count && strcmp(touched->list[at].path, path) == 0 ? &touched->list[at] : NULL;
}

bool touched_covers(const struct touched *touched, const char *path, bool only_below)
{
    CLEANUP(freep) char *above = NULL;
    char *slash;

    if (touched->count == 0)
        return false;
    if (touched_find(touched, path))
        return true;
    above = xstrdup(path);
    while ((slash = strrchr(above, '/'))) {
        const struct touched_path *found;
        *slash = '\0';
        found = touched_find(touched, above);
        if (found && (found->below || !only_below))
            return true;
    }
    return false;
}

static int compare_ranges(const void *one, const void *other)
{
    const struct tree_range *left = one, *right = other;

    return (left->begin > right->begin) - (left->begin < right->begin);
}

/* The number that are left. */
static size_t join_ranges(struct tree_range *ranges, size_t count)
{
    size_t kept = 0;

    if (count > 1)
        qsort(ranges, count, sizeof(ranges[0]), compare_ranges);
    for (size_t at = 0; at < count; at++) {
        struct tree_range *last = kept > 0 ? &ranges[kept - 1] : NULL;
        if (ranges[at].begin == ranges[at].end)
            continue;
        if (!last || ranges[at].begin > last->end)
            ranges[kept++] = ranges[at];
        else if (ranges[at].end > last->end)
            last->end = ranges[at].end;
    }
    return kept;
}

struct tree_range *touched_ranges(const struct touched *touched, struct tree *tree, size_t *ret_count)
{
    struct tree_range *ranges = xmalloc((2 * touched->count + 1) * sizeof(ranges[0]));
    size_t count = 0;

    for (size_t at = 0; at < touched->count; at++) {
        const struct touched_path *path = &touched->list[at];
        /* '0' is the byte after '/': what is below a directory lies between. */
        CLEANUP(freep) char *below = xasprintf("%s/", path->path);
        CLEANUP(freep) char *behind = xasprintf("%s0", path->path);
        size_t exact = tree_place(tree, path->path);
        ranges[count++] = (struct tree_range){exact, exact + (tree_find(tree, path->path) != NULL)};
        if (path->below)
            ranges[count++] = (struct tree_range){tree_place(tree, below), tree_place(tree, behind)};
    }
    *ret_count = join_ranges(ranges, count);
    return ranges;
}
