/* What an application may do to the shape of its database: grow by commits of any size, shrink, vacuum, roll
 * back to savepoints; with every page size and with page numbers that move (auto_vacuum). The oracle checks
 * every run; the files are compared at every frozen moment. */
#include "snapshot/database.h"

#include "base/buf.h"
#include "base/clock.h"
#include "tests/double/collecting.h"
#include "tests/tap.h"

static atomic_bool never;

#define INSERT_ROWS(count, bytes)                                                  \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<" #count \
    ") "                                                                           \
    "INSERT INTO t(body, tag) SELECT randomblob(" #bytes "), hex(randomblob(8)) FROM n;"

TEST(a_commit_of_many_pages_comes_in_runs)
{
    struct collecting collecting;

    REQUIRE(collecting_begin(&collecting, "PRAGMA page_size=4096"));
    EXPECT(collecting_run_and_compare(&collecting, INSERT_ROWS(3000, 3000)));
    EXPECT(collecting.oracle.runs_max >= 3);
    EXPECT_INT(collecting.oracle.held_pages_max, DATABASE_RUN_PAGES_MAX);
    EXPECT(collecting_run_and_compare(&collecting, "UPDATE t SET body = randomblob(2900)"));
    EXPECT(collecting.oracle.runs_max >= 3);
    EXPECT(collecting_end(&collecting));
}

TEST(a_commit_of_many_large_pages_comes_in_smaller_runs)
{
    struct collecting collecting;

    REQUIRE(collecting_begin(&collecting, "PRAGMA page_size=65536"));
    EXPECT(collecting_run_and_compare(&collecting, INSERT_ROWS(400, 60000)));
    EXPECT(collecting_run_and_compare(&collecting, "UPDATE t SET body = randomblob(50000)"));
    EXPECT(collecting.oracle.runs_max >= 5);
    EXPECT(collecting.oracle.held_pages_max <= (8 << 20) / 65536);
    EXPECT(collecting_end(&collecting));
}

/* A cache of ten pages overflows, so pages are written to the log several times before the commit. */
TEST(the_last_version_of_a_page_within_a_commit_counts)
{
    struct collecting collecting;

    REQUIRE(collecting_begin(&collecting, "PRAGMA cache_size=10; PRAGMA cache_spill=10"));
    EXPECT(collecting_run_and_compare(&collecting,
                                      "BEGIN; UPDATE t SET tag = 'a' || id; UPDATE t SET tag = 'b' || id;"
                                      "UPDATE t SET body = randomblob(600); UPDATE t SET tag = 'c' || id;"
                                      "COMMIT"));
    EXPECT(collecting_run_and_compare(
        &collecting, "BEGIN;" INSERT_ROWS(500, 2000) "DELETE FROM t WHERE id > 300; COMMIT"));
    EXPECT(collecting_end(&collecting));
}

TEST(what_was_rolled_back_is_never_seen)
{
    struct collecting collecting;
    unsigned commits;

    REQUIRE(collecting_begin(&collecting, "PRAGMA cache_spill=0"));
    EXPECT(collecting_run_and_compare(
        &collecting, "BEGIN; SAVEPOINT a; UPDATE t SET body = randomblob(700);" /* */
        INSERT_ROWS(500, 2000) "ROLLBACK TO a; INSERT INTO log(what) VALUES('kept');"
                               "SAVEPOINT b; DELETE FROM t WHERE id % 3 = 0; RELEASE b; COMMIT"));
    commits = collecting.oracle.commits;
    REQUIRE(collecting_run(&collecting, "PRAGMA cache_size=10; PRAGMA cache_spill=10"));
    EXPECT(collecting_run(&collecting,
                          "BEGIN; UPDATE t SET body = randomblob(800);" INSERT_ROWS(500, 2000) "ROLLBACK"));
    EXPECT_INT(collecting.oracle.commits, commits);
    EXPECT(collecting_run_and_compare(&collecting, "INSERT INTO log(what) VALUES('after')"));
    EXPECT(collecting_end(&collecting));
}

