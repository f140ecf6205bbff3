/* The compact tree.
 *
 * Three arrays that grow by doubling: entries of fixed size, all texts one after the other, all pieces.
 * Entries name texts and pieces by offset, so growing moves everything at once and invalidates no entry, and
 * a tree of 100,000 files is three allocations instead of 200,000. What a changed entry no longer uses stays
 * in the arrays until the tree is freed; a scan or a manifest makes a new one. */
#include "snapshot/tree.h"

#include "base/buf.h"

#include <assert.h>
#include <string.h>

struct tree {
    struct tree_entry *entries;
    size_t entries_count, entries_capacity;
    char *text;
    size_t text_size, text_capacity;
    struct tree_piece *pieces;
    size_t pieces_count, pieces_capacity;
    bool ascending; /* each path is above the one before */
};

struct tree *tree_new(void)
{
    struct tree *tree = xcalloc(1, sizeof(*tree));

    tree->ascending = true;
    return tree;
}

void tree_free(struct tree *tree)
{
    if (!tree)
        return;
    free(tree->entries);
    free(tree->text);
    free(tree->pieces);
    free(tree);
}

static void *copy_array(const void *array, size_t count, size_t element_size)
{
    void *copy = NULL;

    if (count > 0) {
        copy = xmalloc(count * element_size);
        memcpy(copy, array, count * element_size);
    }
    return copy;
}

struct tree *tree_copy(const struct tree *from)
{
    struct tree *tree = xmalloc(sizeof(*tree));

    *tree = *from;
    tree->entries_capacity = from->entries_count;
    tree->entries = copy_array(from->entries, from->entries_count, sizeof(*tree->entries));
    tree->text_capacity = from->text_size;
    tree->text = copy_array(from->text, from->text_size, 1);
    tree->pieces_capacity = from->pieces_count;
    tree->pieces = copy_array(from->pieces, from->pieces_count, sizeof(*tree->pieces));
    return tree;
}

/* Room for `count` elements, at least twice what there was. */
static void *grow(void *array, size_t *capacity, size_t count, size_t element_size)
{
    size_t wanted = *capacity < 8 ? 16 : 2 * *capacity;

    if (count <= *capacity)
        return array;
    if (wanted < count)
        wanted = count;
    *capacity = wanted;
    return xrealloc(array, wanted * element_size);
}

static uint32_t add_text(struct tree *tree, const char *text, size_t size)
{
    size_t offset = tree->text_size;

    assert(size < UINT32_MAX - offset);
    tree->text = grow(tree->text, &tree->text_capacity, offset + size + 1, 1);
    memcpy(tree->text + offset, text, size);
    tree->text[offset + size] = '\0';
    tree->text_size += size + 1;
    return (uint32_t)offset;
}

size_t tree_count(const struct tree *tree)
{
    return tree->entries_count;
}

uint64_t tree_bytes(const struct tree *tree)
{
    uint64_t bytes = 0;

    for (size_t at = 0; at < tree->entries_count; at++)
        if (tree->entries[at].kind == ENTRY_FILE)
            bytes += tree->entries[at].size;
    return bytes;
}

struct tree_entry *tree_at(struct tree *tree, size_t index)
{
    assert(index < tree->entries_count);
    return &tree->entries[index];
}

const char *tree_path(const struct tree *tree, const struct tree_entry *entry)
{
    return tree->text + entry->path;
}

const char *tree_target(const struct tree *tree, const struct tree_entry *entry)
{
    assert(entry->kind == ENTRY_SYMLINK);
    return tree->text + entry->target;
}

const struct tree_piece *tree_pieces(const struct tree *tree, const struct tree_entry *entry)
{
    assert(entry->content == CONTENT_PIECES);
    return tree->pieces + entry->target;
}

