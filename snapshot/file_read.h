/* Reading the content of files while an application goes on with them, and storing large ones as blobs: what
 * a base and a data record have in common.
 *
 * A file counts as read when nothing about it moved from before the first byte to after the last. Several
 * threads may read with the same struct file_reading at once. */
#ifndef SNAPSHOT_FILE_READ_H
#define SNAPSHOT_FILE_READ_H

#include "snapshot/codec.h"
#include "snapshot/globs.h"
#include "snapshot/piece_names.h"
#include "snapshot/store/store.h"
#include "snapshot/tree.h"

#include <stdatomic.h>
#include <sys/stat.h>

/* What all files of one base or record have in common. Borrowed while files are read. */
struct file_reading {
    struct store *store; /* with retry */
    const atomic_bool *canceled;
    uint64_t tag;                    /* of new blobs: the newest confirmed position + 1 */
    const struct piece_names *known; /* blobs that the tree before names; NULL: none */
    const struct globs *databases;   /* names under which a database is never a plain file; NULL: none */
    int directory_fd;                /* of the data directory */
    /* Opens the file of this entry for reading, to be closed with guarded_file_close(). */
    bool (*open)(void *context, size_t entry, const char *path, int *ret_fd, struct err *err);
    void *context;
};

/* The file to be read. */
struct file_at {
    size_t index; /* of the entry, for `open` */
    const char *path;
    /* As the scan met it; takes what is found: size, mode, owner, times, inode (0 if it has moved since
     * the scan: it is to be looked into again). Untouched but for the size (of READ_OTHER_SIZE) if it was
     * not read. */
    struct tree_entry *entry;
    struct err *failure; /* READ_FAILED: why; NULL: then it is the error of the call */
};

/* What reading a file from the disk came to. */
enum read_outcome {
    READ_DONE,
    READ_GONE,       /* no such file, a database by now or a part of one, or no file */
    READ_MOVING,     /* it was being written all the time, or has become a database since the scan */
    READ_OTHER_SIZE, /* large where a small one was expected, or the other way; entry->size says it */
    READ_FAILED,     /* it can't be opened; only if there is room for the reason */
};

/* A file as the pieces that it was cut into. */
struct file_pieces {
    struct tree_piece *list; /* the caller frees it */
    uint32_t count;
    uint64_t uploaded; /* blobs */
};

/* Reads a file of at most TREE_INLINE_MAX bytes into room, which has so many. */
bool file_read_small(const struct file_reading *reading, const struct file_at *file, uint8_t *room,
                     enum read_outcome *ret_outcome, struct err *err) CHECKED;

/* Reads a larger file piece by piece and uploads what is new; zeros and pieces known by their content are
 * not. Failing to upload is the error of the call. */
bool file_read_large(const struct file_reading *reading, const struct file_at *file,
                     struct file_pieces *pieces, enum read_outcome *ret_outcome, struct err *err) CHECKED;

/* Makes one piece of bytes that were read already: at most TREE_PIECE_SIZE, at least 1. */
bool file_store_piece(const struct file_reading *reading, struct codec *codec, const void *raw, uint32_t size,
                      struct file_pieces *pieces, struct err *err) CHECKED;

#endif
