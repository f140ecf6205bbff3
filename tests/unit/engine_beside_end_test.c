/* What is in the way of a base that is cut while records go on ends it, and nothing else; what it has left
 * behind is swept, and what it still needs is not. */
#include "base/clock.h"
#include "base/fs.h"
#include "tests/double/life_story.h"
#include "tests/double/siding.h"
#include "tests/tap.h"

#include <fcntl.h>

/* --- what ends it ------------------------------------------------------------------------------------ */

TEST(the_drain_and_the_flush_do_not_wait_for_a_base)
{
    for (int drains = 0; drains < 2; drains++) {
        struct siding siding;
        struct life *life = &siding.life;
        uint64_t position = 0, first;
        REQUIRE(siding_begin(&siding));
        first = siding_newest_base(&siding, &position);
        REQUIRE(siding_hold(&siding));
        REQUIRE(siding_step(&siding, 2));
        if (drains)
            engine_drain(life->engine, 5000);
        scratch_write(life->disk.fd, "text", "the last");
        engine_flush(life->engine, 5000);
        REQUIRE(life_await(life, life_is_over)); /* its part is still held */
        EXPECT_INT(life->status.phase, ENGINE_DONE);
        EXPECT_INT(siding_newest_base(&siding, &position), first);
        store_fault_release(life->faulty);
        engine_free(MOVE(life->engine));
        EXPECT(siding_agrees(&siding, first));
        life_wipe(life);
        REQUIRE(life_begin(life));
        EXPECT(life_says(life, "text", "the last"));
        life_tear_down(life);
    }
}

TEST(a_database_that_comes_or_goes_meanwhile_restarts_the_state)
{
    for (int goes = 0; goes < 2; goes++) {
        struct siding siding;
        struct life *life = &siding.life;
        CLEANUP(freep) char *path = NULL;
        uint64_t position = 0, first, restarted;
        REQUIRE(siding_begin(&siding));
        path = xasprintf("%s/other.sqlite3", life->disk.path);
        if (goes) {
            first = siding_newest_base(&siding, &position);
            REQUIRE(writer_make(path, 2, NULL));
            REQUIRE(siding_await_base(&siding, first) > 0);
        }
        REQUIRE(siding_step(&siding, 1));
        REQUIRE(siding_hold(&siding));
        first = siding_newest_base(&siding, &position);
        if (goes) {
            (void)unlinkat(life->disk.fd, "other.sqlite3", 0);
            (void)unlinkat(life->disk.fd, "other.sqlite3-wal", 0);
            (void)unlinkat(life->disk.fd, "other.sqlite3-shm", 0);
        } else {
            REQUIRE(writer_make(path, 2, NULL));
        }
        store_fault_release(life->faulty);
        restarted = siding_await_base(&siding, first);
        REQUIRE(restarted > 0);
        REQUIRE(siding_step(&siding, 1));
        EXPECT_INT(life_end(life), ENGINE_DONE);
        EXPECT(siding_agrees(&siding, first));
        life_wipe(life);
        REQUIRE(life_begin(life));
        EXPECT_INT(scratch_exists(life->disk.fd, "other.sqlite3"), !goes);
        EXPECT(life_says(life, "text", siding.steps[siding.count - 1].text));
        life_tear_down(life);
    }
}

static bool has_warned(const struct engine_status *status)
{
    return status->warnings_count > 0;
}

TEST(a_base_that_fails_is_said_once_and_tried_again_while_records_go_on)
{
    struct siding siding;
    struct life *life = &siding.life;
    uint64_t position = 0, first, limit_ms = clock_monotonic_ms() + LIFE_LIMIT_MS;

    REQUIRE(siding_begin(&siding));
    first = siding_newest_base(&siding, &position);
    store_fault_add(
        life->faulty,
        &(struct store_fault){.operation = "put", .key = "part/", .kind = FAULT_BEFORE, .code = ERR_DENIED});
    while (life->status.warnings_count == 0 && clock_monotonic_ms() < limit_ms)
        REQUIRE(siding_step(&siding, 1));
    REQUIRE(life_await(life, has_warned));
    EXPECT(life_warned(life, "a new base is due"));
    EXPECT(!life->status.degraded);
    REQUIRE(siding_step(&siding, 1));
    store_fault_clear(life->faulty);
    while (siding_newest_base(&siding, &position) == first && clock_monotonic_ms() < limit_ms)
        REQUIRE(siding_step(&siding, 1));
    EXPECT(siding_newest_base(&siding, &position) > first);
    EXPECT_INT(life->status.warnings_count, 1);
    EXPECT(siding_agrees(&siding, first));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_tear_down(life);
}

/* --- garbage ----------------------------------------------------------------------------------------- */

TEST(the_next_owner_sweeps_what_a_base_under_way_has_left)
{
    struct siding siding;
    struct life *life = &siding.life;
    uint64_t position = 0, first, limit_ms = clock_monotonic_ms() + LIFE_LIMIT_MS;
    size_t parts;

    REQUIRE(siding_begin(&siding));
    first = siding_newest_base(&siding, &position);
    parts = store_mem_count(life->mem, "part/");
    store_fault_add(life->faulty,
                    &(struct store_fault){.operation = "put", .key = "base/", .kind = FAULT_HOLD});
    while (store_mem_count(life->mem, "part/") == parts && clock_monotonic_ms() < limit_ms)
        REQUIRE(siding_step(&siding, 1));
    EXPECT(store_mem_count(life->mem, "part/") > parts);
    store_fault_add(life->faulty, &(struct store_fault){
                                      .operation = "create", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    life_cut_off(life);
    store_fault_clear(life->faulty);
    life->config.snapshot_interval_ms = 24 * 3600 * 1000;
    REQUIRE(life_begin(life));
    engine_answered(life->engine);
    while (store_mem_count(life->mem, "part/") > parts && clock_monotonic_ms() < limit_ms)
        REQUIRE(siding_step(&siding, 1));
    EXPECT_INT(store_mem_count(life->mem, "part/"), parts);
    EXPECT(siding_agrees(&siding, first));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_tear_down(life);
}

TAP_MAIN()