struct tree_entry *tree_add(struct tree *tree, const char *path, size_t path_size, const char *target,
                            size_t target_size)
{
    struct tree_entry entry = {0};
    const struct tree_entry *last = tree->entries_count > 0 ? &tree->entries[tree->entries_count - 1] : NULL;

    assert(path_size > 0 && path_size <= TREE_PATH_MAX);
    entry.path = add_text(tree, path, path_size);
    if (target)
        entry.target = add_text(tree, target, target_size);
    if (last && strcmp(tree_path(tree, last), tree_path(tree, &entry)) >= 0)
        tree->ascending = false;
    tree->entries = grow(tree->entries, &tree->entries_capacity, tree->entries_count + 1, sizeof(entry));
    tree->entries[tree->entries_count] = entry;
    return &tree->entries[tree->entries_count++];
}

struct tree_entry *tree_add_copy(struct tree *tree, const struct tree *from, const struct tree_entry *entry)
{
    const char *path = tree_path(from, entry);
    const char *target = entry->kind == ENTRY_SYMLINK ? tree_target(from, entry) : NULL;
    struct tree_entry *copy = tree_add(tree, path, strlen(path), target, target ? strlen(target) : 0);
    uint32_t new_path = copy->path, new_target = copy->target;

    assert(tree != from);
    *copy = *entry;
    copy->path = new_path;
    if (target)
        copy->target = new_target;
    if (entry->content == CONTENT_PIECES)
        tree_set_pieces(tree, copy, tree_pieces(from, entry), entry->extra);
    return copy;
}

void tree_set_pieces(struct tree *tree, struct tree_entry *entry, const struct tree_piece *pieces,
                     uint32_t count)
{
    assert(count > 0 && count < UINT32_MAX - tree->pieces_count);
    tree->pieces = grow(tree->pieces, &tree->pieces_capacity, tree->pieces_count + count, sizeof(*pieces));
    memcpy(tree->pieces + tree->pieces_count, pieces, count * sizeof(*pieces));
    entry->content = CONTENT_PIECES;
    entry->target = (uint32_t)tree->pieces_count;
    entry->extra = count;
    tree->pieces_count += count;
}

void tree_set_inline(struct tree_entry *entry, uint32_t frame, uint32_t offset)
{
    entry->content = CONTENT_INLINE;
    entry->target = frame;
    entry->extra = offset;
}

static int compare_entries(const void *left, const void *right, void *context)
{
    const struct tree *tree = context;

    return strcmp(tree_path(tree, left), tree_path(tree, right));
}

bool tree_sort(struct tree *tree)
{
    if (tree->ascending)
        return true;
    qsort_r(tree->entries, tree->entries_count, sizeof(*tree->entries), compare_entries, tree);
    for (size_t at = 1; at < tree->entries_count; at++)
        if (compare_entries(&tree->entries[at - 1], &tree->entries[at], tree) == 0)
            return false;
    tree->ascending = true;
    return true;
}

