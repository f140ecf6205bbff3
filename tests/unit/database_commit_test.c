/* One commit after another, from logs made by hand: around the lock-byte page, where no real database of a
 * test gets, and what SQLite never writes. */
#include "base/fs.h"
#include "snapshot/collector.h"
#include "snapshot/pagehash.h"
#include "tests/double/sample.h"
#include "tests/double/wal_sample.h"
#include "tests/tap.h"

#include <fcntl.h>

static const struct wal_file_header head = {.page_size = 4096, .salt = {7, 9}};

struct stage {
    struct collector collector;
    struct wal_sample_log log;
    struct err err;

    /* What the sink was given. */
    unsigned runs;
    bool was_last;
    uint64_t rolling_change;
    uint32_t count, previous_count;
    uint32_t numbers[DATABASE_RUN_PAGES_MAX];
    uint32_t spoils; /* a frame of the log that the sink damages; 0: none */
};

static bool take(void *context, const struct database_run *run, struct err *err)
{
    struct stage *stage = context;
    uint64_t spoilt = wal_file_frame_offset(stage->spoils > 0 ? stage->spoils : 1, run->page_size) + 100;

    stage->runs++;
    stage->was_last = run->is_last;
    stage->rolling_change = run->rolling_change;
    stage->count = run->count;
    stage->previous_count = run->previous_count;
    memcpy(stage->numbers, run->pages, run->count * sizeof(*run->pages));
    return stage->spoils == 0 || fs_write_at(stage->log.fd, "spoilt", 6, spoilt, err);
}

