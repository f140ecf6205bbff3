#include "snapshot/sqlite.h"

#include "base/fs.h"
#include "snapshot/guarded_file.h"
#include "snapshot/wal_index.h"
#include "tests/double/sample.h"
#include "tests/double/writer.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static struct sqlite *open_wal(const char *path)
{
    struct sqlite *sqlite = NULL;
    struct err err = {0};

    EXPECT_OK(sqlite_open(path, &sqlite, &err), &err);
    EXPECT_OK(sqlite && sqlite_begin_read(sqlite, &err), &err);
    if (sqlite)
        sqlite_end(sqlite);
    return sqlite;
}

TEST(a_file_that_is_absent_is_not_created)
{
    struct sqlite *sqlite = NULL;
    struct err err = {0};

    EXPECT(!sqlite_open(sample_path("db"), &sqlite, &err) && err.code == ERR_NOT_FOUND);
    EXPECT(!sqlite && !sample_exists(sample_path("db")));
}

TEST(a_database_that_is_none_says_so_at_the_first_read)
{
    CLEANUP(sqlite_closep) struct sqlite *sqlite = NULL;
    char text[4096] = "this is no database";
    struct err err = {0};

    REQUIRE_OK(fs_replace_file(AT_FDCWD, sample_path("db"), text, sizeof(text), 0600, &err), &err);
    REQUIRE_OK(sqlite_open(sample_path("db"), &sqlite, &err), &err);
    EXPECT(!sqlite_begin_read(sqlite, &err) && err.code == ERR_CORRUPT);
    sqlite_end(sqlite);
}

/* An application that is in the middle of a commit to the database at path, whose journal is on the disk. */
static struct writer begin_to_commit(const char *path)
{
    struct writer writer = {0};
    struct writer_plan plan = writer_plan_for(path, 0);

    plan.idle = true;
    (void)snprintf(
        plan.sql, sizeof(plan.sql),
        "PRAGMA cache_size=2; BEGIN; UPDATE entry SET body = randomblob(5000); UPDATE pair SET a = 0");
    EXPECT(writer_start(&writer, &plan));
    EXPECT(sample_size(sample_path("db-journal")) > 0);
    return writer;
}

