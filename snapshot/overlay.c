#include "snapshot/overlay.h"

#include "base/buf.h"

#include <assert.h>
#include <search.h>
#include <string.h>

/* The newest change of one path. */
struct change {
    char *path;
    struct tree *put; /* holds one entry; NULL: the path is gone */
};

struct overlay {
    struct tree *below;
    void *changes; /* of tsearch(3), by path */
};

static int compare_changes(const void *left, const void *right)
{
    const struct change *one = left, *other = right;

    return strcmp(one->path, other->path);
}

static void free_change(void *node)
{
    struct change *change = node;

    tree_free(change->put);
    free(change->path);
    free(change);
}

struct overlay *overlay_new(struct tree *tree)
{
    struct overlay *overlay = xcalloc(1, sizeof(*overlay));

    overlay->below = tree;
    return overlay;
}

void overlay_free(struct overlay *overlay)
{
    if (!overlay)
        return;
    tdestroy(overlay->changes, free_change);
    free(overlay);
}

/* glibc gives the key first. */
static int compare_path(const void *path, const void *change)
{
    return strcmp(path, ((const struct change *)change)->path);
}

static struct change *find_change(const struct overlay *overlay, const char *path)
{
    void *found = tfind(path, &overlay->changes, compare_path);

    return found ? *(struct change **)found : NULL;
}

/* The change of the path, made if there is none. */
static struct change *make_change(struct overlay *overlay, const char *path)
{
    struct change *change = find_change(overlay, path);
    void *added;

    if (change)
        return change;
    change = xcalloc(1, sizeof(*change));
    change->path = xstrdup(path);
    added = tsearch(change, &overlay->changes, compare_changes);
    assert(added); /* fails only without memory */
    return change;
}

const struct tree_entry *overlay_find(struct overlay *overlay, const char *path, const struct tree **ret_tree)
{
    const struct change *change = find_change(overlay, path);

    *ret_tree = change ? change->put : overlay->below;
    if (change)
        return change->put ? tree_at(change->put, 0) : NULL;
    return tree_find(overlay->below, path);
}

bool overlay_is_untouched(const struct overlay *overlay, const char *path)
{
    return !find_change(overlay, path);
}

struct tree_entry *overlay_put(struct overlay *overlay, const struct tree *from,
                               const struct tree_entry *entry)
{
    struct change *change = make_change(overlay, tree_path(from, entry));
    struct tree *put = tree_new();

    (void)tree_add_copy(put, from, entry);
    tree_trim(put);
    tree_free(change->put);
    change->put = put;
    return tree_at(put, 0);
}

void overlay_remove(struct overlay *overlay, const char *path)
{
    struct change *change = make_change(overlay, path);

    tree_free(change->put);
    change->put = NULL;
}

/* --- what is below a path ---------------------------------------------------------------------------- */

struct gathering {
    const char *prefix; /* ends with a slash */
    size_t prefix_size;
    char **paths;
    size_t count;
};

static void gather(struct gathering *gathering, const char *path)
{
    bool is_full = (gathering->count & (gathering->count - 1)) == 0;

    if (is_full)
        gathering->paths = xrealloc(gathering->paths, (gathering->count > 0 ? 2 * gathering->count : 1) *
                                                          sizeof(gathering->paths[0]));
    gathering->paths[gathering->count++] = xstrdup(path);
}

static void gather_put(const void *node, VISIT visit, void *context)
{
    const struct change *change = *(const struct change *const *)node;
    struct gathering *gathering = context;

    if ((visit == postorder || visit == leaf) && change->put &&
        strncmp(change->path, gathering->prefix, gathering->prefix_size) == 0)
        gather(gathering, change->path);
}

/* The first entry whose path is not below `path` in the tree's order. */
static size_t first_from(struct tree *tree, const char *path)
{
    size_t low = 0, high = tree_count(tree);

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(tree_path(tree, tree_at(tree, middle)), path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int compare_texts(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

char **overlay_below(struct overlay *overlay, const char *path, size_t *ret_count)
{
    CLEANUP(freep) char *prefix = xasprintf("%s/", path);
    struct gathering gathering = {.prefix = prefix, .prefix_size = strlen(prefix)};

    for (size_t at = first_from(overlay->below, prefix); at < tree_count(overlay->below); at++) {
        const char *below = tree_path(overlay->below, tree_at(overlay->below, at));
        if (strncmp(below, prefix, gathering.prefix_size) != 0)
            break;
        if (!find_change(overlay, below))
            gather(&gathering, below);
    }
    twalk_r(overlay->changes, gather_put, &gathering);
    if (gathering.count > 1)
        qsort(gathering.paths, gathering.count, sizeof(gathering.paths[0]), compare_texts);
    *ret_count = gathering.count;
    return gathering.paths;
}

/* --- one tree of both -------------------------------------------------------------------------------- */

struct merge {
    struct overlay *overlay;
    struct tree *tree;
    size_t next; /* entry of the tree below */
};

/* What is below `path` in the tree's order and was not changed. */
static void merge_until(struct merge *merge, const char *path)
{
    struct tree *below = merge->overlay->below;

    for (; merge->next < tree_count(below); merge->next++) {
        const struct tree_entry *entry = tree_at(below, merge->next);
        int order = path ? strcmp(tree_path(below, entry), path) : -1;
        if (order > 0)
            return;
        if (order < 0)
            (void)tree_add_copy(merge->tree, below, entry);
    }
}

static void merge_change(const void *node, VISIT visit, void *context)
{
    const struct change *change = *(const struct change *const *)node;
    struct merge *merge = context;

    if (visit != postorder && visit != leaf)
        return;
    if (merge->overlay)
        merge_until(merge, change->path);
    if (change->put)
        (void)tree_add_copy(merge->tree, change->put, tree_at(change->put, 0));
}

struct tree *overlay_merge(struct overlay *overlay)
{
    struct merge merge = {.overlay = overlay, .tree = tree_new()};

    twalk_r(overlay->changes, merge_change, &merge);
    merge_until(&merge, NULL);
    tree_trim(merge.tree);
    return merge.tree;
}

struct tree *overlay_puts(struct overlay *overlay)
{
    struct merge merge = {.tree = tree_new()};

    twalk_r(overlay->changes, merge_change, &merge);
    return merge.tree;
}
