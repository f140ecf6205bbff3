/* A disk that holds more than was shipped: what differs is shipped, page by page, and nothing else. */
#include "tests/unit/warm_life.h"

/* What comes after the difference goes on from it, delta by delta, also across another crash. */
TEST(commits_go_on_behind_the_difference)
{
    struct life life;

    REQUIRE(begin_with(&life, SMALL));
    for (int crashes = 0; crashes < 2; crashes++) {
        REQUIRE(crash_with(&life, 5));
        expect_difference(&life, FEW_BYTES);
        for (int record = 0; record < 2; record++) {
            REQUIRE(life_commit(&life, 4));
            REQUIRE(life_settle(&life));
        }
    }
    expect_same(&life, "db.sqlite3");
    life_tear_down(&life);
}

/* The application goes on where holdfast left it, before anything is shipped. */
TEST(commits_before_the_difference_is_shipped_travel_with_it_or_behind_it)
{
    struct life life;
    size_t bases;

    REQUIRE(begin_with(&life, SMALL));
    bases = store_mem_count(life.mem, "base/");
    REQUIRE(crash_with(&life, 5));
    REQUIRE(life_begin(&life));
    REQUIRE(life_commit(&life, 5)); /* nothing is published before the backend has answered */
    engine_answered(life.engine);
    REQUIRE(life_settle(&life));
    EXPECT_INT(store_mem_count(life.mem, "base/"), bases);
    expect_same(&life, "db.sqlite3");
    life_tear_down(&life);
}

/* The application begins a new log, and a crash comes when that is known, but before anything is shipped: the
 * record isn't even made, or it is sent again and again. */
static void commit_and_crash(struct life *life, bool sends)
{
    struct stat before;

    REQUIRE(life_begin(life));
    lose_store(life);
    before = scratch_stat(life->disk.fd, ".holdfast/state");
    REQUIRE(life_commit(life, 2));
    EXPECT(remembers(life, before));
    if (sends) {
        engine_answered(life->engine);
        store_fault_await(life->faulty, "create", "log/",
                          store_fault_count(life->faulty, "create", "log/") + 2);
    }
    crash(life);
}

TEST(crashes_before_the_difference_is_shipped_lose_nothing)
{
    struct life life;

    REQUIRE(begin_with(&life, SMALL));
    REQUIRE(crash_with(&life, 5));
    for (int crashes = 0; crashes < 2; crashes++)
        commit_and_crash(&life, crashes > 0);
    expect_difference(&life, FEW_BYTES);
    EXPECT_INT(life_value(life.disk.path), 10);
    expect_same(&life, "db.sqlite3");
    life_tear_down(&life);
}

/* The record of what the tables don't know yet landed, and nobody heard of it. */
TEST(a_record_that_landed_unheard_counts)
{
    struct life life;

    REQUIRE(begin_with(&life, SMALL));
    for (int again = 0; again < 2; again++) {
        size_t gets = store_fault_count(life.faulty, "get", "log/");
        store_fault_add(life.faulty, &(struct store_fault){
                                         .operation = "create", .kind = FAULT_AFTER, .code = ERR_TRANSIENT});
        store_fault_add(life.faulty, &(struct store_fault){
                                         .operation = "get", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
        REQUIRE(life_commit(&life, 5));
        store_fault_await(life.faulty, "get", "log/", gets + 1); /* it is being read back */
        REQUIRE(life_commit(&life, 5));
        crash(&life);
        expect_difference(&life, FEW_BYTES);
    }
    EXPECT_INT(life_value(life.disk.path), 21);
    expect_same(&life, "db.sqlite3");
    life_tear_down(&life);
}

TEST(a_disk_that_was_restored_knows_its_pages)
{
    struct life life;

    REQUIRE(begin_with(&life, SMALL));
    REQUIRE(life_commit(&life, 30)); /* deltas that the restore applies */
    REQUIRE(life_settle(&life));
    REQUIRE(run_application(&life, "db.sqlite3", "DELETE FROM filler WHERE rowid > 150; VACUUM", 0));
    REQUIRE(life_settle(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    REQUIRE(crash_with(&life, 5));
    expect_difference(&life, FEW_BYTES);
    expect_same(&life, "db.sqlite3");
    life_tear_down(&life);
}

TEST(a_disk_that_gave_way_to_the_store_knows_its_pages)
{
    struct life life, other;

    REQUIRE(begin_with(&life, SMALL));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_set_up(&other);
    other.config.store = life.faulty;
    REQUIRE(life_live(&other, 3, "other"));
    life_tear_down(&other);
    REQUIRE(life_begin(&life)); /* sets aside, and restores */
    EXPECT(life_says(&life, "text", "other"));
    REQUIRE(crash_with(&life, 5));
    {
        struct err err = {0};
        EXPECT_OK(fs_remove_tree(life.disk.fd, ".holdfast/aside", &err), &err);
    }
    expect_difference(&life, FEW_BYTES);
    expect_same(&life, "db.sqlite3");
    life_tear_down(&life);
}

/* An application that went on alone, brought its log into the file and deleted it: the pages may be anything,
 * also what was shipped and more, and nothing proves it. What comes back from the store knows its pages. */
TEST(a_disk_that_proves_nothing_is_not_compared)
{
    struct life life;
    struct err err = {0};
    size_t bases;

    REQUIRE(begin_with(&life, SMALL));
    REQUIRE(life_commit(&life, 3));
    REQUIRE(life_settle(&life));
    crash(&life);
    bases = store_mem_count(life.mem, "base/");
    REQUIRE(life_commit(&life, 4));
    REQUIRE(life_begin(&life));
    EXPECT(life_warned(&life, "the store wins"));
    EXPECT_INT(life_value(life.disk.path), 4);
    engine_answered(life.engine);
    REQUIRE(crash_with(&life, 2));
    EXPECT_OK(fs_remove_tree(life.disk.fd, ".holdfast/aside", &err), &err);
    expect_difference(&life, FEW_BYTES);
    EXPECT_INT(store_mem_count(life.mem, "base/"), bases);
    EXPECT_INT(life_value(life.disk.path), 6);
    expect_same(&life, "db.sqlite3");
    life_tear_down(&life);
}

TEST(a_disk_that_holds_nothing_more_ships_nothing)
{
    struct life life;

    REQUIRE(begin_with(&life, SMALL));
    REQUIRE(life_commit(&life, 3));
    REQUIRE(life_settle(&life));
    crash(&life);
    expect_difference(&life, 4096);
    expect_same(&life, "db.sqlite3");
    life_tear_down(&life);
}

/* The file events of files have no part in it, and are not lost either. */
TEST(files_travel_with_the_difference)
{
    struct life life;

    REQUIRE(begin_with(&life, SMALL));
    lose_store(&life);
    scratch_write(life.disk.fd, "text", "tail");
    REQUIRE(life_commit(&life, 5));
    crash(&life);
    expect_difference(&life, FEW_BYTES);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT(life_says(&life, "text", "tail"));
    EXPECT_INT(life_value(life.disk.path), 6);
    life_tear_down(&life);
}

TAP_MAIN()
