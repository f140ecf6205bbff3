/* Large files of a base: cut into pieces, of which only those are uploaded that the base before does not
 * name. */
#include "snapshot/base_files.h"

#include <assert.h>
#include <string.h>

enum { FILES_PENDING = 4 };

void base_pieces_copy(const struct base_request *request, const struct tree_entry *previous,
                      struct file_pieces *pieces)
{
    assert(previous->content == CONTENT_PIECES);
    pieces->count = previous->extra;
    pieces->list = xrealloc(pieces->list, previous->extra * sizeof(pieces->list[0]));
    memcpy(pieces->list, tree_pieces(request->previous->tree, previous),
           previous->extra * sizeof(pieces->list[0]));
}

/* One task. */
struct large_file {
    const struct base_request *request;
    size_t index;
    struct tree_entry entry; /* its status as read */
    struct file_pieces pieces;
    bool present;
    bool moved;
};

static bool is_unchanged(const struct tree_entry *entry, const struct tree_entry *previous)
{
    return previous && previous->content == CONTENT_PIECES && previous->inode != 0 &&
           entry->inode == previous->inode && entry->size == previous->size &&
           entry->mtime_ns == previous->mtime_ns && entry->ctime_ns == previous->ctime_ns;
}

/* One that was small in the base before is left to those that cut small files, like one that is small now. */
static void take_previous(struct large_file *file, const struct tree_entry *previous)
{
    file->pieces.count = 0;
    file->present = previous != NULL;
    if (!previous)
        return;
    base_take_previous(&file->entry, previous);
    if (previous->content == CONTENT_PIECES)
        base_pieces_copy(file->request, previous, &file->pieces);
}

static bool cut_large_file(void *context, struct err *err)
{
    struct large_file *file = context;
    const struct base_request *request = file->request;
    struct file_at at = {file->index, tree_path(request->tree, &file->entry), &file->entry, NULL};
    const struct tree_entry *previous = base_previous_of(request, at.path);
    enum read_outcome outcome = READ_GONE;

    file->present = true;
    if (is_unchanged(&file->entry, previous)) {
        base_pieces_copy(request, previous, &file->pieces);
        return true;
    }
    if (file->entry.inode != 0 && !file_read_large(request->reading, &at, &file->pieces, &outcome, err))
        return false;
    file->moved = outcome == READ_MOVING;
    if (outcome == READ_OTHER_SIZE)
        file->pieces.count = 0;
    else if (outcome != READ_DONE)
        take_previous(file, previous);
    return true;
}

static void take_result(struct large_file *file, struct tree *tree)
{
    struct tree_entry *entry = tree_at(tree, file->index);

    *entry = file->entry;
    if (!file->present)
        entry->kind = 0;
    else if (file->pieces.count > 0)
        tree_set_pieces(tree, entry, file->pieces.list, file->pieces.count);
    free(file->pieces.list);
}

static size_t count_large(struct tree *tree)
{
    size_t count = 0;

    for (size_t at = 0; at < tree_count(tree); at++)
        count += tree_at(tree, at)->kind == ENTRY_FILE && tree_at(tree, at)->size > TREE_INLINE_MAX;
    return count;
}

bool base_large_files_cut(struct base_request *request, struct base_result *result, struct err *err)
{
    struct tree *tree = request->tree;
    CLEANUP(freep) struct large_file *files = xcalloc(count_large(tree), sizeof(*files));
    struct task_group group;
    size_t count = 0;
    bool cut;

    group_init(&group, request->pool, FILES_PENDING);
    for (size_t at = 0; at < tree_count(tree); at++) {
        const struct tree_entry *entry = tree_at(tree, at);
        if (entry->kind != ENTRY_FILE || entry->size <= TREE_INLINE_MAX)
            continue;
        files[count] = (struct large_file){.request = request, .index = at, .entry = *entry};
        group_submit(&group, cut_large_file, &files[count++]);
    }
    cut = group_wait(&group, err);
    for (size_t at = 0; at < count; at++) {
        result->blobs_uploaded += files[at].pieces.uploaded;
        result->moved = result->moved || files[at].moved;
        take_result(&files[at], tree);
    }
    return cut;
}