/* A sparse database of so many pages, all zero, and an empty log. */
static void begin(struct stage *stage, uint32_t page_size, uint32_t pages)
{
    struct collector *collector = &stage->collector;
    struct wal_file_header header = head;
    struct wal_position beginning = {.salt = {7, 9}};

    *stage = (struct stage){0};
    header.page_size = page_size;
    *collector = (struct collector){.sink = {.take = take, .context = stage},
                                    .page_size = page_size,
                                    .pages = pages,
                                    .images = BUF_INIT(COLLECT_RUN_BYTES_MAX),
                                    .previous = BUF_INIT(COLLECT_RUN_BYTES_MAX)};
    collector->database_fd = open(sample_path("db"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    collector->log_fd = open(sample_path("log"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    EXPECT(ftruncate(collector->database_fd, (off_t)pages * page_size) == 0);
    wal_sample_log_begin(&stage->log, collector->log_fd, &header);
    wal_reader_init(&collector->reader, collector->log_fd, page_size);
    EXPECT_OK(wal_reader_begin(&collector->reader, &beginning, &stage->err), &stage->err);
}

static void end(struct stage *stage)
{
    wal_reader_clear(&stage->collector.reader);
    page_map_clear(&stage->collector.map);
    buf_clear(&stage->collector.images);
    buf_clear(&stage->collector.previous);
    (void)close(stage->collector.database_fd);
    (void)close(stage->collector.log_fd);
}

static bool hand_over(struct stage *stage)
{
    struct wal_commit commit;

    return wal_reader_next(&stage->collector.reader, stage->log.frames, &commit, &stage->err) &&
           collector_hand_over(&stage->collector, &commit, &stage->err);
}

static uint64_t hash_of(uint32_t page, uint8_t fill)
{
    uint8_t bytes[4096];

    memset(bytes, fill, sizeof(bytes));
    return pagehash_of(bytes, sizeof(bytes), sizeof(bytes), page);
}

enum { LOCK_PAGE = (1 << 30) / 4096 + 1 };

TEST(a_database_grows_and_shrinks_over_the_lock_byte_page)
{
    struct stage stage;
    uint64_t expected = hash_of(1, 0) ^ hash_of(1, 1);

    begin(&stage, 4096, LOCK_PAGE - 3);
    for (uint32_t page = LOCK_PAGE - 2; page <= LOCK_PAGE + 2; page++)
        if (page != LOCK_PAGE) {
            wal_sample_log_add(&stage.log, page, 0, 5);
            expected ^= hash_of(page, 5);
        }
    wal_sample_log_add(&stage.log, 1, LOCK_PAGE + 2, 1);
    REQUIRE_OK(hand_over(&stage), &stage.err);
    EXPECT_INT(stage.count, 5);
    EXPECT_INT(stage.previous_count, 1);
    EXPECT_INT(stage.numbers[2], LOCK_PAGE - 1);
    EXPECT_INT(stage.numbers[3], LOCK_PAGE + 1);
    EXPECT(stage.rolling_change == expected);

    wal_sample_log_add(&stage.log, 1, LOCK_PAGE - 10, 2);
    for (uint32_t page = LOCK_PAGE - 9; page <= LOCK_PAGE + 2; page++)
        if (page != LOCK_PAGE)
            expected ^= hash_of(page, page < LOCK_PAGE - 2 ? 0 : 5);
    expected ^= hash_of(1, 1) ^ hash_of(1, 2);
    REQUIRE_OK(hand_over(&stage), &stage.err);
    EXPECT_INT(stage.count, 1);
    EXPECT(stage.rolling_change == expected);
    EXPECT_INT(stage.collector.pages, LOCK_PAGE - 10);
    end(&stage);
}

TEST(a_commit_that_grows_the_database_without_writing_all_of_it_is_refused)
{
    struct stage stage;

    begin(&stage, 4096, 10);
    wal_sample_log_add(&stage.log, 11, 0, 5);
    wal_sample_log_add(&stage.log, 1, 12, 1);
    EXPECT(!hand_over(&stage));
    EXPECT_INT(stage.err.code, ERR_CONFLICT);
    EXPECT_INT(stage.runs, 0);
    EXPECT_INT(stage.collector.pages, 10);
    end(&stage);
}

TEST(a_commit_without_a_page_is_refused)
{
    struct stage stage;

    begin(&stage, 4096, 10);
    wal_sample_log_add(&stage.log, 10, 9, 1);
    EXPECT(!hand_over(&stage));
    EXPECT_INT(stage.err.code, ERR_CORRUPT);
    EXPECT_INT(stage.runs, 0);
    end(&stage);
}

TEST(a_previous_image_that_the_file_does_not_have_is_an_error)
{
    struct stage stage;

    begin(&stage, 4096, 10);
    REQUIRE(ftruncate(stage.collector.database_fd, 4 * 4096) == 0);
    wal_sample_log_add(&stage.log, 6, 10, 1);
    EXPECT(!hand_over(&stage));
    EXPECT_INT(stage.err.code, ERR_CORRUPT);
    EXPECT_INT(stage.runs, 0);
    EXPECT_INT(stage.collector.map.count, 0);
    end(&stage);
}

/* The log of the test has pages of 512 bytes, so a run ends at 1024 pages. */
TEST(the_last_run_is_kept_back_if_the_log_has_changed_meanwhile)
{
    struct stage stage;

    begin(&stage, 512, 3000);
    for (uint32_t page = 1; page <= 3000; page++)
        wal_sample_log_add(&stage.log, page, page == 3000 ? 3000 : 0, (uint8_t)page);
    stage.spoils = 1500; /* read long ago, and to be read again for the second run */
    EXPECT(!hand_over(&stage));
    EXPECT_INT(stage.err.code, ERR_CORRUPT);
    EXPECT_INT(stage.runs, 2);
    EXPECT(!stage.was_last);
    EXPECT_INT(stage.collector.map.count, 0);
    EXPECT(stage.collector.rolling_change == 0);
    end(&stage);
}

TEST(a_commit_of_any_size_takes_a_few_megabytes)
{
    enum { PAGES = 500 };
    struct stage stage;

    begin(&stage, 65536, PAGES);
    for (uint32_t page = PAGES; page >= 1; page--)
        wal_sample_log_add(&stage.log, page, page == 1 ? PAGES : 0, (uint8_t)page);
    REQUIRE_OK(hand_over(&stage), &stage.err);
    EXPECT_INT(stage.runs, (PAGES + 63) / 64);
    EXPECT(stage.was_last);
    EXPECT(stage.collector.images.capacity <= COLLECT_RUN_BYTES_MAX + 1);
    EXPECT(stage.collector.previous.capacity <= COLLECT_RUN_BYTES_MAX + 1);
    EXPECT(stage.collector.reader.window.capacity <= (1 << 20) + 1);
    end(&stage);
}

TAP_MAIN()
