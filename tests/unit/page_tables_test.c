/* Tables of page hashes through records that land or don't, processes that end anywhere, and disks that are
 * full. */
#include "tests/unit/page_tables_bench.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

TEST(hashes_in_memory_grow_and_are_cut_like_their_database)
{
    CLEANUP(page_hashes_freep) struct page_hashes *hashes = page_hashes_new(2);

    EXPECT(page_hashes_rolling(hashes) == 0);
    page_hashes_set(hashes, 2, 5);
    page_hashes_set(hashes, 4, 9);
    EXPECT_INT(hashes->count, 4);
    EXPECT(hashes->values[2] == 0);
    EXPECT_INT(page_hashes_rolling(hashes), 5 ^ 9);
    page_hashes_resize(hashes, 3);
    EXPECT_INT(page_hashes_rolling(hashes), 5);
    page_hashes_resize(hashes, 100);
    EXPECT_INT(page_hashes_rolling(hashes), 5); /* what was cut off does not come back */
}

TEST(tables_follow_record_after_record)
{
    struct bench bench;

    set_up(&bench, 100);
    expect_tables(&bench);
    for (int record = 0; record < 50; record++) {
        build(&bench, 1 + (unsigned)any(8));
        page_tables_commit(&bench.tables);
        expect_tables(&bench);
    }
    restart(&bench);
    expect_tables(&bench);
    EXPECT_INT(bench.warnings, 0);
    tear_down(&bench);
}

/* Of databases that are gone, and of others that no record ever held. */
TEST(at_a_start_strays_go)
{
    struct bench bench;
    char path[PAGE_TABLE_PATH_SIZE];

    set_up(&bench, 100);
    build(&bench, 3);
    page_tables_commit(&bench.tables);
    page_tables_add(&bench.tables, "another.db", 9);
    page_table_path("another.db", 9, path);
    EXPECT(scratch_exists(bench.disk.fd, path) && scratch_exists(bench.disk.fd, PAGE_JOURNAL_PATH));
    restart(&bench);
    expect_tables(&bench);
    EXPECT(!scratch_exists(bench.disk.fd, path) && scratch_exists(bench.disk.fd, PAGE_JOURNAL_PATH));
    tear_down(&bench);
}

/* What a killed process leaves of the step from one record to the next, and what the log says then. */
TEST(a_process_may_end_at_any_instant)
{
    struct bench bench;

    set_up(&bench, 100);
    for (int record = 0; record < 60; record++) {
        struct manifest before;
        bool landed = any(2) == 0;
        copy_model(&bench.model, &before);
        build(&bench, 1 + (unsigned)any(8));
        if (!landed) { /* the log goes on with something that changes no data */
            manifest_clear(&bench.model);
            bench.model = before;
            bench.position--;
        } else {
            manifest_clear(&before);
            if (any(2) == 0)
                page_tables_commit(&bench.tables);
        }
        for (uint64_t times = any(3); times > 0; times--)
            restart(&bench);
        if (!landed || !bench.tables.work)
            restart(&bench);
        restart(&bench);
        expect_tables(&bench);
    }
    tear_down(&bench);
}

/* Killed while the tables followed: some values are those of the record already. */
TEST(a_journal_carried_out_by_halves_is_carried_out_whole)
{
    struct bench bench;

    set_up(&bench, 300);
    for (int record = 0; record < 40; record++) {
        const struct manifest_database *database = &bench.model.databases[record % DATABASES];
        CLEANUP(close_fdp) int fd = -1;
        struct err err = {0};
        uint64_t before = database->hashes->count;
        build(&bench, 6);
        REQUIRE_OK(page_tables_open(&bench.tables, database, &fd, &err), &err);
        if (any(2) == 0)
            REQUIRE_OK(page_table_resize(fd, database->pages, &err), &err);
        for (uint64_t page = 1; page <= before && page <= database->pages; page++)
            if (any(2) == 0)
                REQUIRE_OK(page_table_write(fd, page, database->hashes->values + page - 1, 1, &err), &err);
        restart(&bench);
        expect_tables(&bench);
    }
    tear_down(&bench);
}

static bool has_files(const struct bench *bench)
{
    return scratch_exists(bench->disk.fd, PAGE_TABLES_FOLDER);
}