/* Tries `attempt` on a connection to a database that another one has taken the place of. */
static void expect_journal_stays(bool (*attempt)(struct sqlite *sqlite, struct err *err))
{
    const char *path = sample_path("db");
    CLEANUP(sqlite_closep) struct sqlite *sqlite = NULL;
    struct guarded_claim claim = GUARDED_CLAIM_INIT;
    struct err err = {0};
    struct writer writer;

    REQUIRE(writer_make(path, 3, NULL) && writer_make(sample_path("next"), 50, NULL));
    REQUIRE_OK(guarded_file_claim(AT_FDCWD, path, &claim, &err), &err);
    REQUIRE_OK(sqlite_open(path, &sqlite, &err), &err);
    REQUIRE(rename(path, sample_path("moved")) == 0 && rename(sample_path("next"), path) == 0);
    writer = begin_to_commit(path);
    EXPECT(!attempt(sqlite, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    sqlite_end(sqlite);
    writer_kill(&writer);
    EXPECT(sample_exists(sample_path("db-journal")));
    EXPECT_INT(sample_value(path), 50);
    EXPECT_INT(sample_value(sample_path("moved")), 3);
}

static bool set_wal(struct sqlite *sqlite, struct err *err)
{
    bool is_wal;

    return sqlite_set_wal(sqlite, &is_wal, err);
}

TEST(the_journal_of_a_database_that_took_the_name_is_not_rolled_back_into_another)
{
    expect_journal_stays(sqlite_begin_read);
}

TEST(wal_mode_is_not_set_beside_the_journal_of_a_database_that_took_the_name)
{
    expect_journal_stays(set_wal);
}

TEST(wal_mode_stays_after_closing_and_the_log_too)
{
    struct sqlite *sqlite = NULL;
    bool is_wal = false;
    struct err err = {0};

    REQUIRE(writer_make(sample_path("db"), 3, NULL));
    REQUIRE_OK(sqlite_open(sample_path("db"), &sqlite, &err), &err);
    REQUIRE_OK(sqlite_set_wal(sqlite, &is_wal, &err), &err);
    EXPECT(is_wal);
    REQUIRE_OK(sqlite_begin_read(sqlite, &err), &err);
    sqlite_end(sqlite);
    sqlite_close(sqlite); /* the last one: any other connection would remove the log now */
    EXPECT(sample_exists(sample_path("db-wal")));
}

TEST(a_lock_of_another_is_transient)
{
    const char *path = sample_path("db");
    struct sqlite *one, *other;
    struct err err = {0};

    REQUIRE(writer_make(path, 3, "PRAGMA journal_mode=WAL"));
    one = open_wal(path);
    other = open_wal(path);
    REQUIRE(one && other);
    REQUIRE_OK(sqlite_begin_write(one, &err), &err);
    EXPECT(!sqlite_begin_write(other, &err) && err.code == ERR_TRANSIENT);
    sqlite_end(one);
    EXPECT_OK(sqlite_begin_write(other, &err), &err);
    sqlite_end(other);
    REQUIRE_OK(sqlite_lock(one, SQLITE_SLOT_CHECKPOINT, &err), &err);
    EXPECT(!sqlite_lock(other, SQLITE_SLOT_CHECKPOINT, &err) && err.code == ERR_TRANSIENT);
    EXPECT(!sqlite_checkpoint(other, SQLITE_PASSIVE, &err) && err.code == ERR_TRANSIENT);
    sqlite_unlock(one, SQLITE_SLOT_CHECKPOINT);
    EXPECT_OK(sqlite_checkpoint(other, SQLITE_PASSIVE, &err), &err);
    sqlite_close(one);
    sqlite_close(other);
}

TEST(read_0_is_shared_and_keeps_the_log_from_being_copied)
{
    const char *path = sample_path("db");
    struct sqlite *one, *other;
    struct writer writer = {0};
    struct writer_plan plan = writer_plan_for(path, 0);
    const uint32_t *words = NULL;
    struct wal_index index = {0};
    struct err err = {0};

    (void)snprintf(plan.sql, sizeof(plan.sql), "PRAGMA journal_mode=WAL");
    REQUIRE(writer_start(&writer, &plan) && writer_wait(&writer, 5));
    one = open_wal(path);
    other = open_wal(path);
    REQUIRE(one && other);
    writer_kill(&writer);
    REQUIRE_OK(sqlite_map_index(one, &words, &err), &err);
    REQUIRE_OK(sqlite_lock(one, SQLITE_SLOT_READ0, &err), &err);
    EXPECT_OK(sqlite_checkpoint(other, SQLITE_PASSIVE, &err), &err);
    REQUIRE_OK(wal_index_read(words, 1000, &index, &err), &err);
    EXPECT(index.header.frames > 0 && index.backfilled == 0);
    sqlite_unlock(one, SQLITE_SLOT_READ0);
    EXPECT_OK(sqlite_checkpoint(other, SQLITE_PASSIVE, &err), &err);
    REQUIRE_OK(wal_index_read(words, 1000, &index, &err), &err);
    EXPECT(wal_index_is_backfilled(&index));
    EXPECT_OK(sqlite_checkpoint(other, SQLITE_TRUNCATE, &err), &err);
    EXPECT_INT(sample_size(sample_path("db-wal")), 0);
    sqlite_close(one);
    sqlite_close(other);
}

static bool check(const char *path, const atomic_bool *canceled, struct err *err)
{
    CLEANUP(sqlite_closep) struct sqlite *sqlite = NULL;

    return sqlite_open(path, &sqlite, err) && sqlite_check(sqlite, canceled, err);
}

TEST(a_page_that_was_overwritten_fails_the_check_with_sqlites_reason)
{
    static const uint8_t noise[4096] = {0xa5, 0xa5};
    const char *path = sample_path("db");
    struct err err = {0};
    int fd;

    REQUIRE(writer_make(path, 20, NULL));
    EXPECT_OK(check(path, NULL, &err), &err);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && lseek(fd, 0, SEEK_END) > 8 * 4096);
    REQUIRE(pwrite(fd, noise, sizeof(noise), 3 * 4096) == sizeof(noise));
    close(fd);
    EXPECT(!check(path, NULL, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, "integrity_check") && !strchr(err.text, '\n'));
}

/* Its pages are sound one by one: a quick check would pass it. */
TEST(an_index_that_does_not_agree_with_its_table_fails_the_check)
{
    struct err err = {0};

    REQUIRE(writer_make(sample_path("db"), 1,
                        "PRAGMA writable_schema=1; CREATE TABLE x(a,b); INSERT INTO x VALUES(1,2);"
                        "CREATE INDEX i ON x(a);"
                        "UPDATE sqlite_schema SET sql='CREATE INDEX i ON x(b)' WHERE name='i'"));
    EXPECT(!check(sample_path("db"), NULL, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, "index i") != NULL);
}

TEST(a_check_can_be_stopped)
{
    const atomic_bool canceled = true;
    struct err err = {0};

    REQUIRE(writer_make(sample_path("db"), 500, "PRAGMA synchronous=OFF"));
    EXPECT(!check(sample_path("db"), &canceled, &err));
    EXPECT_INT(err.code, ERR_CANCELED);
}

TEST(the_version_is_a_version)
{
    EXPECT(strncmp(sqlite_version(), "3.", 2) == 0);
}

TAP_MAIN()
