/* The header of a wal-index, as other processes write it
 * (https://sqlite.org/walformat.html#the_wal_index_header).
 *
 * It is the one place that says what is committed: two copies of 48 bytes at 0 and 48, and at 96 how much of
 * the log is in the database file. It changes under the reader's eyes. The numbers are in the byte order of
 * the host, except the salts, which are bytes. Pure functions; any thread. */
#ifndef SNAPSHOT_WAL_INDEX_H
#define SNAPSHOT_WAL_INDEX_H

#include "base/err.h"

#include <stdint.h>

enum { WAL_INDEX_WORDS = 25 }; /* both copies, and nBackfill */

/* What one copy says. Two equal headers of one wal-index mean that nothing was committed between: `changes`
 * counts the commits, and no commit leaves it alone. */
struct wal_index_header {
    uint32_t changes;           /* iChange: commits since the wal-index was built */
    uint32_t page_size;         /* bytes; 0: no log was ever seen */
    uint32_t frames;            /* mxFrame: the committed frames of the log */
    uint32_t pages;             /* nPage: of the database after the last of them; 0 may mean "not known" */
    uint32_t frame_checksum[2]; /* of the last frame; it covers all before it, and the salts */
    uint32_t salt[2];           /* the log's generation: the first counts restarts, the second is random */
};

/* The whole of the log, as one reading. */
struct wal_index {
    struct wal_index_header header;
    uint32_t backfilled; /* nBackfill: so many frames are in the database file */
};

/* Copies the words with atomic loads in the order that SQLite asks for: a reader that meets a writer sees two
 * different copies. */
void wal_index_copy(const uint32_t *mapped, uint32_t ret_words[WAL_INDEX_WORDS]);

/* False if the copies differ, are not initialised, or fail their checksum: a writer is at work, or died at
 * it. Also false for a version or page size that does not exist. */
bool wal_index_parse(const uint32_t words[WAL_INDEX_WORDS], struct wal_index *ret_index) CHECKED;

/* Copies and parses, again for up to wait_us while it is torn; then ERR_TRANSIENT. */
bool wal_index_read(const uint32_t *mapped, uint64_t wait_us, struct wal_index *ret_index,
                    struct err *err) CHECKED;

bool wal_index_equal(const struct wal_index_header *one, const struct wal_index_header *other);

/* Whether something may have been committed between the two readings. A log that was merely restarted, the
 * step before its next commit, is no movement. */
bool wal_index_moved(const struct wal_index_header *before, const struct wal_index_header *after);

static inline bool wal_index_is_backfilled(const struct wal_index *index)
{
    return index->backfilled == index->header.frames;
}

#endif
