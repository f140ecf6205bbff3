/* A store that takes its time must not make the logs of the application's databases long: they are tended
 * while it is waited for. */
#include "base/clock.h"
#include "base/fs.h"
#include "tests/double/life_story.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <string.h>

enum {
    COMMITS = 1000,
    LARGE_BYTES = 100000, /* of a file that goes into a blob */
    SALT_AT = 16,         /* in the log's header; each restart makes another */
};

static void begin(struct life *life)
{
    life_set_up(life);
    REQUIRE(life_begin(life));
    REQUIRE(life_commit(life, 1));
    engine_answered(life->engine);
    REQUIRE(life_settle(life));
}

/* 0: it can't be read. */
static uint64_t salt_of_log(const struct life *life)
{
    CLEANUP(close_fdp) int fd = openat(life->disk.fd, "db.sqlite3-wal", O_RDONLY | O_CLOEXEC);
    uint64_t salt = 0;
    struct err err = {0};

    return fd >= 0 && fs_read_at(fd, &salt, sizeof(salt), SALT_AT, &err) ? salt : 0;
}

/* A log restarts only when all of it was read and is in the database file. */
static bool restarts(struct life *life, uint64_t salt)
{
    uint64_t deadline_ms = clock_monotonic_ms() + LIFE_LIMIT_MS;

    while (salt_of_log(life) == salt && clock_monotonic_ms() < deadline_ms)
        if (!life_commit(life, 1))
            return false;
    return salt_of_log(life) != salt;
}

/* What is held is not confirmed, and all the same nothing piles up in the log. */
static void expect_short_log(struct life *life)
{
    size_t asked = store_fault_count(life->faulty, "create", "log/");
    uint64_t salt;

    EXPECT(life_commit(life, 1)); /* it may have been empty */
    salt = salt_of_log(life);
    EXPECT(life_commit(life, COMMITS) && salt != 0 && restarts(life, salt));
    EXPECT_INT(store_fault_count(life->faulty, "create", "log/"), asked);
    store_fault_release(life->faulty);
    EXPECT(life_settle(life));
}

static void expect_all_is_there(struct life *life)
{
    int64_t value = life_value(life->disk.path);

    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_wipe(life);
    REQUIRE(life_begin(life));
    EXPECT_INT(life_value(life->disk.path), value);
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_tear_down(life);
}

TEST(the_log_stays_short_while_a_record_is_held_up)
{
    struct life life;

    begin(&life);
    store_fault_add(life.faulty, &(struct store_fault){
                                     .operation = "create", .key = "log/", .times = 1, .kind = FAULT_HOLD});
    size_t sent = store_fault_count(life.faulty, "create", "log/");
    REQUIRE(life_commit(&life, 1));
    store_fault_await(life.faulty, "create", "log/", sent + 1);
    expect_short_log(&life);
    expect_all_is_there(&life);
}

TEST(the_log_stays_short_while_the_content_of_a_file_is_held_up)
{
    CLEANUP(freep) char *text = xcalloc(1, LARGE_BYTES + 1);
    struct life life;

    begin(&life);
    memset(text, 'x', LARGE_BYTES);
    store_fault_add(life.faulty, &(struct store_fault){
                                     .operation = "put", .key = "blob/", .times = 1, .kind = FAULT_HOLD});
    scratch_write(life.disk.fd, "large", text);
    store_fault_await(life.faulty, "put", "blob/", 1);
    expect_short_log(&life);
    EXPECT(life_says(&life, "large", text));
    expect_all_is_there(&life);
}

TAP_MAIN()
