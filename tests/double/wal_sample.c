#include "tests/double/wal_sample.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* SQLite's walChecksumBytes(). */
static void add_sum(const uint32_t *words, unsigned count, bool swapped, uint32_t sums[2])
{
    uint32_t s1 = sums[0], s2 = sums[1];

    for (unsigned at = 0; at < count; at += 2) {
        s1 += (swapped ? __builtin_bswap32(words[at]) : words[at]) + s2;
        s2 += (swapped ? __builtin_bswap32(words[at + 1]) : words[at + 1]) + s1;
    }
    sums[0] = s1;
    sums[1] = s2;
}

static void sum(const uint32_t *words, unsigned count, bool swapped, uint32_t ret_sum[2])
{
    ret_sum[0] = ret_sum[1] = 0;
    add_sum(words, count, swapped, ret_sum);
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

static void write_at(int fd, const void *bytes, size_t size, uint64_t offset)
{
    if (pwrite(fd, bytes, size, (off_t)offset) == (ssize_t)size)
        return;
    perror("write a log");
    abort();
}

void wal_sample_log_begin(struct wal_sample_log *log, int fd, const struct wal_file_header *header)
{
    uint8_t bytes[WAL_FILE_HEADER_SIZE];
    uint32_t words[WAL_FILE_HEADER_SIZE / 4];

    *log = (struct wal_sample_log){.header = *header, .fd = fd};
    wal_sample_file_header(bytes, header, header->big_endian);
    memcpy(words, bytes, sizeof(words));
    log->checksum[0] = be32toh(words[6]);
    log->checksum[1] = be32toh(words[7]);
    write_at(fd, bytes, sizeof(bytes), 0);
}

void wal_sample_log_add(struct wal_sample_log *log, uint32_t page, uint32_t commit, uint8_t fill)
{
    static uint32_t words[65536 / 4];
    uint32_t page_size = log->header.page_size;
    struct wal_frame_header header = {.page = page, .commit = commit};
    uint8_t bytes[WAL_FRAME_HEADER_SIZE];
    uint32_t checked[2] = {htobe32(page), htobe32(commit)};
    uint64_t offset = wal_file_frame_offset(++log->frames, page_size);

    memset(words, fill, page_size);
    add_sum(checked, 2, log->header.big_endian, log->checksum);
    add_sum(words, page_size / 4, log->header.big_endian, log->checksum);
    memcpy(header.salt, log->header.salt, sizeof(header.salt));
    memcpy(header.checksum, log->checksum, sizeof(header.checksum));
    wal_sample_frame(bytes, &header);
    write_at(log->fd, bytes, sizeof(bytes), offset);
    write_at(log->fd, words, page_size, offset + sizeof(bytes));
}
