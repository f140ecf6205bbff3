#include "tests/double/wal_sample.h"

#include <endian.h>
#include <string.h>

/* SQLite's walChecksumBytes(). */
static void sum(const uint32_t *words, unsigned count, bool swapped, uint32_t ret_sum[2])
{
    uint32_t s1 = 0, s2 = 0;

    for (unsigned at = 0; at < count; at += 2) {
        s1 += (swapped ? __builtin_bswap32(words[at]) : words[at]) + s2;
        s2 += (swapped ? __builtin_bswap32(words[at + 1]) : words[at + 1]) + s1;
    }
    ret_sum[0] = s1;
    ret_sum[1] = s2;
}

void wal_sample_index(uint32_t ret_words[WAL_INDEX_WORDS], const struct wal_index_header *header,
                      uint32_t backfilled)
{
    uint16_t page_size = (uint16_t)((header->page_size & 0xff00) | header->page_size >> 16);
    uint32_t copy[12] = {3007000, 0, header->changes, 0, header->frames, header->pages};

    copy[3] = htole32(1U | (uint32_t)page_size << 16); /* isInit, bigEndCksum, szPage */
    copy[6] = header->frame_checksum[0];
    copy[7] = header->frame_checksum[1];
    copy[8] = htobe32(header->salt[0]);
    copy[9] = htobe32(header->salt[1]);
    sum(copy, 10, false, copy + 10);
    memcpy(ret_words, copy, sizeof(copy));
    memcpy(ret_words + 12, copy, sizeof(copy));
    ret_words[24] = backfilled;
}

void wal_sample_file_header(uint8_t ret_bytes[WAL_FILE_HEADER_SIZE], const struct wal_file_header *header,
                            bool big_endian)
{
    uint32_t words[8] = {htobe32(0x377f0682U | big_endian), htobe32(3007000),
                         htobe32(header->page_size),        0,
                         htobe32(header->salt[0]),          htobe32(header->salt[1])};
    uint32_t checksum[2];

    sum(words, 6, big_endian, checksum);
    words[6] = htobe32(checksum[0]);
    words[7] = htobe32(checksum[1]);
    memcpy(ret_bytes, words, sizeof(words));
}

void wal_sample_frame(uint8_t ret_bytes[WAL_FRAME_HEADER_SIZE], const struct wal_frame_header *header)
{
    uint32_t words[6] = {htobe32(header->page),        htobe32(header->commit),
                         htobe32(header->salt[0]),     htobe32(header->salt[1]),
                         htobe32(header->checksum[0]), htobe32(header->checksum[1])};

    memcpy(ret_bytes, words, sizeof(words));
}
