/* Writes the headers that snapshot/wal_index.h and snapshot/wal_file.h read, as SQLite does. */
#ifndef TESTS_DOUBLE_WAL_SAMPLE_H
#define TESTS_DOUBLE_WAL_SAMPLE_H

#include "snapshot/wal_file.h"
#include "snapshot/wal_index.h"

/* Both copies, with their checksums, and nBackfill. */
void wal_sample_index(uint32_t ret_words[WAL_INDEX_WORDS], const struct wal_index_header *header,
                      uint32_t backfilled);

void wal_sample_file_header(uint8_t ret_bytes[WAL_FILE_HEADER_SIZE], const struct wal_file_header *header,
                            bool big_endian);
void wal_sample_frame(uint8_t ret_bytes[WAL_FRAME_HEADER_SIZE], const struct wal_frame_header *header);

/* A whole log, made frame by frame as SQLite makes it. */
struct wal_sample_log {
    struct wal_file_header header;
    uint32_t checksum[2]; /* after what has been written */
    uint32_t frames;
    int fd;
};

/* Writes the header into an open file; ends the test program if it can't. */
void wal_sample_log_begin(struct wal_sample_log *log, int fd, const struct wal_file_header *header);
/* Appends a frame whose page is filled with one byte. commit: pages of the database, 0: none ends here. */
void wal_sample_log_add(struct wal_sample_log *log, uint32_t page, uint32_t commit, uint8_t fill);

#endif
