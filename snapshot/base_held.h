/* New files, kept from vanishing before they are read.
 *
 * The frozen databases may name a file that is unlinked while they are still being uploaded, and the base
 * before doesn't have it (protocol.md, H10). A descriptor that only stands for the inode keeps its content;
 * a hard link would do so too, but touch the file's ctime and wake the watch. Filled by one thread, then read
 * by all. */
#ifndef SNAPSHOT_BASE_HELD_H
#define SNAPSHOT_BASE_HELD_H

#include "snapshot/base.h"

enum { BASE_HELD_MAX = 256 };

struct base_held {
    struct {
        size_t entry; /* index in the tree, ascending */
        int fd;       /* O_PATH */
    } files[BASE_HELD_MAX];
    size_t count;
};

/* Holds the files of request->tree that request->previous doesn't have; the first 256 of them. */
void base_held_open(struct base_held *held, const struct base_request *request);
void base_held_close(struct base_held *held);

/* Opens the content of an entry of the tree for reading: what is at its path now, or what was there when it
 * was held. ERR_NOT_FOUND: neither. Close with guarded_file_close(). context: the struct base_request, whose
 * `held` is set. */
bool base_held_read(void *context, size_t entry, const char *path, int *ret_fd, struct err *err) CHECKED;

#endif
