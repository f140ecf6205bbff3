#include "snapshot/wal_file.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

enum {
    MAGIC = 0x377f0682, /* the lowest bit: checksums are over big-endian words */
    VERSION = 3007000,
    PAGE_SIZE_MIN = 512,
    PAGE_SIZE_MAX = 65536,
    CHECKED_BYTES = 24,
};

/* Where the fields are. */
enum { AT_MAGIC = 0, AT_VERSION = 4, AT_PAGE_SIZE = 8, AT_SALT = 16, AT_CHECKSUM = 24 };
enum { AT_FRAME_PAGE = 0, AT_FRAME_COMMIT = 4, AT_FRAME_SALT = 8, AT_FRAME_CHECKSUM = 16 };

static uint32_t big_endian_at(const uint8_t *bytes)
{
    uint32_t stored;

    memcpy(&stored, bytes, sizeof(stored));
    return be32toh(stored);
}

static uint32_t word_at(const uint8_t *bytes, bool big_endian)
{
    uint32_t stored;

    memcpy(&stored, bytes, sizeof(stored));
    return big_endian ? be32toh(stored) : le32toh(stored);
}

void wal_file_sum(bool big_endian, const uint8_t *bytes, size_t size, uint32_t checksum[2])
{
    uint32_t first = checksum[0], second = checksum[1];

    assert(size % 8 == 0);
    for (size_t at = 0; at < size; at += 8) {
        first += word_at(bytes + at, big_endian) + second;
        second += word_at(bytes + at + 4, big_endian) + first;
    }
    checksum[0] = first;
    checksum[1] = second;
}

bool wal_file_parse_header(const uint8_t bytes[WAL_FILE_HEADER_SIZE], struct wal_file_header *ret_header,
                           struct err *err)
{
    uint32_t page_size = big_endian_at(bytes + AT_PAGE_SIZE);
    bool big_endian = (big_endian_at(bytes + AT_MAGIC) & 1) != 0;
    uint32_t checksum[2] = {0, 0};

    if ((big_endian_at(bytes + AT_MAGIC) & ~UINT32_C(1)) != MAGIC ||
        big_endian_at(bytes + AT_VERSION) != VERSION)
        return err_set(err, ERR_CORRUPT, "the log does not begin like one");
    if (page_size < PAGE_SIZE_MIN || page_size > PAGE_SIZE_MAX || (page_size & (page_size - 1)) != 0)
        return err_set(err, ERR_CORRUPT, "the log's page size is %u", page_size);
    wal_file_sum(big_endian, bytes, CHECKED_BYTES, checksum);
    if (checksum[0] != big_endian_at(bytes + AT_CHECKSUM) ||
        checksum[1] != big_endian_at(bytes + AT_CHECKSUM + 4))
        return err_set(err, ERR_CORRUPT, "the log's header fails its checksum");
    *ret_header = (struct wal_file_header){
        .page_size = page_size,
        .salt = {big_endian_at(bytes + AT_SALT), big_endian_at(bytes + AT_SALT + 4)},
        .checksum = {checksum[0], checksum[1]},
        .big_endian = big_endian,
    };
    return true;
}

void wal_file_parse_frame(const uint8_t bytes[WAL_FRAME_HEADER_SIZE], struct wal_frame_header *ret_header)
{
    *ret_header = (struct wal_frame_header){
        .page = big_endian_at(bytes + AT_FRAME_PAGE),
        .commit = big_endian_at(bytes + AT_FRAME_COMMIT),
        .salt = {big_endian_at(bytes + AT_FRAME_SALT), big_endian_at(bytes + AT_FRAME_SALT + 4)},
        .checksum = {big_endian_at(bytes + AT_FRAME_CHECKSUM), big_endian_at(bytes + AT_FRAME_CHECKSUM + 4)},
    };
}

uint64_t wal_file_frame_offset(uint32_t frame, uint32_t page_size)
{
    assert(frame > 0);
    return WAL_FILE_HEADER_SIZE + (uint64_t)(frame - 1) * (WAL_FRAME_HEADER_SIZE + page_size);
}
