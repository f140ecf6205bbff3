/* What must not happen, made to happen: locks that are gone, logs that are damaged, cut or exchanged. Nothing
 * wrong is ever handed over. */
#include "snapshot/database.h"

#include "base/fs.h"
#include "snapshot/wal_file.h"
#include "tests/double/oracle.h"
#include "tests/double/scene.h"
#include "tests/double/script.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/stat.h>

/* The size stays, so that nothing but the count of the commits tells. */
static const char UPDATE[] = "UPDATE t SET body = randomblob(50000)";
static const char INSERT[] = "INSERT INTO t(body) VALUES(randomblob(9000))";

struct story {
    struct script script;
    struct database *database;
    struct oracle oracle;
    struct err err;
};

static bool begin(struct story *story)
{
    *story = (struct story){0};
    script_start(&story->script, sample_path("db"));
    return script_run(&story->script,
                      "PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, body);"
                      "INSERT INTO t(body) VALUES(randomblob(50000))") &&
           scene_attach(sample_path("db"), &story->database, &story->err) &&
           scene_freeze(story->database, &story->err) && oracle_begin(&story->oracle, story->database);
}

static void end(struct story *story)
{
    oracle_end(&story->oracle);
    script_stop(&story->script);
    database_detach(story->database);
}

static void expect_lost(struct story *story, enum err_code code, const char *why)
{
    unsigned runs = story->oracle.runs;

    for (unsigned attempt = 0; attempt < 3; attempt++) {
        struct err err = {0};
        EXPECT(!database_collect(story->database, NULL, &err));
        EXPECT_INT(err.code, code);
        if (!EXPECT(strstr(err.text, why) != NULL))
            printf("#   %s\n", err.text);
    }
    EXPECT_INT(story->oracle.runs, runs);
}

/* What holdfast never does: closing any descriptor of the wal-index drops this process's locks on it. */
static void drop_locks(void)
{
    EXPECT(close(open(sample_path("db-shm"), O_RDONLY | O_CLOEXEC)) == 0);
}

TEST(a_log_that_restarts_although_a_mark_is_held_is_noticed)
{
    struct story story;

    REQUIRE(begin(&story));
    REQUIRE(script_run(&story.script, INSERT));
    database_thaw(story.database); /* takes a mark */
    EXPECT_INT(story.oracle.commits, 1);
    drop_locks();
    REQUIRE(script_run(&story.script, "PRAGMA wal_checkpoint(RESTART)") && script_run(&story.script, INSERT));
    expect_lost(&story, ERR_CONFLICT, "the log restarted although a lock of ours forbids it");
    end(&story);
}

TEST(a_log_that_restarts_under_what_was_frozen_at_a_mark_is_noticed)
{
    struct story story;
    struct script reader;

    REQUIRE(begin(&story));
    database_thaw(story.database);
    oracle_end(&story.oracle);
    script_start(&reader, sample_path("db"));
    REQUIRE(script_run(&reader, "BEGIN; SELECT count(*) FROM t") && script_run(&story.script, INSERT));
    REQUIRE_OK(scene_freeze(story.database, &story.err), &story.err);
    REQUIRE(oracle_begin(&story.oracle, story.database));
    script_stop(&reader);
    drop_locks();
    REQUIRE(script_run(&story.script, "PRAGMA wal_checkpoint(RESTART)") && script_run(&story.script, INSERT));
    expect_lost(&story, ERR_CONFLICT, "the log restarted although a lock of ours forbids it");
    end(&story);
}

/* The salts alone would look like the one restart that READ(0) allows. */
TEST(a_commit_that_vanished_in_a_second_restart_is_missed)
{
    struct story story;

    REQUIRE(begin(&story));
    drop_locks();
    REQUIRE(script_run(&story.script, UPDATE));
    REQUIRE(script_run(&story.script, "PRAGMA wal_checkpoint(RESTART)") && script_run(&story.script, UPDATE));
    expect_lost(&story, ERR_CONFLICT, "the log restarted before all of it was read");
    end(&story);
}

TEST(a_commit_appended_before_the_log_restarted_is_missed)
{
    struct story story;
    struct script reader;

    REQUIRE(begin(&story));
    /* A reader of the application's keeps the log from restarting, so the commit is appended. */
    database_thaw(story.database);
    script_start(&reader, sample_path("db"));
    REQUIRE(script_run(&story.script, INSERT));
    REQUIRE_OK(scene_freeze(story.database, &story.err), &story.err);
    REQUIRE(script_run(&story.script, INSERT));
    REQUIRE(script_run(&reader, "BEGIN; SELECT count(*) FROM t"));
    REQUIRE_OK(database_collect(story.database, NULL, &story.err), &story.err);
    REQUIRE(script_run(&story.script, INSERT));
    script_stop(&reader);
    drop_locks();
    REQUIRE(script_run(&story.script, "PRAGMA wal_checkpoint(RESTART)") && script_run(&story.script, INSERT));
    expect_lost(&story, ERR_CONFLICT, "lost continuity");
    end(&story);
}

