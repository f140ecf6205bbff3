/* Around the lock-byte page, which is in no log and may lie beyond the file: from a log made by hand over a
 * sparse file, since a database of a gigabyte is more than a unit test should make. */
#include "base/fs.h"
#include "snapshot/database_internal.h"
#include "snapshot/pagehash.h"
#include "tests/double/sample.h"
#include "tests/double/wal_sample.h"
#include "tests/tap.h"

#include <fcntl.h>

enum { PAGE = 4096, LOCK_PAGE = (1 << 30) / PAGE + 1, IN_FILE = LOCK_PAGE - 3 };

/* The file ends three pages before the lock-byte page; the log has three pages on each side of it, filled
 * with their distance from it, and the first page. */
static void begin(struct database *database)
{
    const struct wal_file_header header = {.page_size = PAGE, .salt = {7, 9}};
    struct wal_sample_log log;
    CLEANUP(close_fdp) int fd = open(sample_path("db-wal"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct err err = {0};

    *database = (struct database){.path = xstrdup(sample_path("db")),
                                  .log_path = xstrdup(sample_path("db-wal")),
                                  .has_mark = true,
                                  .is_frozen = true};
    database->fd = open(database->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && database->fd >= 0 && ftruncate(database->fd, (off_t)IN_FILE * PAGE) == 0);
    REQUIRE_OK(fs_write_at(database->fd, "file", 4, (uint64_t)(IN_FILE - 1) * PAGE, &err), &err);
    wal_sample_log_begin(&log, fd, &header);
    for (unsigned away = 3; away > 0; away--)
        wal_sample_log_add(&log, LOCK_PAGE - away, 0, (uint8_t)away);
    for (unsigned away = 1; away <= 3; away++)
        wal_sample_log_add(&log, LOCK_PAGE + away, 0, (uint8_t)(16 + away));
    wal_sample_log_add(&log, 1, LOCK_PAGE + 3, 1);
    REQUIRE(fstat(fd, &database->log_status) == 0);
    database->anchored = (struct wal_index_header){.page_size = PAGE,
                                                   .frames = log.frames,
                                                   .pages = LOCK_PAGE + 3,
                                                   .frame_checksum = {log.checksum[0], log.checksum[1]},
                                                   .salt = {7, 9}};
    REQUIRE_OK(database_frozen_begin(database, &err), &err);
}

static void end(struct database *database)
{
    database_frozen_end(database);
    close_fdp(&database->fd);
    free(database->path);
    free(database->log_path);
}

static bool is_filled(const uint8_t *page, uint8_t fill)
{
    for (size_t at = 0; at < PAGE; at++)
        if (page[at] != fill)
            return false;
    return true;
}

TEST(the_lock_byte_page_is_empty_between_pages_of_the_log)
{
    struct database database;
    uint8_t bytes[8 * PAGE];
    struct err err = {0};

    begin(&database);
    memset(bytes, 0xff, sizeof(bytes));
    REQUIRE_OK(database_read_frozen(&database, (uint64_t)(LOCK_PAGE - 5) * PAGE, bytes, sizeof(bytes), &err),
               &err);
    EXPECT(is_filled(bytes, 0)); /* of the file: LOCK_PAGE - 4 */
    for (unsigned away = 1; away <= 3; away++) {
        EXPECT(is_filled(bytes + (4 - away) * PAGE, (uint8_t)away));
        EXPECT(is_filled(bytes + (4 + away) * PAGE, (uint8_t)(16 + away)));
    }
    EXPECT(is_filled(bytes + 4 * PAGE, 0));
    end(&database);
}

TEST(the_lock_byte_page_is_read_by_itself)
{
    struct database database;
    uint8_t bytes[PAGE];
    struct err err = {0};

    begin(&database);
    memset(bytes, 0xff, sizeof(bytes));
    EXPECT_OK(database_read_frozen(&database, (uint64_t)(LOCK_PAGE - 1) * PAGE, bytes, PAGE, &err), &err);
    EXPECT(is_filled(bytes, 0));
    end(&database);
}

TEST(a_page_that_neither_has_is_damage)
{
    struct database database;
    uint8_t bytes[PAGE];
    struct err err = {0};

    begin(&database);
    EXPECT(!database_read_frozen(&database, (uint64_t)(LOCK_PAGE + 3) * PAGE, bytes, PAGE, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, "db: page 262149") != NULL);
    end(&database);
}

TEST(a_log_that_ends_elsewhere_than_the_wal_index_says_is_damage)
{
    struct database database;
    struct err err = {0};

    begin(&database);
    database_frozen_end(&database);
    database.anchored.frame_checksum[1]++;
    EXPECT(!database_frozen_begin(&database, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    database.anchored.frames--; /* no commit ends there */
    EXPECT(!database_frozen_begin(&database, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    end(&database);
}

TAP_MAIN()