/* SQLite (3.46 at least) writes a page again in place when its cache overflows, and leaves it to the commit
 * to seal all frames from there on. If a savepoint was rolled back to a frame before that one, it forgets the
 * ones it writes then: they are committed, without salts and checksum. A crash of the machine would lose them
 * and all that follows. They are refused, and another frozen state has them. */
TEST(a_commit_that_sqlite_did_not_seal_is_refused_and_a_new_beginning_has_it)
{
    struct collecting collecting;
    struct err err = {0};

    REQUIRE(collecting_begin(&collecting, "PRAGMA cache_size=10; PRAGMA cache_spill=10"));
    REQUIRE(script_run(&collecting.script, "BEGIN; SAVEPOINT a; UPDATE t SET body = randomblob(700);" /* */
                       INSERT_ROWS(500, 2000) "ROLLBACK TO a; INSERT INTO log(what) VALUES('kept'); COMMIT"));
    if (!database_collect(collecting.database, NULL, &err)) {
        EXPECT_INT(err.code, ERR_CORRUPT);
        EXPECT_INT(collecting.oracle.runs, 0);
        oracle_end(&collecting.oracle);
        database_thaw(collecting.database);
        REQUIRE_OK(scene_freeze(collecting.database, &collecting.err), &collecting.err);
        REQUIRE(oracle_begin(&collecting.oracle, collecting.database));
    }
    EXPECT(collecting_run_and_compare(&collecting, "INSERT INTO log(what) VALUES('after')"));
    EXPECT(collecting_end(&collecting));
}

TEST(an_application_killed_inside_a_transaction_leaves_nothing_of_it)
{
    struct collecting collecting;

    REQUIRE(collecting_begin(&collecting, "PRAGMA cache_size=10"));
    REQUIRE(collecting_run(&collecting, "PRAGMA cache_spill=10; PRAGMA cache_size=10"));
    for (unsigned round = 0; round < 5; round++) {
        unsigned commits = collecting.oracle.commits;
        REQUIRE(collecting_run(&collecting,
                               "BEGIN; UPDATE t SET body = randomblob(800);" INSERT_ROWS(500, 2000)));
        EXPECT_INT(collecting.oracle.commits, commits);
        script_kill(&collecting.script);
        EXPECT(collecting_look_after(&collecting, round % 2 == 0));
        script_start(&collecting.script, sample_path("db"));
        EXPECT(collecting_run_and_compare(&collecting, "INSERT INTO log(what) VALUES('again')"));
    }
    EXPECT(collecting_end(&collecting));
}

TEST(a_vacuum_moves_and_cuts_pages)
{
    struct collecting collecting;

    REQUIRE(collecting_begin(&collecting, "PRAGMA page_size=1024"));
    EXPECT(collecting_run_and_compare(&collecting, INSERT_ROWS(3000, 1500)));
    EXPECT(collecting_run_and_compare(&collecting, "DELETE FROM t WHERE id % 4 > 0"));
    EXPECT(collecting_run_and_compare(&collecting, "VACUUM"));
    EXPECT(collecting.oracle.shrunk >= 1);
    EXPECT(collecting_run_and_compare(&collecting, INSERT_ROWS(1000, 1500)));
    EXPECT(collecting_run_and_compare(&collecting, "DELETE FROM t; VACUUM"));
    EXPECT(collecting.oracle.shrunk >= 2);
    EXPECT(collecting_end(&collecting));
}

TEST(a_full_auto_vacuum_shrinks_with_each_commit)
{
    struct collecting collecting;

    REQUIRE(collecting_begin(&collecting, "PRAGMA page_size=512; PRAGMA auto_vacuum=FULL"));
    EXPECT_INT(collecting.oracle.page_size, 512);
    EXPECT(collecting_run_and_compare(&collecting, INSERT_ROWS(2000, 700)));
    for (unsigned round = 0; round < 10; round++) {
        char sql[100];
        (void)snprintf(sql, sizeof(sql), "DELETE FROM t WHERE id %% 10 = %u", round);
        EXPECT(collecting_run_and_compare(&collecting, sql));
        EXPECT(collecting_run(&collecting, INSERT_ROWS(50, 300)));
    }
    EXPECT_INT(collecting.oracle.shrunk, 10);
    EXPECT(collecting_end(&collecting));
}

