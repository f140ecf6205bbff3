/* A database that HOLDFAST_EXCLUDE names stays as it is, with all that is a part of it, whatever is restored
 * around it. */
#include "tests/double/placing.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"

static const char cache[] = "SQLite format 3"; /* with its NUL */

static void write_cache(const struct scratch *scratch)
{
    scratch_write_bytes(scratch->fd, "cache.db", cache, sizeof(cache));
    scratch_write(scratch->fd, "cache.db-wal", "commits");
}

static void expect_cache(const struct placed *state, size_t count, const char *wanted)
{
    static const char *const asides[] = {NULL, "2026"};

    for (size_t at = 0; at < 2; at++) {
        CLEANUP(scratch_closep) struct scratch scratch;
        size_t set_aside = 0;
        struct err err;
        scratch_open(&scratch);
        write_cache(&scratch);
        REQUIRE_OK(placing_restore(scratch.fd, asides[at], "cache.db:text", state, count, &set_aside, &err),
                   &err);
        EXPECT_LISTING(scratch.fd, wanted);
        EXPECT_INT(set_aside, 0);
    }
}

TEST(its_log_stays_and_nothing_gets_beside_it)
{
    static const struct placed state[] = {
        {"cache.db-journal", "shipped before there was one", 'f', 0600, 0},
        {"new", "file", 'f', 0644, 0},
        {"text-wal", "of no database", 'f', 0644, 0},
    };

    expect_cache(
        state, COUNT(state),
        "cache.db = SQLite format 3\ncache.db-wal = commits\nnew = file\ntext-wal = of no database\n");
}

TEST(one_that_was_not_excluded_when_it_was_shipped_stays_too)
{
    static const struct placed state[] = {{"cache.db", "as it was shipped", 'b', 0600, 0}};

    expect_cache(state, COUNT(state), "cache.db = SQLite format 3\ncache.db-wal = commits\n");
}

TEST(a_directory_that_holds_nothing_else_is_empty)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    bool empty = false;
    struct err err;

    scratch_open(&scratch);
    write_cache(&scratch);
    REQUIRE_OK(place_is_empty(scratch.fd, "cache.db", &empty, &err), &err);
    EXPECT(empty);
    scratch_write(scratch.fd, "text-wal", "of no database");
    REQUIRE_OK(place_is_empty(scratch.fd, "cache.db:text", &empty, &err), &err);
    EXPECT(!empty);
}

TAP_MAIN()
