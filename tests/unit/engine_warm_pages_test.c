/* What differs on a disk that holds more than was shipped: databases that have grown, or become smaller, some
 * of them, or a lot. */
#include "tests/unit/warm_life.h"

TEST(what_was_not_shipped_is_shipped_as_the_pages_that_differ)
{
    struct life life;

    REQUIRE(begin_with(&life, LARGE));
    EXPECT(scratch_stat(life.disk.fd, "db.sqlite3").st_size > 10 << 20);
    REQUIRE(crash_with(&life, 20));
    expect_difference(&life, FEW_BYTES);
    EXPECT_INT(life_value(life.disk.path), 21);
    expect_same(&life, "db.sqlite3");
    life_tear_down(&life);
}

/* The applications of these run while the store is away. */
static void check_change(const char *sql, uint64_t commits, uint64_t bytes_max)
{
    struct life life;

    REQUIRE(begin_with(&life, SMALL));
    lose_store(&life);
    REQUIRE(run_application(&life, "db.sqlite3", sql, commits));
    crash(&life);
    expect_difference(&life, bytes_max);
    expect_same(&life, "db.sqlite3");
    life_tear_down(&life);
}

TEST(a_database_that_has_become_smaller_is_cut)
{
    check_change("DELETE FROM filler WHERE rowid > 20; VACUUM", 0, 2 << 20);
    check_change("PRAGMA auto_vacuum = 1; VACUUM; DELETE FROM filler WHERE rowid > 180", 2, 4 << 20);
}

TEST(a_database_that_has_grown_brings_its_new_pages)
{
    check_change("INSERT INTO filler SELECT zeroblob(3800) FROM filler", 3, FEW_BYTES);
}

/* https://www.sqlite.org/fileformat.html, 1.3.2: big-endian, and 1 for 65536. */
static int page_size_of(const struct life *life)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 28);
    struct err err = {0};
    int stored;

    EXPECT_OK(fs_read_file(life->disk.fd, "db.sqlite3", &bytes, &err), &err);
    stored = bytes.bytes[16] << 8 | bytes.bytes[17];
    return stored == 1 ? 65536 : stored;
}

TEST(pages_may_have_any_size)
{
    for (int page_size = 512; page_size <= 65536; page_size *= 128) {
        struct life life;
        CLEANUP(freep) char *sql = xasprintf("PRAGMA page_size = %d; VACUUM", page_size);
        life_set_up(&life);
        life.faulty->observer = &observer;
        REQUIRE(run_application(&life, "db.sqlite3", sql, 0) && fill_database(&life, "db.sqlite3", SMALL));
        EXPECT_INT(page_size_of(&life), page_size);
        REQUIRE(life_begin(&life));
        engine_answered(life.engine);
        REQUIRE(life_settle(&life));
        lose_store(&life);
        REQUIRE(run_application(&life, "db.sqlite3", "DELETE FROM filler WHERE rowid % 50 = 1", 5));
        crash(&life);
        expect_difference(&life, FEW_BYTES * 4);
        expect_same(&life, "db.sqlite3");
        life_tear_down(&life);
    }
}

TEST(a_difference_of_many_runs_goes_into_parts)
{
    struct life life;

    REQUIRE(begin_with(&life, SMALL));
    lose_store(&life);
    REQUIRE(fill_database(&life, "db.sqlite3", 2300)); /* 9 MB that don't compress */
    crash(&life);
    expect_difference(&life, 12 << 20);
    EXPECT(store_fault_count(life.faulty, "put", "part/") > 1);
    expect_same(&life, "db.sqlite3");
    life_tear_down(&life);
}

TEST(of_two_databases_one_may_differ)
{
    for (int which = 0; which < 3; which++) { /* the first, the second, both */
        struct life life;
        life_set_up(&life);
        life.faulty->observer = &observer;
        REQUIRE(fill_database(&life, "db.sqlite3", SMALL) && fill_database(&life, "sub.sqlite3", SMALL));
        REQUIRE(life_begin(&life));
        engine_answered(life.engine);
        REQUIRE(life_settle(&life));
        lose_store(&life);
        REQUIRE(which == 1 || life_commit(&life, 5));
        REQUIRE(which == 0 || run_application(&life, "sub.sqlite3", "", 7));
        crash(&life);
        expect_difference(&life, FEW_BYTES);
        expect_same(&life, which == 1 ? "sub.sqlite3" : "db.sqlite3");
        life_tear_down(&life);
    }
}

/* Its table begins with the record that brought it. */
TEST(one_that_appeared_since_the_base_may_differ)
{
    struct life life;

    REQUIRE(begin_with(&life, LARGE));
    REQUIRE(fill_database(&life, "sub.sqlite3", SMALL));
    REQUIRE(life_settle(&life));
    lose_store(&life);
    REQUIRE(run_application(&life, "sub.sqlite3", "DELETE FROM filler WHERE rowid % 50 = 1", 5));
    crash(&life);
    expect_difference(&life, FEW_BYTES * 4);
    expect_same(&life, "sub.sqlite3");
    life_tear_down(&life);
}

/* While nobody watched; beside others that hold more than was shipped, or nothing more. */
TEST(one_that_came_meanwhile_comes_with_the_difference)
{
    for (uint64_t commits = 0; commits <= 5; commits += 5) {
        struct life life;
        REQUIRE(begin_with(&life, LARGE));
        if (commits > 0)
            REQUIRE(crash_with(&life, commits));
        else
            crash(&life);
        REQUIRE(fill_database(&life, "sub.sqlite3", 20));
        expect_difference(&life, FEW_BYTES);
        EXPECT_INT(life_value(life.disk.path), 1 + (int64_t)commits);
        expect_same(&life, "sub.sqlite3");
        expect_copy(life.mem, &life.disk, "db.sqlite3");
        life_tear_down(&life);
    }
}

TAP_MAIN()
