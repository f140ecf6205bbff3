#include "snapshot/wal_index.h"

#include "base/clock.h"

#include <endian.h>
#include <sched.h>
#include <string.h>

enum {
    VERSION = 3007000,
    COPY_WORDS = 12,
    CHECKED_WORDS = 10, /* of a copy; the other two are the checksum of these */
};

/* The words of a copy. */
enum {
    AT_VERSION,
    AT_CHANGES = 2,
    AT_FLAGS,
    AT_FRAMES,
    AT_PAGES,
    AT_FRAME_CHECKSUM,
    AT_SALT = 8,
    AT_CHECKSUM = 10
};

/* 12 bytes in: isInit (1 byte), bigEndCksum (1 byte), szPage (2 bytes, 65536 written as 1). */
enum { INITIALISED_OFFSET = 4 * AT_FLAGS, PAGE_SIZE_OFFSET = INITIALISED_OFFSET + 2 };

void wal_index_copy(const uint32_t *mapped, uint32_t ret_words[WAL_INDEX_WORDS])
{
    /* Writers store the second copy first. Acquire keeps each load behind the one before it. */
    for (unsigned at = 0; at < WAL_INDEX_WORDS; at++)
        ret_words[at] = __atomic_load_n(&mapped[at], __ATOMIC_ACQUIRE);
}

/* The Fletcher-like sum of walChecksumBytes() in SQLite's wal.c, native byte order. */
static void sum(const uint32_t *words, unsigned count, uint32_t ret_sum[2])
{
    uint32_t first = 0, second = 0;

    for (unsigned at = 0; at < count; at += 2) {
        first += words[at] + second;
        second += words[at + 1] + first;
    }
    ret_sum[0] = first;
    ret_sum[1] = second;
}

static uint32_t page_size_of(const uint32_t *words)
{
    uint16_t stored;

    memcpy(&stored, (const uint8_t *)words + PAGE_SIZE_OFFSET, sizeof(stored));
    return (uint32_t)(stored & 0xfe00) + ((uint32_t)(stored & 1) << 16);
}

static bool is_sound(const uint32_t *words)
{
    uint32_t expected[2];
    uint32_t page_size = page_size_of(words);

    sum(words, CHECKED_WORDS, expected);
    return memcmp(words, words + COPY_WORDS, COPY_WORDS * sizeof(*words)) == 0 &&
           ((const uint8_t *)words)[INITIALISED_OFFSET] != 0 && words[AT_VERSION] == VERSION &&
           words[AT_CHECKSUM] == expected[0] && words[AT_CHECKSUM + 1] == expected[1] &&
           (page_size & (page_size - 1)) == 0 && (page_size != 0 || words[AT_FRAMES] == 0);
}

bool wal_index_parse(const uint32_t words[WAL_INDEX_WORDS], struct wal_index *ret_index)
{
    if (!is_sound(words) || words[2 * COPY_WORDS] > words[AT_FRAMES])
        return false; /* nBackfill is reset after the header: between the two it may be above */
    *ret_index = (struct wal_index){
        .header =
            {
                .changes = words[AT_CHANGES],
                .page_size = page_size_of(words),
                .frames = words[AT_FRAMES],
                .pages = words[AT_PAGES],
                .frame_checksum = {words[AT_FRAME_CHECKSUM], words[AT_FRAME_CHECKSUM + 1]},
                .salt = {be32toh(words[AT_SALT]), be32toh(words[AT_SALT + 1])},
            },
        .backfilled = words[2 * COPY_WORDS],
    };
    return true;
}

bool wal_index_read(const uint32_t *mapped, uint64_t wait_us, struct wal_index *ret_index, struct err *err)
{
    uint64_t deadline_ns = clock_monotonic_ns() + wait_us * 1000;
    uint32_t words[WAL_INDEX_WORDS];

    for (;;) {
        wal_index_copy(mapped, words);
        if (wal_index_parse(words, ret_index))
            return true;
        if (clock_monotonic_ns() >= deadline_ns)
            return err_set(err, ERR_TRANSIENT, "the wal-index is torn");
        (void)sched_yield(); /* its writer may wait for this very processor */
    }
}

bool wal_index_equal(const struct wal_index_header *one, const struct wal_index_header *other)
{
    return memcmp(one, other, sizeof(*one)) == 0; /* eight words, no padding */
}

bool wal_index_moved(const struct wal_index_header *before, const struct wal_index_header *after)
{
    struct wal_index_header restarted = *before;

    restarted.frames = 0;
    restarted.salt[0] = before->salt[0] + 1;
    restarted.salt[1] = after->salt[1];
    return !wal_index_equal(before, after) && !wal_index_equal(&restarted, after);
}
