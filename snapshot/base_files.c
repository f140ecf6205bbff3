/* A file that keeps moving goes in as the base before had it, since a torn content would be worse than an old
 * one; one that vanished and must stay for a while (its deletion may run ahead of the database) comes from
 * there as well. */
#include "snapshot/base_files.h"

struct tree_entry *base_previous_of(const struct base_request *request, const char *path)
{
    struct tree_entry *entry = request->previous ? tree_find(request->previous->tree, path) : NULL;

    return entry && entry->kind == ENTRY_FILE ? entry : NULL;
}

void base_take_previous(struct tree_entry *entry, const struct tree_entry *previous)
{
    entry->size = previous->size;
    entry->mode = previous->mode;
    entry->uid = previous->uid;
    entry->gid = previous->gid;
    entry->mtime_ns = previous->mtime_ns;
    entry->inode = 0; /* not what is on the disk: look again next time */
    entry->ctime_ns = 0;
}

bool base_files_cut(struct base_request *request, struct base_result *result, struct err *err)
{
    /* Large ones first: what moves and was small in the base before is small again after that. Where the
     * state is repeated they are blobs already. */
    if ((!request->repeats && !base_large_files_cut(request, result, err)) ||
        !base_small_files_cut(request, result, err))
        return false;
    tree_compact(result->manifest.tree);
    return true;
}
