/* Files that begin like a database and are none, or are to be none. */
#include "base/fs.h"
#include "tests/unit/databases_life.h"

#include <stdlib.h>

enum { PAGE = 4096, CUT_PAGES = 2 };

/* The first pages of a database that has many more. */
static const char *cut_off(const char *name)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);
    const char *path = sample_path(name);
    struct err err = {0};

    if (!writer_make(path, 50, NULL) || !fs_read_file(AT_FDCWD, path, &bytes, &err) ||
        bytes.size <= CUT_PAGES * PAGE ||
        !fs_replace_file(AT_FDCWD, path, bytes.bytes, CUT_PAGES * PAGE, 0600, &err))
        abort();
    return path;
}

static void put_cut_off(const struct life *life, const char *name)
{
    EXPECT_INT(rename(cut_off(name), path_of(life, name)), 0);
}

static bool is_cut_off(const struct life *life, const char *name)
{
    struct stat status = {0};

    (void)fstatat(life->disk.fd, name, &status, 0);
    return status.st_size == CUT_PAGES * PAGE && !scratch_exists(life->disk.fd, "odd.db-wal");
}

static bool is_whole(const struct engine_status *status)
{
    return life_is_durable(status) && status->position == status->durable_position &&
           status->left_out_count == 0;
}

TEST(one_that_appears_is_shipped_as_a_plain_file_and_said_once)
{
    struct life life;

    begin(&life);
    put_cut_off(&life, "odd.db");
    REQUIRE(life_await(&life, is_whole));
    EXPECT(life_warned(&life, "odd.db") && life_warned(&life, "plain file"));
    EXPECT_INT(life.status.warnings_count, 1);
    REQUIRE(life_commit(&life, 5));
    REQUIRE(life_await(&life, is_whole));
    begin_again(&life);
    EXPECT(is_cut_off(&life, "odd.db"));
    EXPECT_INT(life_value(life.disk.path), COMMITS + 5);
    end(&life);
}

TEST(one_that_is_there_before_the_first_base_is_in_it)
{
    struct life life;

    life_set_up(&life);
    put_cut_off(&life, "odd.db");
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    REQUIRE(life_await(&life, is_whole));
    EXPECT_INT(life.status.warnings_count, 1);
    begin_again(&life);
    EXPECT(is_cut_off(&life, "odd.db"));
    end(&life);
}

TEST(one_that_is_replaced_by_a_sound_one_is_followed)
{
    struct life life;

    begin(&life);
    put_cut_off(&life, "odd.db");
    REQUIRE(life_await(&life, is_whole));
    replace(&life, "odd.db", 7, NULL);
    REQUIRE(life_await(&life, is_whole));
    EXPECT(life_warned(&life, "odd.db can be followed now"));
    make(&life, "odd.db", 3, NULL);
    REQUIRE(life_settle(&life));
    life_cut_off(&life);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(value(&life, "odd.db"), 10);
    end(&life);
}

/* As a copy does that is made in place. */
TEST(one_that_is_completed_is_followed)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);
    struct err err = {0};
    struct life life;
    int fd;

    begin(&life);
    REQUIRE(writer_make(sample_path("sound"), 30, NULL));
    REQUIRE_OK(fs_read_file(AT_FDCWD, sample_path("sound"), &bytes, &err), &err);
    fd = openat(life.disk.fd, "odd.db", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && write(fd, bytes.bytes, CUT_PAGES * PAGE) == CUT_PAGES * PAGE);
    REQUIRE(life_await(&life, is_whole));
    EXPECT(life_warned(&life, "plain file"));
    EXPECT(write(fd, bytes.bytes + CUT_PAGES * PAGE, bytes.size - CUT_PAGES * PAGE) > 0);
    (void)close(fd);
    REQUIRE(life_await(&life, is_whole));
    begin_again(&life);
    EXPECT_INT(value(&life, "odd.db"), 30);
    end(&life);
}

TEST(one_that_takes_the_place_of_a_database_is_a_plain_file_then)
{
    struct life life;

    begin(&life);
    make(&life, "odd.db", 60, NULL);
    REQUIRE(life_await(&life, is_whole));
    delete (&life, "odd.db");
    put_cut_off(&life, "odd.db");
    REQUIRE(life_await(&life, is_whole));
    EXPECT(life_warned(&life, "plain file"));
    life_cut_off(&life);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT(is_cut_off(&life, "odd.db"));
    end(&life);
}

/* A part of it may be in there, and a copy would be torn. */
TEST(one_with_a_log_beside_it_is_left_out_and_named)
{
    struct life life;

    begin(&life);
    put_cut_off(&life, "odd.db");
    REQUIRE(life_await(&life, is_whole));
    scratch_write(life.disk.fd, "odd.db-wal", "frames");
    EXPECT_INT(life_end(&life), ENGINE_FAILED);
    EXPECT(strstr(life.status.err.text, "odd.db") != NULL);
    life_tear_down(&life);
}

/* What a killed application has left in its log is in no record. */
TEST(one_that_is_to_be_a_plain_file_is_named_while_something_is_in_its_log)
{
    struct writer_plan plan;
    struct writer writer = {0};
    struct life life;

    life_set_up(&life);
    life.config.databases = "db.sqlite3";
    plan = writer_plan_for(path_of(&life, "odd.db"), 0);
    (void)snprintf(plan.sql, sizeof(plan.sql), "PRAGMA journal_mode=WAL");
    REQUIRE(writer_start(&writer, &plan));
    REQUIRE(writer_wait(&writer, 10));
    writer_kill(&writer);
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    REQUIRE(life_settle(&life));
    EXPECT_INT(life.status.left_out_count, 1);
    EXPECT(life.status.position > life.status.durable_position);
    EXPECT(life_warned(&life, "odd.db is kept as a plain file, without"));
    make(&life, "odd.db", 1, NULL); /* who closes it well empties the log */
    REQUIRE(life_await(&life, is_whole));
    begin_again(&life);
    EXPECT(value(&life, "odd.db") > 10);
    end(&life);
}

TEST(one_that_is_to_be_a_plain_file_and_keeps_its_log_is_not_called_shipped)
{
    struct writer_plan plan;
    struct writer writer = {0};
    struct life life;

    life_set_up(&life);
    life.config.databases = "db.sqlite3";
    plan = writer_plan_for(path_of(&life, "odd.db"), 0);
    (void)snprintf(plan.sql, sizeof(plan.sql), "PRAGMA journal_mode=WAL");
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    REQUIRE(writer_start(&writer, &plan));
    REQUIRE(writer_wait(&writer, 10));
    writer_kill(&writer);
    EXPECT_INT(life_end(&life), ENGINE_FAILED);
    EXPECT(strstr(life.status.err.text, "odd.db") != NULL);
    life_tear_down(&life);
}

TAP_MAIN()
