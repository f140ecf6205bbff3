/* The log itself, the -wal file (https://sqlite.org/fileformat2.html#the_write_ahead_log): its header and the
 * headers of its frames, as other processes write them. The file has no locks, so it may be opened and closed
 * by hand. Pure functions; any thread. */
#ifndef SNAPSHOT_WAL_FILE_H
#define SNAPSHOT_WAL_FILE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { WAL_FILE_HEADER_SIZE = 32, WAL_FRAME_HEADER_SIZE = 24 };

struct wal_file_header {
    uint32_t page_size;
    uint32_t salt[2];
    uint32_t checksum[2]; /* of the header: where the checksums of the frames begin */
    bool big_endian; /* they are sums of words in this byte order, that of the machine that made the log */
};

struct wal_frame_header {
    uint32_t page;   /* number of the page that follows */
    uint32_t commit; /* pages of the database after the commit that ends here; 0: none ends here */
    uint32_t salt[2];
    uint32_t checksum[2]; /* of the log up to and with this frame */
};

/* ERR_CORRUPT: magic, version, page size or checksum are not those of a log. */
bool wal_file_parse_header(const uint8_t bytes[WAL_FILE_HEADER_SIZE], struct wal_file_header *ret_header,
                           struct err *err) CHECKED;

/* Any bytes are a frame header; whether it belongs to the log is for the caller to see from the salts. */
void wal_file_parse_frame(const uint8_t bytes[WAL_FRAME_HEADER_SIZE], struct wal_frame_header *ret_header);

/* Continues the log's checksum over size bytes, a multiple of 8: the header's first 24, and of each frame the
 * first 8 bytes of its header and then the page. It begins at {0, 0}. */
void wal_file_sum(bool big_endian, const uint8_t *bytes, size_t size, uint32_t checksum[2]);

/* Where frame number `frame` begins; the first is 1. */
uint64_t wal_file_frame_offset(uint32_t frame, uint32_t page_size);

#endif
