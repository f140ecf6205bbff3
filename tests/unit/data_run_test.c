/* What is refused in the runs of a data record. */
#include "snapshot/pagehash.h"
#include "tests/unit/data_forge.h"

/* A bulk of 100 bytes and the run. */
static void forge_in_bulk(struct buf *body, const struct forged_run *run)
{
    struct digest hash = digest_of("part", 4);

    data_add_bulk(body, 1, 100, &hash);
    forge_run(body, run);
}

static void expect_run_refused(const struct forged_run *run, const char *text)
{
    BODY(body);

    forge_in_bulk(&body, run);
    expect_refused(&body, text);
}

static void expect_run_accepted(const struct forged_run *run)
{
    BODY(body);

    forge_in_bulk(&body, run);
    expect_accepted(&body);
}

/* The sound run after the given changes. */
#define EXPECT_RUN_REFUSED(text, ...)   \
    do {                                \
        struct forged_run run = sound;  \
        __VA_ARGS__;                    \
        expect_run_refused(&run, text); \
    } while (0)
#define EXPECT_RUN_ACCEPTED(...)       \
    do {                               \
        struct forged_run run = sound; \
        __VA_ARGS__;                   \
        expect_run_accepted(&run);     \
    } while (0)

TEST(page_sizes_are_those_of_sqlite)
{
    for (uint32_t page_size = 512; page_size <= 65536; page_size *= 2)
        EXPECT_RUN_ACCEPTED(run.page_size = page_size);
    EXPECT_RUN_REFUSED("page size", run.page_size = 0);
    EXPECT_RUN_REFUSED("page size", run.page_size = 256);
    EXPECT_RUN_REFUSED("page size", run.page_size = 4097);
    EXPECT_RUN_REFUSED("page size", run.page_size = 131072);
}

TEST(a_run_has_1_to_1024_pages_and_no_more_than_4_mib)
{
    EXPECT_RUN_REFUSED("no pages", run.count = 0);
    EXPECT_RUN_ACCEPTED(run.count = 1024, run.pages_after = 1024);
    EXPECT_RUN_REFUSED("more than 1024", run.count = 1025, run.pages_after = 1025);
    EXPECT_RUN_REFUSED("more than 1024", run.page_size = 512, run.count = 1025, run.pages_after = 1025);
    EXPECT_RUN_ACCEPTED(run.page_size = 65536, run.count = 64, run.pages_after = 64);
    EXPECT_RUN_REFUSED("more than 4 MiB", run.page_size = 65536, run.count = 65, run.pages_after = 65);
}

TEST(page_numbers_ascend_within_the_database_and_leave_out_the_locks)
{
    EXPECT_RUN_REFUSED("ascending order", run.pages[0] = 0);
    EXPECT_RUN_REFUSED("ascending order", run.pages[0] = 10);
    EXPECT_RUN_REFUSED("ascending order", run.pages[0] = 10, run.pages[1] = 9);
    EXPECT_RUN_REFUSED("above the last one", run.pages[1] = 11);
    EXPECT_RUN_REFUSED("no pages", run.pages_after = 0);
    EXPECT_RUN_REFUSED("more than a database", run.pages_after = UINT32_MAX);
    EXPECT_RUN_ACCEPTED(run.pages_after = UINT32_MAX - 1, run.pages[1] = UINT32_MAX - 1);
    for (uint32_t page_size = 512; page_size <= 65536; page_size *= 2) {
        uint32_t lock = pagehash_lock_page(page_size);
        EXPECT_RUN_REFUSED("SQLite's locks", run.page_size = page_size, run.pages_after = UINT32_MAX - 1,
                           run.pages[1] = lock);
        EXPECT_RUN_ACCEPTED(run.page_size = page_size, run.pages_after = lock, run.pages[1] = lock - 1);
    }
}

TEST(flags_that_are_unknown_are_refused)
{
    EXPECT_RUN_REFUSED("flag that is unknown", run.is_last = 2);
    EXPECT_RUN_REFUSED("flag that is unknown", run.where = 2);
}