TEST(an_incremental_vacuum_cuts_a_little_at_a_time)
{
    struct collecting collecting;

    REQUIRE(collecting_begin(&collecting, "PRAGMA auto_vacuum=INCREMENTAL"));
    EXPECT(collecting_run_and_compare(&collecting, INSERT_ROWS(1000, 3000)));
    EXPECT(collecting_run_and_compare(&collecting, "DELETE FROM t WHERE id % 2 = 0"));
    for (unsigned round = 0; round < 10; round++)
        EXPECT(collecting_run_and_compare(&collecting, "PRAGMA incremental_vacuum(30)"));
    EXPECT(collecting.oracle.shrunk >= 9);
    EXPECT(collecting_end(&collecting));
}

/* Shrinks and grows again within one log, while the file behind it stays as it was. */
TEST(pages_that_were_cut_and_came_back_have_no_previous_image)
{
    struct collecting collecting;

    REQUIRE(collecting_begin(&collecting, "PRAGMA auto_vacuum=FULL"));
    REQUIRE(collecting_run(&collecting, INSERT_ROWS(300, 3000)));
    database_thaw(collecting.database);
    REQUIRE_OK(scene_freeze(collecting.database, &collecting.err), &collecting.err);
    for (unsigned round = 0; round < 5; round++) {
        EXPECT(collecting_run(&collecting, "DELETE FROM t WHERE id > 100"));
        EXPECT(collecting_run(&collecting, INSERT_ROWS(200, 2000)));
        EXPECT(collecting_run(&collecting, "UPDATE t SET body = randomblob(2100) WHERE id % 7 = 0"));
    }
    EXPECT(collecting.oracle.shrunk >= 5);
    EXPECT(collecting_end(&collecting));
}

TEST(a_sink_that_refuses_in_the_middle_of_a_large_commit_gets_it_again)
{
    struct collecting collecting;

    REQUIRE(collecting_begin(&collecting, "PRAGMA page_size=4096"));
    REQUIRE(script_run(&collecting.script, INSERT_ROWS(4000, 3000)));
    for (unsigned run_number = 1; run_number <= 3; run_number++) {
        collecting.oracle.refuse_in = run_number;
        EXPECT(!database_collect(collecting.database, NULL, &collecting.err));
        EXPECT_INT(collecting.err.code, ERR_SYSTEM);
        EXPECT_INT(collecting.oracle.commits, 0);
    }
    collecting.oracle.is_full = true;
    database_thaw(collecting.database); /* can't let go of the file */
    EXPECT(!database_freeze(&collecting.database, 1, clock_monotonic_ms() + 100, &never, &collecting.err));
    EXPECT_INT(collecting.err.code, ERR_TRANSIENT);
    EXPECT(strstr(collecting.err.text, "the oracle refuses") != NULL);
    collecting.oracle.is_full = false;
    EXPECT(oracle_agrees_now(&collecting.oracle));
    EXPECT_INT(collecting.oracle.commits, 1);
    EXPECT_INT(collecting.oracle.runs, 0 + 1 + 2 + collecting.oracle.runs_max);
    EXPECT(collecting_end(&collecting));
}

/* Without "power-safe overwrite" SQLite fills the rest of a sector with copies of the last frame, each of
 * which ends a commit and none of which is counted. */
TEST(frames_that_only_pad_a_sector_are_commits_that_change_nothing)
{
    CLEANUP(freep) char *path = xasprintf("file:%s?psow=0", sample_path("db"));
    struct collecting collecting;

    REQUIRE(collecting_begin(&collecting, "PRAGMA page_size=512"));
    script_stop(&collecting.script);
    script_start(&collecting.script, path);
    for (unsigned round = 0; round < 20; round++)
        EXPECT(collecting_run_and_compare(&collecting, "INSERT INTO log(what) VALUES('x')"));
    EXPECT(collecting.oracle.commits > 20);
    EXPECT(collecting_end(&collecting));
}

TAP_MAIN()
