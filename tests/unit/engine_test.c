/* The engine over a store in memory and a real directory with a real database: what a life ships, and what
 * the next one finds. */
#include "snapshot/engine.h"

#include "base/clock.h"
#include "tests/double/life.h"
#include "tests/double/pread_hook.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

TEST(what_was_shipped_is_back_after_the_disk_is_gone)
{
    struct life life;
    char *text;

    life_set_up(&life);
    REQUIRE(life_begin(&life));
    scratch_write(life.disk.fd, "storage/small", "small content");
    scratch_write(life.disk.fd, "storage/nothing", "");
    scratch_mkdir(life.disk.fd, "storage/empty");
    scratch_symlink(life.disk.fd, "small", "storage/link");
    engine_answered(life.engine);
    REQUIRE(life_commit(&life, 20));
    REQUIRE(life_settle(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_value(life.disk.path), 20);
    text = scratch_read(life.disk.fd, "storage/small");
    EXPECT(text && strcmp(text, "small content") == 0);
    free(text);
    EXPECT_INT(scratch_stat(life.disk.fd, "storage/nothing").st_size, 0);
    EXPECT(S_ISDIR(scratch_stat(life.disk.fd, "storage/empty").st_mode));
    EXPECT(S_ISLNK(scratch_stat(life.disk.fd, "storage/link").st_mode));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(a_large_file_travels_in_pieces_that_are_uploaded_once)
{
    struct life life;
    enum { SIZE = 20 << 20 };
    uint8_t *bytes = malloc(SIZE);
    char *back;

    life_set_up(&life);
    for (size_t at = 0; at < SIZE; at++)
        bytes[at] = (uint8_t)((at * 2654435761U >> 13) + (at >> 23));
    REQUIRE(life_begin(&life));
    scratch_write_bytes(life.disk.fd, "big", bytes, SIZE);
    engine_answered(life.engine);
    REQUIRE(life_settle(&life));
    EXPECT_INT(store_mem_count(life.mem, "blob/"), 3);
    scratch_write(life.disk.fd, "other", "x");
    REQUIRE(life_settle(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    EXPECT_INT(store_mem_count(life.mem, "blob/"), 3);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(scratch_stat(life.disk.fd, "big").st_size, SIZE);
    back = scratch_read(life.disk.fd, "big");
    EXPECT(back && memcmp(back, bytes, SIZE) == 0);
    free(back);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    free(bytes);
    life_tear_down(&life);
}

TEST(nothing_is_published_before_the_backend_has_answered)
{
    struct life life;

    life_set_up(&life);
    REQUIRE(life_begin(&life));
    scratch_write(life.disk.fd, "half", "initialised");
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    EXPECT_INT(store_mem_count(life.mem, "base/"), 0);
    EXPECT_INT(store_mem_count(life.mem, "log/"), 2); /* open and close */
    life_tear_down(&life);
}

TEST(a_warm_disk_that_is_as_shipped_ships_nothing)
{
    struct life life;
    size_t bases;

    life_set_up(&life);
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    scratch_write(life.disk.fd, "files/a", "a");
    REQUIRE(life_commit(&life, 20));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    bases = store_mem_count(life.mem, "base/");
    for (int start = 0; start < 2; start++) {
        REQUIRE(life_begin(&life));
        engine_answered(life.engine);
        REQUIRE(life_settle(&life));
        EXPECT_INT(life_end(&life), ENGINE_DONE);
        EXPECT_INT(store_mem_count(life.mem, "base/"), bases);
        EXPECT(!scratch_exists(life.disk.fd, ".holdfast/aside"));
    }
    EXPECT_INT(store_fault_count(life.faulty, "get", "part/"), 0);
    life_tear_down(&life);
}

/* What is left to prune is pruned; how many requests there are when none has come for a second. */
static bool comes_to_rest(const struct life *life, size_t *ret_requests)
{
    uint64_t end_ms = clock_monotonic_ms() + 30000;
    size_t before;

    do {
        before = store_fault_count(life->faulty, NULL, NULL);
        if (!clock_pause(1000, NULL))
            return false;
        *ret_requests = store_fault_count(life->faulty, NULL, NULL);
    } while (*ret_requests != before && clock_monotonic_ms() < end_ms);
    return *ret_requests == before;
}

TEST(an_idle_engine_makes_no_request)
{
    struct life life;
    size_t requests = 0;

    life_set_up(&life);
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    REQUIRE(life_commit(&life, 5));
    REQUIRE(life_settle(&life));
    EXPECT(comes_to_rest(&life, &requests));
    EXPECT(clock_pause(1500, NULL));
    EXPECT_INT(store_fault_count(life.faulty, NULL, NULL), requests);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(a_second_owner_fences_the_first)
{
    struct life first, second;

    life_set_up(&first);
    life_set_up(&second);
    second.config.store = first.faulty;
    REQUIRE(life_begin(&first));
    scratch_write(first.disk.fd, "a", "1");
    engine_answered(first.engine);
    REQUIRE(life_settle(&first));
    REQUIRE(life_begin(&second));
    EXPECT(scratch_exists(second.disk.fd, "a"));
    scratch_write(first.disk.fd, "b", "too late");
    REQUIRE(life_await(&first, life_is_over));
    EXPECT_INT(first.status.phase, ENGINE_FENCED);
    EXPECT_INT(first.status.err.code, ERR_FENCED);
    EXPECT_INT(life_end(&second), ENGINE_DONE);
    life_tear_down(&second);
    life_tear_down(&first);
}

static bool is_degraded(const struct engine_status *status)
{
    return status->degraded;
}

static bool is_mended(const struct engine_status *status)
{
    return !status->degraded;
}

TEST(a_store_that_is_away_degrades_and_nothing_is_lost)
{
    struct life life;

    life_set_up(&life);
    life.config.start_timeout_ms = 300;
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    scratch_write(life.disk.fd, "a", "1");
    REQUIRE(life_settle(&life));
    store_fault_add(life.faulty, &(struct store_fault){.kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    scratch_write(life.disk.fd, "b", "2");
    REQUIRE(life_await(&life, is_degraded));
    EXPECT(life.status.has_changes);
    EXPECT(life.status.lag_ms > 0);
    store_fault_clear(life.faulty);
    REQUIRE(life_settle(&life));
    EXPECT(!life.status.degraded);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT(scratch_exists(life.disk.fd, "b"));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

/* A scrape every minute must not see a change that is as young as the scrape. */
TEST(a_change_grows_old_whether_anybody_looks_or_not)
{
    struct life life;
    uint64_t failing_ms;

    life_set_up(&life);
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    scratch_write(life.disk.fd, "a", "1");
    REQUIRE(life_settle(&life));
    store_fault_add(life.faulty,
                    &(struct store_fault){
                        .operation = "create", .key = "log/", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    scratch_write(life.disk.fd, "b", "2");
    store_fault_await(life.faulty, "create", "log/", store_fault_count(life.faulty, "create", "log/") + 1);
    failing_ms = clock_monotonic_ms();
    store_fault_await(life.faulty, "create", "log/", store_fault_count(life.faulty, "create", "log/") + 2);
    failing_ms = clock_monotonic_ms() - failing_ms;
    engine_status(life.engine, &life.status);
    EXPECT(failing_ms > 0 && life.status.lag_ms >= failing_ms);
    store_fault_clear(life.faulty);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(a_file_that_may_not_be_read_degrades_by_name_and_is_shipped_when_it_may)
{
    struct life life;
    uid_t user = geteuid();

    if (user == 0)
        REQUIRE(seteuid(65534) == 0); /* nothing is unreadable for root */
    life_set_up(&life);
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    scratch_write(life.disk.fd, "a", "1");
    REQUIRE(life_settle(&life));
    scratch_write(life.disk.fd, "secret", "2");
    EXPECT_INT(fchmodat(life.disk.fd, "secret", 0, 0), 0);
    REQUIRE(life_await(&life, is_degraded));
    EXPECT_INT(life.status.err.code, ERR_DENIED);
    EXPECT(strstr(life.status.err.text, "secret") != NULL);
    EXPECT_INT(fchmodat(life.disk.fd, "secret", 0600, 0), 0);
    REQUIRE(life_await(&life, is_mended));
    REQUIRE(life_settle(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    /* At the start it is for the operator. */
    EXPECT_INT(fchmodat(life.disk.fd, "secret", 0, 0), 0);
    EXPECT(!life_try_begin(&life));
    EXPECT_INT(life.status.err.code, ERR_DENIED);
    life_tear_down(&life);
    EXPECT_INT(seteuid(user), 0);
    EXPECT_INT(prctl(PR_SET_DUMPABLE, 1), 0); /* the leak check traces this process */
}

/* The file that is rewritten in place while it is read; -1: none. */
static _Atomic int rewritten_fd = -1;

static void rewrite_it(void)
{
    int rewritten = atomic_load(&rewritten_fd);

    if (rewritten >= 0)
        (void)!pwrite(rewritten, "three", 5, 0);
}

TEST(what_is_rewritten_while_it_is_read_is_not_durable_yet)
{
    struct life life;
    uint64_t position;
    size_t records;

    life_set_up(&life);
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    scratch_write(life.disk.fd, "file", "first");
    REQUIRE(life_settle(&life));
    records = store_fault_count(life.faulty, "create", "log/");
    atomic_store(&rewritten_fd, openat(life.disk.fd, "file", O_WRONLY | O_CLOEXEC));
    pread_hook_set(rewrite_it);
    scratch_write(life.disk.fd, "file", "second");
    position = engine_position_now(life.engine);
    scratch_write(life.disk.fd, "other", "goes out all the same");
    store_fault_await(life.faulty, "create", "log/", records + 1);
    scratch_write(life.disk.fd, "other", "once more");
    store_fault_await(life.faulty, "create", "log/", records + 2); /* the first of the two is confirmed */
    EXPECT(engine_durable_position(life.engine) < position);
    (void)close(atomic_exchange(&rewritten_fd, -1));
    REQUIRE(life_settle(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(a_flush_that_fails_says_so_within_its_budget)
{
    struct life life;
    uint64_t begun_ms;

    life_set_up(&life);
    life.config.start_timeout_ms = 60000;
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    scratch_write(life.disk.fd, "a", "1");
    REQUIRE(life_settle(&life));
    store_fault_add(life.faulty, &(struct store_fault){.kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    scratch_write(life.disk.fd, "b", "2");
    begun_ms = clock_monotonic_ms();
    engine_flush(life.engine, 1000);
    REQUIRE(life_await(&life, life_is_over));
    EXPECT(clock_monotonic_ms() - begun_ms < 2000);
    EXPECT_INT(life.status.phase, ENGINE_FAILED);
    EXPECT_INT(life.status.err.code, ERR_TRANSIENT);
    EXPECT(life.status.unshipped_ms > 0);
    life_tear_down(&life);
}

TEST(a_drain_is_announced_although_a_snapshot_is_stuck)
{
    static const char large[50000] = "2";
    struct life life;

    life_set_up(&life);
    life.config.start_timeout_ms = 60000;
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    scratch_write(life.disk.fd, "a", "1");
    REQUIRE(life_settle(&life));
    store_fault_add(life.faulty,
                    &(struct store_fault){
                        .operation = "put", .key = "blob/", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    scratch_write_bytes(life.disk.fd, "b", large, sizeof(large));
    store_fault_await(life.faulty, "put", "blob/", 3); /* it is trying again and again */
    engine_drain(life.engine, 60000);
    store_fault_await(life.faulty, "create", "log/", 3); /* open, base, drain */
    store_fault_clear(life.faulty);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT(scratch_exists(life.disk.fd, "b"));
    life_tear_down(&life);
}

TAP_MAIN()
