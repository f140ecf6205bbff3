/* Databases whose application never lets the file be the whole state: its readers overlap, or it never
 * pauses. They are frozen at a mark, and read from the file and the log. */
#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/database.h"
#include "tests/double/collecting.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/stat.h>

#define INSERT_ROWS(count, bytes)                                                    \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < " #count \
    ") INSERT INTO t(body, tag) SELECT randomblob(" #bytes "), hex(randomblob(8)) FROM n;"
#define OLD_STATE "BEGIN; SELECT count(*) FROM sqlite_master"

/* The application's second connection, which keeps the state before the next commit in use. */
static bool begin_with_reader(struct collecting *collecting, struct script *reader, const char *pragmas)
{
    if (!collecting_begin(collecting, pragmas) || !oracle_agrees_now(&collecting->oracle))
        return false;
    script_start(reader, sample_path("db"));
    return script_run(reader, OLD_STATE);
}

static struct stat status_of(const char *name)
{
    struct stat status = {0};

    EXPECT(stat(sample_path(name), &status) == 0);
    return status;
}

static bool file_moved(const struct stat *before)
{
    struct stat now = status_of("db");

    return now.st_mtim.tv_sec != before->st_mtim.tv_sec || now.st_mtim.tv_nsec != before->st_mtim.tv_nsec;
}

TEST(a_reader_that_stays_keeps_no_freeze_away)
{
    struct collecting collecting;
    struct script reader;
    uint64_t begun_ms;

    REQUIRE(begin_with_reader(&collecting, &reader, "PRAGMA page_size=4096"));
    REQUIRE(collecting_run(&collecting, INSERT_ROWS(500, 2000)));
    begun_ms = clock_monotonic_ms();
    REQUIRE_OK(scene_freeze(collecting.database, &collecting.err), &collecting.err);
    printf("# frozen after %llu ms\n", (unsigned long long)(clock_monotonic_ms() - begun_ms));
    EXPECT(oracle_agrees(&collecting.oracle));
    EXPECT((uint64_t)status_of("db").st_size <
           (uint64_t)database_frozen(collecting.database)->page_count * 4096);
    database_thaw(collecting.database);
    EXPECT(collecting_end(&collecting));
    script_stop(&reader);
}

/* While it is frozen the application commits more, its reader ends, and it checkpoints: everything up to our
 * mark goes into the file, and nothing of what is read changes. */
TEST(what_is_frozen_at_a_mark_stays_while_others_commit_and_checkpoint)
{
    struct collecting collecting;
    struct script reader;
    struct stat file;
    uint64_t hash;

    REQUIRE(begin_with_reader(&collecting, &reader, "PRAGMA page_size=1024"));
    REQUIRE(collecting_run(&collecting, INSERT_ROWS(500, 2000)));
    REQUIRE_OK(scene_freeze(collecting.database, &collecting.err), &collecting.err);
    REQUIRE(oracle_agrees(&collecting.oracle));
    hash = sample_hash_frozen(collecting.database);
    REQUIRE(collecting_run(&collecting, "UPDATE t SET body = randomblob(900)"));
    EXPECT(sample_hash_frozen(collecting.database) == hash);
    REQUIRE(script_run(&reader, "COMMIT"));
    file = status_of("db");
    REQUIRE(collecting_run(&collecting, "PRAGMA wal_checkpoint(PASSIVE)"));
    EXPECT(file_moved(&file));
    EXPECT(sample_hash_frozen(collecting.database) == hash);
    REQUIRE(collecting_run(&collecting, "DELETE FROM t WHERE id % 7 > 0; VACUUM;" INSERT_ROWS(10, 100)));
    REQUIRE(collecting_run(&collecting, "PRAGMA wal_checkpoint(PASSIVE)"));
    EXPECT(sample_hash_frozen(collecting.database) == hash);
    database_thaw(collecting.database);
    EXPECT(collecting_end(&collecting));
    script_stop(&reader);
}

/* The control for the test before: it is the mark that keeps the file from being written. */
TEST(without_the_mark_the_file_is_written)
{
    struct collecting collecting;
    struct script reader;
    struct stat file;

    REQUIRE(begin_with_reader(&collecting, &reader, "PRAGMA page_size=1024"));
    REQUIRE(collecting_run(&collecting, INSERT_ROWS(500, 2000)));
    REQUIRE_OK(scene_freeze(collecting.database, &collecting.err), &collecting.err);
    REQUIRE(collecting_run(&collecting, "UPDATE t SET body = randomblob(900)"));
    REQUIRE(script_run(&reader, "COMMIT"));
    REQUIRE(collecting_run(&collecting, "PRAGMA wal_checkpoint(PASSIVE)"));
    file = status_of("db");
    REQUIRE(collecting_run(&collecting, "PRAGMA wal_checkpoint(PASSIVE)"));
    EXPECT(!file_moved(&file));
    database_thaw(collecting.database);
    REQUIRE(collecting_look_after(&collecting, true));
    REQUIRE(collecting_run(&collecting, "PRAGMA wal_checkpoint(PASSIVE)"));
    EXPECT(file_moved(&file));
    EXPECT(collecting_end(&collecting));
    script_stop(&reader);
}

