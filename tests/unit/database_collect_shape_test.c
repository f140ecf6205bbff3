/* What an application may do to the shape of its database: grow by commits of any size, shrink, vacuum, roll
 * back to savepoints; with every page size and with page numbers that move (auto_vacuum). The oracle checks
 * every run; the files are compared at every frozen moment. */
#include "snapshot/database.h"

#include "base/buf.h"
#include "tests/double/oracle.h"
#include "tests/double/scene.h"
#include "tests/double/script.h"
#include "tests/tap.h"

#include <poll.h>

enum { TEXT_MAX = 2000 };

struct story {
    struct script script;
    struct database *database;
    struct oracle oracle;
    struct err err;
};

/* A database with 200 rows in two tables and an index, made with these pragmas. */
static bool begin(struct story *story, const char *pragmas)
{
    *story = (struct story){0};
    script_start(&story->script, sample_path("db"));
    return script_run(&story->script, pragmas) &&
           script_run(&story->script,
                      "PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, body BLOB, tag TEXT);"
                      "CREATE INDEX by_tag ON t(tag); CREATE TABLE log(id INTEGER PRIMARY KEY, what TEXT);"
                      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 200) "
                      "INSERT INTO t SELECT i, randomblob(500), hex(randomblob(8)) FROM n") &&
           scene_attach(sample_path("db"), &story->database, &story->err) &&
           scene_freeze(story->database, &story->err) && oracle_begin(&story->oracle, story->database);
}

static bool end(struct story *story)
{
    bool agrees = oracle_agrees_now(&story->oracle);

    oracle_end(&story->oracle);
    script_stop(&story->script);
    database_detach(story->database);
    return agrees;
}

static bool look_after(struct story *story, bool tends)
{
    struct err err = {0};

    if (tends ? database_tend(story->database, &err) || err.code == ERR_TRANSIENT
              : database_collect(story->database, NULL, &err))
        return true;
    printf("#   %s\n", err.text);
    return false;
}

/* Runs it while the database is followed. */
static bool run(struct story *story, const char *sql)
{
    script_send(&story->script, sql);
    for (unsigned turn = 0; !script_is_done(&story->script); turn++) {
        if (!look_after(story, turn % 4 == 3))
            return false;
        (void)poll(NULL, 0, 1);
    }
    return script_wait(&story->script) && look_after(story, false);
}

/* The same while the file is frozen, and compares before and after. */
static bool run_and_compare(struct story *story, const char *sql)
{
    bool agreed = oracle_agrees_now(&story->oracle) && scene_freeze(story->database, &story->err);
    unsigned commits = story->oracle.commits;
    bool ran = agreed && run(story, sql) && story->oracle.commits > commits;

    database_thaw(story->database);
    return ran && oracle_agrees_now(&story->oracle);
}

#define INSERT_ROWS(count, bytes)                                                    \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < " #count \
    ")"                                                                              \
    "INSERT INTO t(body, tag) SELECT randomblob(" #bytes "), hex(randomblob(8)) FROM n;"

TEST(a_commit_of_many_pages_comes_in_runs)
{
    struct story story;

    REQUIRE(begin(&story, "PRAGMA page_size=4096"));
    EXPECT(run_and_compare(&story, INSERT_ROWS(3000, 3000)));
    EXPECT(story.oracle.runs_max >= 3);
    EXPECT_INT(story.oracle.held_pages_max, DATABASE_RUN_PAGES_MAX);
    EXPECT(run_and_compare(&story, "UPDATE t SET body = randomblob(2900)"));
    EXPECT(story.oracle.runs_max >= 3);
    EXPECT(end(&story));
}

TEST(a_commit_of_many_large_pages_comes_in_smaller_runs)
{
    struct story story;

    REQUIRE(begin(&story, "PRAGMA page_size=65536"));
    EXPECT(run_and_compare(&story, INSERT_ROWS(400, 60000)));
    EXPECT(run_and_compare(&story, "UPDATE t SET body = randomblob(50000)"));
    EXPECT(story.oracle.runs_max >= 5);
    EXPECT(story.oracle.held_pages_max <= (8 << 20) / 65536);
    EXPECT(end(&story));
}