size_t tree_place(const struct tree *tree, const char *path)
{
    size_t low = 0, high = tree->entries_count;

    assert(tree->ascending);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(tree_path(tree, &tree->entries[middle]), path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct tree_entry *tree_find(struct tree *tree, const char *path)
{
    size_t at = tree_place(tree, path);

    if (at == tree->entries_count || strcmp(tree_path(tree, &tree->entries[at]), path) != 0)
        return NULL;
    return &tree->entries[at];
}

struct tree_entry *tree_seek(struct tree *tree, size_t *at, const char *path)
{
    assert(tree->ascending);
    for (; *at < tree->entries_count; (*at)++) {
        struct tree_entry *entry = &tree->entries[*at];
        int order = strcmp(tree_path(tree, entry), path);
        if (order >= 0)
            return order == 0 ? entry : NULL;
    }
    return NULL;
}

static void *fit(void *array, size_t *capacity, size_t count, size_t element_size)
{
    if (count == *capacity)
        return array;
    *capacity = count;
    return xrealloc(array, count * element_size);
}

void tree_compact(struct tree *tree)
{
    size_t kept = 0;

    while (kept < tree->entries_count && tree->entries[kept].kind != 0)
        kept++;
    for (size_t at = kept; at < tree->entries_count; at++)
        if (tree->entries[at].kind != 0)
            tree->entries[kept++] = tree->entries[at];
    tree->entries_count = kept;
}

void tree_trim(struct tree *tree)
{
    tree->entries = fit(tree->entries, &tree->entries_capacity, tree->entries_count, sizeof(*tree->entries));
    tree->text = fit(tree->text, &tree->text_capacity, tree->text_size, 1);
    tree->pieces = fit(tree->pieces, &tree->pieces_capacity, tree->pieces_count, sizeof(*tree->pieces));
}

/* Adds the entries of `from` from `begin` on, whose texts lie in this tree from `text` on. */
static void add_stretch(struct tree *tree, const struct tree *from, size_t begin, size_t end, uint32_t text)
{
    struct tree_entry *entries = tree->entries + tree->entries_count;

    if (begin >= end)
        return;
    memcpy(entries, from->entries + begin, (end - begin) * sizeof(*entries));
    for (size_t at = 0; at < end - begin; at++) {
        bool is_symlink = entries[at].kind == ENTRY_SYMLINK;
        entries[at].path += text;
        entries[at].target = is_symlink ? entries[at].target + text : 0;
        entries[at].extra = 0;
        entries[at].content = CONTENT_NONE;
    }
    tree->entries_count += end - begin;
}

/* What is left of `base` between these indexes; *gone_at moves along. */
static void add_left(struct tree *tree, const struct tree *base, size_t begin, size_t end,
                     const struct tree_range *gone, size_t gone_count, size_t *gone_at)
{
    while (begin < end) {
        size_t stop = *gone_at < gone_count && gone[*gone_at].begin < end ? gone[*gone_at].begin : end;
        add_stretch(tree, base, begin, stop, 0);
        begin = stop > begin ? stop : begin;
        if (*gone_at == gone_count || gone[*gone_at].begin > begin)
            continue;
        begin = gone[*gone_at].end < end ? gone[*gone_at].end : end;
        *gone_at += gone[*gone_at].end <= end;
    }
}

struct tree *tree_patch(const struct tree *base, const struct tree_range *gone, size_t gone_count,
                        const struct tree *more)
{
    struct tree *tree = xcalloc(1, sizeof(*tree));
    size_t at = 0, gone_at = 0;

    assert(base->ascending && more->ascending && more->text_size < UINT32_MAX - base->text_size);
    tree->ascending = true;
    tree->entries_capacity = base->entries_count + more->entries_count;
    tree->entries = xmalloc((tree->entries_capacity + 1) * sizeof(*tree->entries));
    tree->text_size = tree->text_capacity = base->text_size + more->text_size;
    tree->text = xmalloc(tree->text_size + 1);
    if (base->text_size > 0)
        memcpy(tree->text, base->text, base->text_size);
    if (more->text_size > 0)
        memcpy(tree->text + base->text_size, more->text, more->text_size);
    for (size_t index = 0; index < more->entries_count; index++) {
        size_t place = tree_place(base, tree_path(more, &more->entries[index]));
        add_left(tree, base, at, place, gone, gone_count, &gone_at);
        add_stretch(tree, more, index, index + 1, (uint32_t)base->text_size);
        at = place;
    }
    add_left(tree, base, at, base->entries_count, gone, gone_count, &gone_at);
    return tree;
}

static bool component_is_safe(const char *name, size_t size, bool is_first)
{
    static const char ours[] = ".holdfast";

    if (size == 0 || (size == 1 && name[0] == '.') || (size == 2 && name[0] == '.' && name[1] == '.'))
        return false;
    return !is_first || size != sizeof(ours) - 1 || memcmp(name, ours, size) != 0;
}

bool tree_path_is_safe(const char *path, size_t size)
{
    const char *end = path + size, *name = path;

    if (size == 0 || size > TREE_PATH_MAX || memchr(path, '\0', size))
        return false;
    for (;;) {
        const char *slash = memchr(name, '/', (size_t)(end - name));
        const char *name_end = slash ? slash : end;
        if (!component_is_safe(name, (size_t)(name_end - name), name == path))
            return false;
        if (!slash)
            return true;
        name = slash + 1;
    }
}

int tree_compare_inodes(const void *one, const void *other)
{
    uint64_t left = *(const uint64_t *)one, right = *(const uint64_t *)other;

    return (left > right) - (left < right);
}
