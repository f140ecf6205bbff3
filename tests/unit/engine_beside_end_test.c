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
        REQUIRE(siding_begin(&siding, 0));
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

/* One that comes is in the records behind the base; one that goes is in it, so it is cut anew. */
TEST(a_database_that_comes_or_goes_meanwhile_is_in_no_ones_way)
{
    for (int goes = 0; goes < 2; goes++) {
        struct siding siding;
        struct life *life = &siding.life;
        CLEANUP(freep) char *path = NULL;
        uint64_t position = 0, first;
        REQUIRE(siding_begin(&siding, 1));
        path = xasprintf("%s/other.sqlite3", life->disk.path);
        if (goes)
            REQUIRE(writer_make(path, 2, NULL) && life_settle(life));
        REQUIRE(siding_step(&siding, 1));
        first = siding_newest_base(&siding, &position);
        REQUIRE(siding_hold(&siding));
        if (goes) {
            (void)unlinkat(life->disk.fd, "other.sqlite3", 0);
            (void)unlinkat(life->disk.fd, "other.sqlite3-wal", 0);
            (void)unlinkat(life->disk.fd, "other.sqlite3-shm", 0);
        } else {
            REQUIRE(writer_make(path, 2, NULL));
        }
        REQUIRE(siding_step(&siding, 1)); /* while its part is held */
        EXPECT_INT(siding_newest_base(&siding, &position), first);
        store_fault_release(life->faulty);
        REQUIRE(siding_await_base(&siding, first) > 0);
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
    uint64_t position = 0, first;

    REQUIRE(siding_begin(&siding, 0));
    first = siding_newest_base(&siding, &position);
    store_fault_add(
        life->faulty,
        &(struct store_fault){.operation = "put", .key = "part/", .kind = FAULT_BEFORE, .code = ERR_DENIED});
    REQUIRE(siding_ask(&siding));
    REQUIRE(life_await(life, has_warned));
    EXPECT(life_warned(life, "a new base is due"));
    EXPECT(!life->status.degraded);
    REQUIRE(siding_step(&siding, 1));
    store_fault_clear(life->faulty);
    EXPECT(siding_await_base(&siding, first) > 0);
    EXPECT_INT(life->status.warnings_count, 1);
    EXPECT(siding_agrees(&siding, first));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_tear_down(life);
}

static size_t count_parts(struct siding *siding, uint64_t position)
{
    CLEANUP(freep) char *prefix = xasprintf("part/%016" PRIx64 "-", UINT64_MAX - position);

    return store_mem_count(siding->life.mem, prefix);
}

/* A frozen file keeps its log from being emptied, so a base that takes too long makes way. */
TEST(a_base_under_which_a_log_grows_too_long_is_given_up_and_tried_again)
{
    struct siding siding;
    struct life *life = &siding.life;
    uint64_t position = 0, first, outgrown;
    size_t parts;

    REQUIRE(siding_begin(&siding, 9)); /* there is more to be read than the part that is held */
    parts = store_mem_count(life->mem, "part/");
    first = siding_newest_base(&siding, &position);
    REQUIRE(siding_hold(&siding));
    REQUIRE(siding_grow(&siding, 2));
    REQUIRE(siding_step(&siding, 1));
    outgrown = life->status.durable_record;
    REQUIRE(siding_step(&siding, 1));
    store_fault_release(life->faulty);
    REQUIRE(siding_await_base(&siding, first) > 0);
    (void)siding_newest_base(&siding, &position);
    EXPECT(position >= outgrown); /* not the one that was under way, of which nothing is left */
    EXPECT_INT(store_mem_count(life->mem, "part/"), parts + count_parts(&siding, position));
    EXPECT(siding_agrees(&siding, outgrown));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_tear_down(life);
}

/* What the log says and nobody can read back can't be repeated, but what is on the disk can be shipped. */
TEST(what_can_not_be_repeated_is_begun_anew)
{
    struct siding siding;
    struct life *life = &siding.life;
    uint64_t position = 0, first, newest;

    REQUIRE(siding_begin(&siding, 0));
    first = siding_newest_base(&siding, &position);
    REQUIRE(siding_hold(&siding));
    scratch_write(life->disk.fd, "kept", "changed");
    REQUIRE(siding_step(&siding, 1));
    store_fault_add(life->faulty,
                    &(struct store_fault){.operation = "get", .key = "part/", .kind = FAULT_FLIP});
    store_fault_release(life->faulty);
    REQUIRE(siding_await_base(&siding, first) > 0);
    newest = siding_newest_base(&siding, &position);
    EXPECT_INT(position, newest - 1);
    store_fault_clear(life->faulty);
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
    size_t parts, manifests;

    REQUIRE(siding_begin(&siding, 0));
    first = siding_newest_base(&siding, &position);
    parts = store_mem_count(life->mem, "part/");
    store_fault_add(life->faulty,
                    &(struct store_fault){.operation = "put", .key = "base/", .kind = FAULT_HOLD});
    manifests = store_fault_count(life->faulty, "put", "base/");
    REQUIRE(siding_ask(&siding));
    store_fault_await(life->faulty, "put", "base/", manifests + 1);
    EXPECT(store_mem_count(life->mem, "part/") > parts);
    store_fault_add(life->faulty, &(struct store_fault){
                                      .operation = "create", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    life_cut_off(life);
    store_fault_clear(life->faulty);
    REQUIRE(life_begin(life));
    engine_answered(life->engine);
    while (store_mem_count(life->mem, "part/") > parts && clock_monotonic_ms() < limit_ms)
        REQUIRE(siding_step(&siding, 1));
    EXPECT_INT(store_mem_count(life->mem, "part/"), parts);
    EXPECT(siding_agrees(&siding, first));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_tear_down(life);
}

/* With a retention of nothing the owner prunes and sweeps all the time. */
TEST(the_owner_itself_takes_nothing_of_a_base_under_way)
{
    struct siding siding;
    struct life *life = &siding.life;
    uint64_t position = 0, before, announced;
    size_t manifests;

    REQUIRE(siding_begin(&siding, 0));
    life_cut_off(life);
    life->config.retention_ms = 0;
    REQUIRE(life_begin(life));
    engine_answered(life->engine);
    before = siding_newest_base(&siding, &position);
    REQUIRE(siding_ask(&siding));
    before = siding_await_base(&siding, before);
    manifests = store_fault_count(life->faulty, "put", "base/");
    store_fault_add(life->faulty,
                    &(struct store_fault){.operation = "put", .key = "base/", .kind = FAULT_HOLD});
    REQUIRE(siding_ask(&siding));
    store_fault_await(life->faulty, "put", "base/", manifests + 1); /* all of its parts are there */
    for (int step = 0; step < 5; step++)
        REQUIRE(siding_step(&siding, 1));
    EXPECT_INT(siding_newest_base(&siding, &position), before);
    store_fault_release(life->faulty);
    announced = siding_await_base(&siding, before);
    REQUIRE(announced > 0);
    EXPECT_INT(life_end(life), ENGINE_DONE);
    EXPECT(siding_agrees(&siding, announced));
    life_tear_down(life);
}

TAP_MAIN()