/* A cache of ten pages overflows, so pages are written to the log several times before the commit. */
TEST(the_last_version_of_a_page_within_a_commit_counts)
{
    struct story story;

    REQUIRE(begin(&story, "PRAGMA cache_size=10; PRAGMA cache_spill=10"));
    EXPECT(run_and_compare(&story,
                           "BEGIN; UPDATE t SET tag = 'a' || id; UPDATE t SET tag = 'b' || id;"
                           "UPDATE t SET body = randomblob(600); UPDATE t SET tag = 'c' || id;"
                           "COMMIT"));
    EXPECT(run_and_compare(&story, "BEGIN;" INSERT_ROWS(500, 2000) "DELETE FROM t WHERE id > 300; COMMIT"));
    EXPECT(end(&story));
}

TEST(what_was_rolled_back_is_never_seen)
{
    struct story story;
    unsigned commits;

    REQUIRE(begin(&story, "PRAGMA cache_spill=0"));
    EXPECT(run_and_compare(
        &story, "BEGIN; SAVEPOINT a; UPDATE t SET body = randomblob(700);" /* */
        INSERT_ROWS(500, 2000) "ROLLBACK TO a; INSERT INTO log(what) VALUES('kept');"
                               "SAVEPOINT b; DELETE FROM t WHERE id % 3 = 0; RELEASE b; COMMIT"));
    commits = story.oracle.commits;
    REQUIRE(run(&story, "PRAGMA cache_size=10; PRAGMA cache_spill=10"));
    EXPECT(run(&story, "BEGIN; UPDATE t SET body = randomblob(800);" INSERT_ROWS(500, 2000) "ROLLBACK"));
    EXPECT_INT(story.oracle.commits, commits);
    EXPECT(run_and_compare(&story, "INSERT INTO log(what) VALUES('after')"));
    EXPECT(end(&story));
}

/* SQLite (3.46 at least) writes a page again in place when its cache overflows, and leaves it to the commit to
 * seal all frames from there on. If a savepoint was rolled back to a frame before that one, it forgets the
 * ones it writes then: they are committed, without salts and checksum. A crash of the machine would lose them
 * and all that follows. They are refused, and another frozen state has them. */
TEST(a_commit_that_sqlite_did_not_seal_is_refused_and_a_new_beginning_has_it)
{
    struct story story;
    struct err err = {0};

    REQUIRE(begin(&story, "PRAGMA cache_size=10; PRAGMA cache_spill=10"));
    REQUIRE(script_run(&story.script, "BEGIN; SAVEPOINT a; UPDATE t SET body = randomblob(700);" /* */
                       INSERT_ROWS(500, 2000) "ROLLBACK TO a; INSERT INTO log(what) VALUES('kept'); COMMIT"));
    if (!database_collect(story.database, NULL, &err)) {
        EXPECT_INT(err.code, ERR_CORRUPT);
        EXPECT_INT(story.oracle.runs, 0);
        oracle_end(&story.oracle);
        database_thaw(story.database);
        REQUIRE_OK(scene_freeze(story.database, &story.err), &story.err);
        REQUIRE(oracle_begin(&story.oracle, story.database));
    }
    EXPECT(run_and_compare(&story, "INSERT INTO log(what) VALUES('after')"));
    EXPECT(end(&story));
}

TEST(an_application_killed_inside_a_transaction_leaves_nothing_of_it)
{
    struct story story;

    REQUIRE(begin(&story, "PRAGMA cache_size=10"));
    REQUIRE(run(&story, "PRAGMA cache_spill=10; PRAGMA cache_size=10"));
    for (unsigned round = 0; round < 5; round++) {
        unsigned commits = story.oracle.commits;
        REQUIRE(run(&story, "BEGIN; UPDATE t SET body = randomblob(800);" INSERT_ROWS(500, 2000)));
        EXPECT_INT(story.oracle.commits, commits);
        script_kill(&story.script);
        EXPECT(look_after(&story, round % 2 == 0));
        script_start(&story.script, sample_path("db"));
        EXPECT(run_and_compare(&story, "INSERT INTO log(what) VALUES('again')"));
    }
    EXPECT(end(&story));
}

