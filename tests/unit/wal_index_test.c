#include "snapshot/wal_index.h"

#include "tests/double/wal_sample.h"
#include "tests/tap.h"

#include <pthread.h>
#include <stdatomic.h>

static struct wal_index_header header_of(uint32_t changes, uint32_t frames)
{
    return (struct wal_index_header){.changes = changes,
                                     .page_size = 4096,
                                     .frames = frames,
                                     .pages = 77,
                                     .frame_checksum = {0x01020304 + changes, 0x05060708},
                                     .salt = {0x11223344, 0x55667788}};
}

TEST(what_is_written_is_read)
{
    static const uint32_t page_sizes[] = {512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
    uint32_t words[WAL_INDEX_WORDS];
    struct wal_index index;

    for (size_t at = 0; at < sizeof(page_sizes) / sizeof(page_sizes[0]); at++) {
        struct wal_index_header header = header_of(9, 42);
        header.page_size = page_sizes[at];
        wal_sample_index(words, &header, 41);
        REQUIRE(wal_index_parse(words, &index));
        EXPECT(wal_index_equal(&index.header, &header));
        EXPECT_INT(index.backfilled, 41);
        EXPECT(!wal_index_is_backfilled(&index));
    }
}

TEST(an_empty_log_without_a_page_size_is_sound)
{
    uint32_t words[WAL_INDEX_WORDS];
    struct wal_index index;

    wal_sample_index(words, &(struct wal_index_header){0}, 0);
    REQUIRE(wal_index_parse(words, &index));
    EXPECT(wal_index_is_backfilled(&index));
}

TEST(every_flipped_bit_of_the_header_is_noticed)
{
    uint32_t words[WAL_INDEX_WORDS];
    struct wal_index_header header = header_of(9, 42);
    struct wal_index index;

    wal_sample_index(words, &header, 42);
    for (unsigned bit = 0; bit < 24 * 32; bit++) {
        words[bit / 32] ^= UINT32_C(1) << bit % 32;
        EXPECT(!wal_index_parse(words, &index));
        words[bit / 32] ^= UINT32_C(1) << bit % 32;
    }
    EXPECT(wal_index_parse(words, &index));
}

TEST(a_header_that_no_sqlite_writes_is_refused)
{
    uint32_t words[WAL_INDEX_WORDS];
    struct wal_index_header header = header_of(9, 42);
    struct wal_index index;

    wal_sample_index(words, &header, 43); /* more in the file than there is */
    EXPECT(!wal_index_parse(words, &index));
    header.page_size = 0; /* frames of no size */
    wal_sample_index(words, &header, 0);
    EXPECT(!wal_index_parse(words, &index));
    header.page_size = 1536;
    wal_sample_index(words, &header, 0);
    EXPECT(!wal_index_parse(words, &index));
    memset(words, 0, sizeof(words)); /* not initialised */
    EXPECT(!wal_index_parse(words, &index));
}

TEST(a_restart_alone_is_no_movement)
{
    struct wal_index_header before = header_of(9, 42), after = before;

    EXPECT(!wal_index_moved(&before, &after));
    after.frames = 0;
    after.salt[0]++;
    after.salt[1] = 99;
    EXPECT(!wal_index_moved(&before, &after));
    after.frames = 1;
    EXPECT(wal_index_moved(&before, &after));
    after.frames = 0;
    after.changes++;
    EXPECT(wal_index_moved(&before, &after));
    after.changes--;
    after.salt[0]++;
    EXPECT(wal_index_moved(&before, &after));
}

/* A writer that publishes header after header as SQLite does, and a reader that must never see a mixture. */
static uint32_t shared[WAL_INDEX_WORDS];
static atomic_bool stopping;

static void *publish(void *context)
{
    (void)context;
    for (uint32_t change = 1; !atomic_load(&stopping); change++) {
        uint32_t words[WAL_INDEX_WORDS];
        struct wal_index_header header = header_of(change, change);
        wal_sample_index(words, &header, 0);
        for (unsigned at = 24; at-- > 12;)
            __atomic_store_n(&shared[at], words[at], __ATOMIC_RELEASE);
        for (unsigned at = 12; at-- > 0;)
            __atomic_store_n(&shared[at], words[at], __ATOMIC_RELEASE);
    }
    return NULL;
}

TEST(a_reader_never_sees_a_mixture_of_two_headers)
{
    pthread_t writer;
    uint32_t last = 0;
    struct err err = {0};

    wal_sample_index(shared, &(struct wal_index_header){0}, 0);
    REQUIRE(pthread_create(&writer, NULL, publish, NULL) == 0);
    for (unsigned reading = 0; reading < 200000 || last < 1000; reading++) {
        struct wal_index index;
        struct wal_index_header expected;
        if (!wal_index_read(shared, 1000, &index, &err))
            continue;
        expected = header_of(index.header.changes, index.header.changes);
        EXPECT(index.header.changes == 0 || wal_index_equal(&index.header, &expected));
        EXPECT(index.header.changes >= last);
        last = index.header.changes;
    }
    atomic_store(&stopping, true);
    REQUIRE(pthread_join(writer, NULL) == 0);
}

TEST(a_header_that_stays_torn_is_reported_in_time)
{
    struct wal_index index;
    struct err err = {0};

    memset(shared, 0, sizeof(shared));
    EXPECT(!wal_index_read(shared, 2000, &index, &err));
    EXPECT_INT(err.code, ERR_TRANSIENT);
}

TAP_MAIN()