TEST(a_database_that_shrinks_and_grows_in_its_log_is_read_as_it_is)
{
    struct collecting collecting;
    struct script reader;

    REQUIRE(begin_with_reader(&collecting, &reader, "PRAGMA page_size=512"));
    REQUIRE(collecting_run(&collecting, INSERT_ROWS(400, 3000)));
    EXPECT(oracle_agrees_now(&collecting.oracle));
    REQUIRE(collecting_run(&collecting, "DELETE FROM t WHERE id % 5 > 0; VACUUM"));
    EXPECT(collecting.oracle.shrunk > 0);
    EXPECT(oracle_agrees_now(&collecting.oracle));
    REQUIRE(collecting_run(&collecting, INSERT_ROWS(100, 3000)));
    EXPECT(oracle_agrees_now(&collecting.oracle));
    EXPECT(collecting_end(&collecting));
    script_stop(&reader);
}

/* What is collected from there on has previous images that are in the log, not in the file. */
TEST(collecting_begins_at_a_mark_and_goes_on_when_the_log_restarts)
{
    struct collecting collecting;
    struct script reader;
    uint64_t size;

    REQUIRE(begin_with_reader(&collecting, &reader, "PRAGMA page_size=4096"));
    REQUIRE(collecting_run(&collecting, INSERT_ROWS(500, 2000)));
    oracle_end(&collecting.oracle);
    REQUIRE_OK(scene_freeze(collecting.database, &collecting.err), &collecting.err);
    REQUIRE(oracle_begin(&collecting.oracle, collecting.database));
    REQUIRE(collecting_run(&collecting, "UPDATE t SET body = randomblob(900) WHERE id % 3 = 0"));
    database_thaw(collecting.database);
    REQUIRE(collecting_run(&collecting, "UPDATE t SET body = randomblob(800) WHERE id % 2 = 0"));
    EXPECT(oracle_agrees_now(&collecting.oracle));
    REQUIRE(script_run(&reader, "COMMIT"));
    EXPECT(oracle_agrees_now(&collecting.oracle)); /* all of the log gets into the file */
    size = sample_size(sample_path("db-wal"));
    REQUIRE(collecting_run(&collecting, "UPDATE t SET tag = 'x' WHERE id = 7"));
    EXPECT_INT(sample_size(sample_path("db-wal")), size); /* written from the beginning again */
    EXPECT(collecting_end(&collecting));
    script_stop(&reader);
}

TEST(a_log_that_is_damaged_below_the_mark_ends_the_freeze)
{
    struct scene scene;
    struct script reader;
    CLEANUP(close_fdp) int fd = -1;

    REQUIRE(scene_begin(&scene, 100, 3000) && writer_wait(&scene.writer, 3));
    script_start(&reader, sample_path("db"));
    REQUIRE(script_run(&reader, OLD_STATE) && writer_wait(&scene.writer, 10));
    REQUIRE_OK(scene_freeze(scene.database, &scene.err), &scene.err);
    database_thaw(scene.database);
    fd = open(sample_path("db-wal"), O_WRONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && fs_write_at(fd, "spoilt", 6, 32 + 24 + 100, &scene.err));
    EXPECT(!scene_freeze(scene.database, &scene.err));
    EXPECT_INT(scene.err.code, ERR_CORRUPT);
    EXPECT(strstr(scene.err.text, "db") != NULL);
    writer_kill(&scene.writer);
    script_stop(&reader);
    database_detach(scene.database);
}

/* More of them than the wal-index has marks (4): ours is one of theirs, and older than what is frozen. */
TEST(readers_that_overlap_without_a_pause_keep_no_freeze_away)
{
    enum { READERS = 6, ROUNDS = 12 };
    struct script readers[READERS];
    struct scene scene;

    REQUIRE(scene_begin(&scene, 200, 3000));
    for (unsigned at = 0; at < READERS; at++) {
        script_start(&readers[at], sample_path("db"));
        REQUIRE(script_run(&readers[at], OLD_STATE) && writer_wait(&scene.writer, 3));
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        int64_t acknowledged = (int64_t)atomic_load(&scene.writer.stats->commits);
        EXPECT(scene_copy(scene.database) >= acknowledged);
        REQUIRE(writer_wait(&scene.writer, 3));
        REQUIRE(script_run(&readers[round % READERS], "COMMIT; " OLD_STATE));
        EXPECT(database_tend(scene.database, &scene.err) || scene.err.code == ERR_TRANSIENT);
    }
    EXPECT(scene_end(&scene, 0));
    for (unsigned at = 0; at < READERS; at++)
        script_stop(&readers[at]);
}

TAP_MAIN()