TEST(a_vacuum_moves_and_cuts_pages)
{
    struct story story;

    REQUIRE(begin(&story, "PRAGMA page_size=1024"));
    EXPECT(run_and_compare(&story, INSERT_ROWS(3000, 1500)));
    EXPECT(run_and_compare(&story, "DELETE FROM t WHERE id % 4 > 0"));
    EXPECT(run_and_compare(&story, "VACUUM"));
    EXPECT(story.oracle.shrunk >= 1);
    EXPECT(run_and_compare(&story, INSERT_ROWS(1000, 1500)));
    EXPECT(run_and_compare(&story, "DELETE FROM t; VACUUM"));
    EXPECT(story.oracle.shrunk >= 2);
    EXPECT(end(&story));
}

TEST(a_full_auto_vacuum_shrinks_with_each_commit)
{
    struct story story;

    REQUIRE(begin(&story, "PRAGMA page_size=512; PRAGMA auto_vacuum=FULL"));
    EXPECT_INT(story.oracle.page_size, 512);
    EXPECT(run_and_compare(&story, INSERT_ROWS(2000, 700)));
    for (unsigned round = 0; round < 10; round++) {
        char sql[TEXT_MAX];
        (void)snprintf(sql, sizeof(sql), "DELETE FROM t WHERE id %% 10 = %u", round);
        EXPECT(run_and_compare(&story, sql));
        EXPECT(run(&story, INSERT_ROWS(50, 300)));
    }
    EXPECT_INT(story.oracle.shrunk, 10);
    EXPECT(end(&story));
}

TEST(an_incremental_vacuum_cuts_a_little_at_a_time)
{
    struct story story;

    REQUIRE(begin(&story, "PRAGMA auto_vacuum=INCREMENTAL"));
    EXPECT(run_and_compare(&story, INSERT_ROWS(1000, 3000)));
    EXPECT(run_and_compare(&story, "DELETE FROM t WHERE id % 2 = 0"));
    for (unsigned round = 0; round < 10; round++)
        EXPECT(run_and_compare(&story, "PRAGMA incremental_vacuum(30)"));
    EXPECT(story.oracle.shrunk >= 9);
    EXPECT(end(&story));
}

/* Shrinks and grows again within one log, while the file behind it stays as it was. */
TEST(pages_that_were_cut_and_came_back_have_no_previous_image)
{
    struct story story;

    REQUIRE(begin(&story, "PRAGMA auto_vacuum=FULL"));
    REQUIRE(run(&story, INSERT_ROWS(300, 3000)));
    database_thaw(story.database);
    REQUIRE_OK(scene_freeze(story.database, &story.err), &story.err);
    for (unsigned round = 0; round < 5; round++) {
        EXPECT(run(&story, "DELETE FROM t WHERE id > 100"));
        EXPECT(run(&story, INSERT_ROWS(200, 2000)));
        EXPECT(run(&story, "UPDATE t SET body = randomblob(2100) WHERE id % 7 = 0"));
    }
    EXPECT(story.oracle.shrunk >= 5);
    EXPECT(end(&story));
}

TEST(a_sink_that_refuses_in_the_middle_of_a_large_commit_gets_it_again)
{
    struct story story;

    REQUIRE(begin(&story, "PRAGMA page_size=4096"));
    REQUIRE(script_run(&story.script, INSERT_ROWS(4000, 3000)));
    for (unsigned run_number = 1; run_number <= 3; run_number++) {
        story.oracle.refuse_in = run_number;
        EXPECT(!database_collect(story.database, NULL, &story.err));
        EXPECT_INT(story.err.code, ERR_SYSTEM);
        EXPECT_INT(story.oracle.commits, 0);
    }
    story.oracle.is_full = true;
    database_thaw(story.database); /* can't let go of the file */
    EXPECT(!scene_freeze(story.database, &story.err));
    EXPECT_INT(story.err.code, ERR_SYSTEM);
    story.oracle.is_full = false;
    EXPECT(oracle_agrees_now(&story.oracle));
    EXPECT_INT(story.oracle.commits, 1);
    EXPECT_INT(story.oracle.runs, 0 + 1 + 2 + story.oracle.runs_max);
    EXPECT(end(&story));
}

/* Random statements. */

