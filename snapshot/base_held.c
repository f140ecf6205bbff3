#include "snapshot/base_held.h"

#include "base/fs.h"
#include "snapshot/base_files.h"
#include "snapshot/guarded_file.h"
#include "snapshot/scan.h"

#include <fcntl.h>

void base_held_open(struct base_held *held, const struct base_request *request)
{
    struct tree *tree = request->tree;

    held->count = 0;
    for (size_t at = 0; at < tree_count(tree) && held->count < BASE_HELD_MAX; at++) {
        const struct tree_entry *entry = tree_at(tree, at);
        const char *path = tree_path(tree, entry);
        struct err gone = {0};
        int fd = -1;
        if (entry->kind != ENTRY_FILE || entry->inode == 0 || base_previous_of(request, path) ||
            !fs_open_beneath(request->directory_fd, path, O_PATH | O_NOFOLLOW, 0, &fd, &gone))
            continue;
        if (scan_is_unborn_at(request->directory_fd, path, fd)) { /* nothing names what is not committed */
            (void)close(fd);
            continue;
        }
        held->files[held->count].entry = at;
        held->files[held->count++].fd = fd;
    }
}

void base_held_close(struct base_held *held)
{
    for (size_t at = 0; at < held->count; at++)
        (void)close(held->files[at].fd); /* O_PATH: drops nobody's lock */
    held->count = 0;
}

static int find_held(const struct base_held *held, size_t entry)
{
    size_t low = 0, high = held->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (held->files[middle].entry < entry)
            low = middle + 1;
        else
            high = middle;
    }
    return low < held->count && held->files[low].entry == entry ? held->files[low].fd : -1;
}

bool base_held_read(void *context, size_t entry, const char *path, int *ret_fd, struct err *err)
{
    const struct base_request *request = context;
    int fd;

    if (guarded_file_open(request->directory_fd, path, ret_fd, err))
        return true;
    fd = find_held(request->held, entry);
    if (err->code != ERR_NOT_FOUND || fd < 0)
        return false;
    return guarded_file_open_held(fd, ret_fd, err);
}