TEST(tables_that_are_wrong_in_anything_are_dropped)
{
    for (int fault = 0; fault < 7; fault++) {
        struct bench bench;
        char path[PAGE_TABLE_PATH_SIZE];
        CLEANUP(close_fdp) int fd = -1;
        struct err err = {0};
        uint64_t wrong = 1;
        set_up(&bench, 50);
        page_table_path("b.sqlite3", 3, path);
        REQUIRE_OK(page_table_open(bench.disk.fd, path, &fd, &err), &err);
        if (fault == 0)
            REQUIRE_OK(page_table_write(fd, 17, &wrong, 1, &err), &err);
        else if (fault == 1)
            REQUIRE_OK(page_table_resize(fd, 51, &err), &err);
        else if (fault == 2)
            REQUIRE_OK(page_table_resize(fd, 49, &err), &err);
        else if (fault == 3)
            EXPECT_INT(unlinkat(bench.disk.fd, path, 0), 0);
        else if (fault == 4)
            bench.model.databases[1].incarnation++;
        else if (fault == 5)
            bench.model.databases[0].rolling_hash ^= 1;
        else
            EXPECT_INT(ftruncate(fd, 50 * 8 - 1), 0);
        restart(&bench);
        EXPECT(!bench.tables.work && !has_files(&bench));
        EXPECT(!page_tables_begin(&bench.tables, 9));
        EXPECT_INT(bench.warnings, 0);
        tear_down(&bench);
    }
}

TEST(every_byte_of_a_table_counts)
{
    struct bench bench;
    char path[PAGE_TABLE_PATH_SIZE];
    CLEANUP(buf_clearp) struct buf right = BUF_INIT(1 << 20);
    struct err err = {0};

    set_up(&bench, 3);
    page_table_path("a.sqlite3", 3, path);
    REQUIRE_OK(fs_read_file(bench.disk.fd, path, &right, &err), &err);
    EXPECT_INT(right.size, 24);
    for (size_t at = 0; at < right.size; at++) {
        struct manifest copy;
        right.bytes[at] ^= 1;
        scratch_write_bytes(bench.disk.fd, path, right.bytes, right.size);
        right.bytes[at] ^= 1;
        restart(&bench);
        EXPECT(!bench.tables.work);
        copy_model(&bench.model, &copy);
        page_tables_replace(&bench.tables, &copy);
        manifest_clear(&copy);
    }
    tear_down(&bench);
}

TEST(hashes_that_do_not_lead_to_what_was_shipped_make_no_tables)
{
    for (int fault = 0; fault < 3; fault++) {
        struct bench bench;
        struct manifest copy;
        set_up(&bench, 20);
        copy_model(&bench.model, &copy);
        if (fault == 0)
            page_hashes_set(copy.databases[0].hashes, 4, 1);
        else if (fault == 1)
            page_hashes_resize(copy.databases[1].hashes, 21);
        else
            page_hashes_free(MOVE(copy.databases[1].hashes));
        page_tables_replace(&bench.tables, &copy);
        EXPECT(!bench.tables.work && !has_files(&bench));
        manifest_clear(&copy);
        tear_down(&bench);
    }
}

TEST(a_database_may_pass_the_page_of_the_locks_and_come_back)
{
    uint64_t lock_page = pagehash_lock_page(65536);
    struct bench bench;

    set_up(&bench, lock_page - 3);
    for (int step = 0; step < 12; step++) {
        static const int64_t around[] = {-1, 0, 1, 2, 0, -1, 1, -2, 0, 5, -2, 0};
        struct manifest_database *database = &bench.model.databases[0];
        struct page_journal *journal = page_tables_begin(&bench.tables, bench.position + 1);
        database->page_size = 65536;
        commit(journal, database, lock_page + (uint64_t)around[step]);
        page_tables_seal(&bench.tables);
        bench.position++;
        sum_up(&bench.model);
        if (step % 2 == 0)
            page_tables_commit(&bench.tables);
        restart(&bench);
        expect_tables(&bench);
    }
    tear_down(&bench);
}

/* A disk that is full, as far as files of this process go. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};

    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        abort();
}

TEST(a_full_disk_costs_the_tables_and_one_warning)
{
    struct bench bench;
    struct manifest copy;

    set_up(&bench, 100);
    limit_files(64);
    build(&bench, 20);
    EXPECT(!bench.tables.work);
    EXPECT_INT(bench.warnings, 1);
    limit_files(RLIM_INFINITY);
    EXPECT(!has_files(&bench));
    page_tables_commit(&bench.tables); /* of the record that was sent nevertheless */
    limit_files(64);
    copy_model(&bench.model, &copy);
    page_tables_replace(&bench.tables, &copy);
    manifest_clear(&copy);
    EXPECT(!bench.tables.work);
    EXPECT_INT(bench.warnings, 1);
    limit_files(RLIM_INFINITY);
    copy_model(&bench.model, &copy);
    page_tables_replace(&bench.tables, &copy);
    manifest_clear(&copy);
    expect_tables(&bench);
    tear_down(&bench);
}

TEST(a_table_that_can_not_follow_is_dropped)
{
    struct bench bench;

    set_up(&bench, 100);
    commit(page_tables_begin(&bench.tables, bench.position + 1), &bench.model.databases[0], 4000);
    page_tables_seal(&bench.tables);
    EXPECT(bench.tables.work);
    limit_files(1000);
    page_tables_commit(&bench.tables);
    limit_files(RLIM_INFINITY);
    EXPECT(!bench.tables.work && !has_files(&bench));
    EXPECT_INT(bench.warnings, 1);
    tear_down(&bench);
}

TAP_MAIN()