static uint32_t next_random(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

static void random_statement(uint64_t *seed, bool savepoints, char *sql, size_t size)
{
    uint32_t many = next_random(seed, 60) + 1, id = next_random(seed, 3000), bytes = next_random(seed, 4000);

    switch (next_random(seed, savepoints ? 8 : 7)) {
    case 0:
    case 1:
    case 2:
        (void)snprintf(sql, size,
                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %u)"
                       "INSERT INTO t(body, tag) SELECT randomblob(%u), hex(randomblob(8)) FROM n;",
                       many, bytes);
        break;
    case 3:
    case 4:
        (void)snprintf(sql, size, "UPDATE t SET body = randomblob(%u) WHERE id BETWEEN %u AND %u;", bytes, id,
                       id + many);
        break;
    case 5:
        (void)snprintf(sql, size, "UPDATE t SET tag = hex(randomblob(9)) WHERE id %% 61 = %u;", many);
        break;
    case 6:
        (void)snprintf(sql, size, "DELETE FROM t WHERE id BETWEEN %u AND %u;", id, id + 5 * many);
        break;
    default: /* SQLite's cache must not overflow with these, see above */
        (void)snprintf(sql, size, "SAVEPOINT s; DELETE FROM t WHERE id %% 5 = %u; ROLLBACK TO s; RELEASE s;",
                       many % 5);
        break;
    }
}

/* A transaction of up to six statements, now and then rolled back, or a vacuum. */
static void random_transaction(uint64_t *seed, bool savepoints, char *sql, size_t size)
{
    uint32_t statements = next_random(seed, 6) + 1, kind = next_random(seed, 40);
    size_t at;

    if (kind < 2) {
        (void)snprintf(sql, size, kind == 0 ? "VACUUM" : "PRAGMA incremental_vacuum(20)");
        return;
    }
    at = (size_t)snprintf(sql, size, "BEGIN;");
    for (; statements > 0; statements--) {
        random_statement(seed, savepoints, sql + at, size - at);
        at += strlen(sql + at);
    }
    (void)snprintf(sql + at, size - at, kind < 5 ? "ROLLBACK" : "INSERT INTO log(what) VALUES('x'); COMMIT");
}

static bool follow_random_transactions(struct story *story, uint64_t *seed, bool savepoints)
{
    enum { TRANSACTIONS = 150 };
    char sql[TEXT_MAX];

    for (unsigned at = 0; at < TRANSACTIONS; at++) {
        random_transaction(seed, savepoints, sql, sizeof(sql));
        if (next_random(seed, 3) == 0 ? !script_run(&story->script, sql) : !run(story, sql))
            return false;
        if (next_random(seed, 12) == 0 && !oracle_agrees_now(&story->oracle))
            return false;
        if (next_random(seed, 8) == 0)
            database_thaw(story->database);
        if (next_random(seed, 8) == 0) { /* stays frozen for some transactions */
            database_thaw(story->database);
            if (!scene_freeze(story->database, &story->err))
                return false;
        }
    }
    return true;
}

static void follow_at_random(uint64_t seed, const char *pragmas)
{
    struct story story;

    REQUIRE(begin(&story, pragmas));
    EXPECT(follow_random_transactions(&story, &seed, strstr(pragmas, "cache_spill=0") != NULL));
    printf("# %u commits, %u smaller than before, in %u runs\n", story.oracle.commits, story.oracle.shrunk,
           story.oracle.runs);
    EXPECT(end(&story));
}

TEST(random_transactions_on_pages_of_512_bytes_with_auto_vacuum)
{
    follow_at_random(1, "PRAGMA page_size=512; PRAGMA auto_vacuum=FULL; PRAGMA cache_spill=0");
}

TEST(random_transactions_on_pages_of_1024_bytes_with_a_small_cache)
{
    follow_at_random(2, "PRAGMA page_size=1024; PRAGMA cache_size=8; PRAGMA cache_spill=8");
}

TEST(random_transactions_on_pages_of_4096_bytes)
{
    follow_at_random(3, "PRAGMA page_size=4096; PRAGMA cache_spill=0");
}

TEST(random_transactions_on_pages_of_8192_bytes_with_incremental_vacuum)
{
    follow_at_random(4, "PRAGMA page_size=8192; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA cache_spill=0");
}

TEST(random_transactions_on_pages_of_65536_bytes)
{
    follow_at_random(5, "PRAGMA page_size=65536; PRAGMA cache_spill=0");
}

TAP_MAIN()
