/* A name alone proves nothing, and neither does a look before reading: a file counts as read when nothing
 * about it moved from before the first byte to after the last (size, mtime, ctime). One that keeps moving
 * goes in as the base before had it, since a torn content would be worse than an old one; one that vanished
 * and must stay for a while (its deletion may run ahead of the database) comes from there as well. */
#include "snapshot/base_files.h"

#include "base/clock.h"

#include <string.h>

bool base_same_file(const struct stat *before, const struct stat *after)
{
    return before->st_size == after->st_size && before->st_ino == after->st_ino &&
           memcmp(&before->st_mtim, &after->st_mtim, sizeof(before->st_mtim)) == 0 &&
           memcmp(&before->st_ctim, &after->st_ctim, sizeof(before->st_ctim)) == 0;
}

static int64_t ns_of(const struct timespec *time)
{
    return (int64_t)time->tv_sec * (int64_t)NS_PER_SECOND + time->tv_nsec;
}

void base_note_status(struct tree_entry *entry, const struct stat *status)
{
    entry->size = (uint64_t)status->st_size;
    entry->mode = (uint16_t)(status->st_mode & 07777);
    entry->uid = status->st_uid;
    entry->gid = status->st_gid;
    entry->mtime_ns = ns_of(&status->st_mtim);
    entry->ctime_ns = ns_of(&status->st_ctim);
    entry->inode = status->st_ino;
}

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
    /* Large ones first: what moves and was small in the base before is small again after that. */
    if (!base_large_files_cut(request, result, err) || !base_small_files_cut(request, result, err))
        return false;
    tree_compact(result->manifest.tree);
    return true;
}
