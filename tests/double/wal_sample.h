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

#endif