/* Flips a bit of the log, expects the refusal, and flips it back. */
static void damage(struct story *story, uint64_t offset, enum err_code code, const char *why)
{
    CLEANUP(close_fdp) int fd = open(sample_path("db-wal"), O_RDWR | O_CLOEXEC);
    uint8_t byte = 0;

    REQUIRE_OK(fs_read_at(fd, &byte, 1, offset, &story->err), &story->err);
    byte ^= 0x10;
    REQUIRE_OK(fs_write_at(fd, &byte, 1, offset, &story->err), &story->err);
    expect_lost(story, code, why);
    byte ^= 0x10;
    REQUIRE_OK(fs_write_at(fd, &byte, 1, offset, &story->err), &story->err);
}

TEST(a_damaged_log_is_refused_until_it_is_whole_again)
{
    struct story story;
    uint64_t second;

    REQUIRE(begin(&story));
    REQUIRE(script_run(&story.script, INSERT)); /* restarts the log, some four frames */
    second = wal_file_frame_offset(2, story.oracle.page_size);
    damage(&story, second + WAL_FRAME_HEADER_SIZE + 1000, ERR_CORRUPT, "frame 2 of the log fails");
    damage(&story, second + 2, ERR_CORRUPT, "frame 2 of the log fails");  /* its page number */
    damage(&story, second + 10, ERR_CORRUPT, "frame 2 does not belong");  /* salt */
    damage(&story, second + 20, ERR_CORRUPT, "frame 2 of the log fails"); /* checksum */
    damage(&story, 0, ERR_CORRUPT, "does not begin like one");
    damage(&story, 25, ERR_CORRUPT, "header fails its checksum");
    REQUIRE_OK(database_collect(story.database, NULL, &story.err), &story.err);
    EXPECT_INT(story.oracle.commits, 1);
    /* What has been collected is not read again. */
    REQUIRE(script_run(&story.script, INSERT));
    EXPECT(oracle_agrees_now(&story.oracle));
    end(&story);
}

TEST(a_log_that_was_cut_is_refused)
{
    struct story story;
    uint64_t size;

    REQUIRE(begin(&story));
    REQUIRE(script_run(&story.script, INSERT));
    REQUIRE_OK(database_collect(story.database, NULL, &story.err), &story.err);
    REQUIRE(script_run(&story.script, INSERT));
    size = sample_size(sample_path("db-wal"));
    REQUIRE(truncate(sample_path("db-wal"), (off_t)size / 2) == 0);
    expect_lost(&story, ERR_CORRUPT, "frames of the log");
    REQUIRE(truncate(sample_path("db-wal"), 0) == 0);
    expect_lost(&story, ERR_CORRUPT, "read the log");
    end(&story);
}

TEST(another_file_in_place_of_the_log_is_refused)
{
    struct story story;

    REQUIRE(begin(&story));
    REQUIRE(rename(sample_path("db-wal"), sample_path("moved")) == 0);
    REQUIRE(close(open(sample_path("db-wal"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) == 0);
    REQUIRE(script_run(&story.script, INSERT)); /* into the file it has open */
    expect_lost(&story, ERR_CONFLICT, "another file");
    EXPECT(!database_tend(story.database, &story.err));
    EXPECT_INT(story.err.code, ERR_NOT_FOUND);
    end(&story);
}

/* While nothing can be handed over the locks stay, and so does everything in the log. */
TEST(a_refused_log_is_not_let_go)
{
    struct story story;
    uint64_t first;

    REQUIRE(begin(&story));
    REQUIRE(script_run(&story.script, INSERT));
    first = wal_file_frame_offset(1, story.oracle.page_size);
    for (unsigned round = 0; round < 3; round++) {
        struct err err = {0};
        damage(&story, first + 100, ERR_CORRUPT, "frame 1 of the log fails");
        story.oracle.is_full = true;
        database_thaw(story.database);
        EXPECT(!database_tend(story.database, &err));
        REQUIRE(script_run(&story.script, "PRAGMA wal_checkpoint(TRUNCATE)") &&
                script_run(&story.script, INSERT));
    }
    story.oracle.is_full = false;
    EXPECT(oracle_agrees_now(&story.oracle));
    EXPECT_INT(story.oracle.commits, 4);
    end(&story);
}

TAP_MAIN()