TEST(a_frame_has_a_size_that_zstd_can_give)
{
    EXPECT_RUN_REFUSED("its frame is empty", run.here_size = 0);
    EXPECT_RUN_ACCEPTED(run.here_size = 1);
    EXPECT_RUN_ACCEPTED(run.here_size = DELTA_FRAME_MAX);
    EXPECT_RUN_REFUSED("larger than zstd", run.here_size = DELTA_FRAME_MAX + 1);
}

TEST(a_frame_in_bulk_lies_in_a_bulk_of_this_record)
{
    EXPECT_RUN_ACCEPTED(run.where = 1);
    EXPECT_RUN_ACCEPTED(run.where = 1, run.offset = 99, run.size = 1);
    EXPECT_RUN_REFUSED("its frame is empty", run.where = 1, run.size = 0);
    EXPECT_RUN_REFUSED("in the header", run.where = 1, run.offset = 15);
    EXPECT_RUN_REFUSED("beyond the end", run.where = 1, run.size = 85);
    EXPECT_RUN_REFUSED("beyond the end", run.where = 1, run.offset = 101);
    EXPECT_RUN_REFUSED("beyond the end", run.where = 1, run.offset = UINT32_MAX);
    EXPECT_RUN_REFUSED("not there", run.where = 1, run.section = 1); /* the run's own number */
    EXPECT_RUN_REFUSED("not there", run.where = 1, run.section = UINT32_MAX);
}

TEST(the_path_of_a_run_stays_in_the_data_directory)
{
    static const char *const paths[] = {"", "/db", "../db", "a//db", "./db", "db/", ".holdfast/db"};

    for (size_t at = 0; at < sizeof(paths) / sizeof(paths[0]); at++)
        EXPECT_RUN_REFUSED("not a path inside", run.path = paths[at]);
}

static void expect_commit_refused(const struct forged_run *second, const char *text)
{
    struct forged_run first = sound;
    BODY(body);

    first.is_last = 0;
    first.pages[1] = 2;
    forge_run(&body, &first);
    forge_run(&body, second);
    expect_refused(&body, text);
}

#define EXPECT_COMMIT_REFUSED(text, ...)   \
    do {                                   \
        struct forged_run run = sound;     \
        run.pages[0] = 3;                  \
        __VA_ARGS__;                       \
        expect_commit_refused(&run, text); \
    } while (0)

TEST(the_runs_of_a_commit_say_the_same_and_ascend)
{
    EXPECT_COMMIT_REFUSED("different commits", run.path = "other");
    EXPECT_COMMIT_REFUSED("different commits", run.path = "dbx");
    EXPECT_COMMIT_REFUSED("different commits", run.incarnation = 6);
    EXPECT_COMMIT_REFUSED("different commits", run.page_size = 8192);
    EXPECT_COMMIT_REFUSED("different commits", run.pages_after = 11);
    EXPECT_COMMIT_REFUSED("different commits", run.rolling_hash = 7);
    EXPECT_COMMIT_REFUSED("from run to run", run.pages[0] = 2);
    EXPECT_COMMIT_REFUSED("from run to run", run.pages[0] = 1);
}

TEST(a_commit_is_whole_and_alone)
{
    struct forged_run first = sound, last = sound;
    BODY(whole);
    BODY(cut);
    BODY(mixed);

    first.is_last = 0;
    first.count = 1;
    last.pages[0] = 2;
    forge_run(&whole, &first);
    forge_run(&whole, &last);
    forge_run(&whole, &first); /* the next commit begins anew */
    forge_run(&whole, &last);
    last.path = "other";
    last.rolling_hash++;
    forge_run(&whole, &last);
    expect_accepted(&whole);
    forge_run(&cut, &first);
    expect_refused(&cut, "ends within a commit");
    forge_run(&mixed, &first);
    data_add_database_gone(&mixed, "x", 1);
    expect_refused(&mixed, "between the runs of a commit");
}

TAP_MAIN()
