/* The commits of a log, read from the -wal file of another process.
 *
 * Nothing in that file says how far it counts: frames after the last commit may be those of a transaction in
 * progress, of one that was rolled back, or left over from the log before. So the reader is told where to
 * stop, by a header of the wal-index, and begins where it knows the checksum; every frame between must have
 * the salts and continue the checksum, which covers all before it (https://sqlite.org/walformat.html). The
 * caller holds a lock that keeps these frames from being overwritten.
 *
 * Frames are read in large pieces and looked at once. One thread. */
#ifndef SNAPSHOT_WAL_READER_H
#define SNAPSHOT_WAL_READER_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "snapshot/wal_file.h"

#include <stddef.h>
#include <stdint.h>

/* After a frame. Before the first one (frame 0) the checksum is not used: the file's header has it. */
struct wal_position {
    uint32_t salt[2];
    uint32_t frame;
    uint32_t checksum[2];
};

struct wal_change {
    uint32_t page;
    uint32_t frame; /* the newest of the commit that holds it */
};

struct wal_commit {
    struct wal_position end;
    uint32_t pages_after; /* of the database */
    /* Ascending by page; without the lock-byte page and without pages that the commit has cut off again.
     * Valid until the reader is used again. */
    const struct wal_change *changes;
    size_t count;
};

struct wal_reader {
    int fd; /* of the -wal file, borrowed */
    uint32_t page_size;
    bool big_endian;
    struct wal_position position; /* the end of the last commit */
    struct buf window;            /* frames as they are in the file */
    uint32_t window_first;
    struct wal_change *changes;
    size_t count;
    size_t capacity;
};

/* page_size: of the database. */
void wal_reader_init(struct wal_reader *reader, int fd, uint32_t page_size);
/* Frees the memory; the descriptor is the caller's. */
void wal_reader_clear(struct wal_reader *reader);
static inline void wal_reader_clearp(struct wal_reader *reader)
{
    wal_reader_clear(reader);
}

/* Begins after `start`. ERR_CONFLICT: the file holds another log, or one for another page size. ERR_CORRUPT:
 * it holds none. */
bool wal_reader_begin(struct wal_reader *reader, const struct wal_position *start, struct err *err) CHECKED;

/* The next commit, which ends at or before the frame `limit`, where a commit does end. ERR_CORRUPT: a frame
 * is missing, of another log, or damaged, or no commit ends at the limit; the reader has not moved. Takes
 * memory for the page numbers of the commit, not for the pages. */
bool wal_reader_next(struct wal_reader *reader, uint32_t limit, struct wal_commit *ret_commit,
                     struct err *err) CHECKED;

/* The page in a frame that a commit has named: page_size bytes. */
bool wal_reader_page(struct wal_reader *reader, uint32_t frame, uint8_t *bytes, struct err *err) CHECKED;

/* Gives large buffers back. What a commit named is gone. */
void wal_reader_trim(struct wal_reader *reader);

#endif
