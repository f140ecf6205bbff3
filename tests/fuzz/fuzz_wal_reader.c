/* Commits out of a -wal file: the first byte says whether its checksums are made right (else nothing but the
 * first frame would ever be looked into) and how many of its frames are left out; the rest is the file. */
#include "snapshot/pagehash.h"
#include "snapshot/wal_reader.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, RESEALED = 0x80, LEFT_OUT = 0x7f, CHECKSUM_AT = 24, FRAME_CHECKSUM_AT = 16 };

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int byte = 0; byte < 4; byte++)
        at[byte] = (uint8_t)(value >> (24 - 8 * byte));
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_sum(uint8_t *at, const uint32_t sum[2])
{
    put_u32(at, sum[0]);
    put_u32(at + 4, sum[1]);
}

/* As the writer of such a log would have made them, salts included. */
static void reseal(uint8_t *file, size_t size)
{
    bool big_endian = (file[3] & 1) != 0;
    uint32_t page_size = get_u32(file + 8), sum[2] = {0, 0};

    wal_file_sum(big_endian, file, CHECKSUM_AT, sum);
    put_sum(file + CHECKSUM_AT, sum);
    if (page_size < 512 || page_size > 65536 || page_size % 8 != 0)
        return;
    for (size_t at = WAL_FILE_HEADER_SIZE; size - at >= WAL_FRAME_HEADER_SIZE + page_size;
         at += WAL_FRAME_HEADER_SIZE + page_size) {
        memcpy(file + at + 8, file + 16, 8);
        wal_file_sum(big_endian, file + at, 8, sum);
        wal_file_sum(big_endian, file + at + WAL_FRAME_HEADER_SIZE, page_size, sum);
        put_sum(file + at + FRAME_CHECKSUM_AT, sum);
    }
}

static void check_commit(struct wal_reader *reader, const struct wal_commit *commit, uint32_t first,
                         uint32_t limit)
{
    static uint8_t page[65536];
    uint32_t last = 0;
    struct err err = {0};

    assert(commit->end.frame > first && commit->end.frame <= limit);
    for (size_t at = 0; at < commit->count; at++) {
        const struct wal_change *change = &commit->changes[at];
        assert(change->page > last && change->page <= commit->pages_after);
        assert(change->page != pagehash_lock_page(reader->page_size));
        assert(change->frame > first && change->frame <= commit->end.frame);
        assert(wal_reader_page(reader, change->frame, page, &err));
        last = change->page;
    }
}

static void read_all(int fd, const struct wal_file_header *header, uint32_t limit)
{
    struct wal_position start = {.salt = {header->salt[0], header->salt[1]}};
    CLEANUP(wal_reader_clearp) struct wal_reader reader;
    struct wal_commit commit = {0};
    struct err err = {0};

    wal_reader_init(&reader, fd, header->page_size);
    if (!wal_reader_begin(&reader, &start, &err))
        return;
    while (commit.end.frame < limit) {
        uint32_t first = commit.end.frame;
        if (!wal_reader_next(&reader, limit, &commit, &err))
            return;
        check_commit(&reader, &commit, first, limit);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static uint8_t file[FILE_MAX];
    static int fd = -1;
    struct wal_file_header header;
    struct err err = {0};
    uint32_t frames, left_out;

    if (size < 1 + WAL_FILE_HEADER_SIZE || size > FILE_MAX)
        return 0;
    if (fd < 0)
        fd = memfd_create("log", MFD_CLOEXEC);
    memcpy(file, bytes + 1, --size);
    if (bytes[0] & RESEALED)
        reseal(file, size);
    if (!wal_file_parse_header(file, &header, &err))
        return 0;
    assert(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, file, size, 0) == (ssize_t)size);
    frames = (uint32_t)((size - WAL_FILE_HEADER_SIZE) / (WAL_FRAME_HEADER_SIZE + header.page_size));
    left_out = bytes[0] & LEFT_OUT;
    /* One more than there are is what a file tells that was cut short. */
    read_all(fd, &header, left_out == LEFT_OUT ? frames + 1 : left_out < frames ? frames - left_out : 0);
    return 0;
}
