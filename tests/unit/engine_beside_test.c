/* Bases that are cut while records go on: nothing waits for them, and what they announce is the state at the
 * position where they were begun. */
#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/reader.h"
#include "tests/double/life_story.h"
#include "tests/double/siding.h"
#include "tests/tap.h"

#include <fcntl.h>

enum { STEPS = 4 };

TEST(records_are_confirmed_while_a_base_is_under_way_and_every_one_of_them_can_be_restored)
{
    struct siding siding;
    struct life *life = &siding.life;
    uint64_t position = 0, first, held, announced;

    REQUIRE(siding_begin(&siding, 0));
    first = siding_newest_base(&siding, &position);
    REQUIRE(siding_hold(&siding));
    held = life->status.durable_record;
    for (int step = 0; step < STEPS; step++)
        REQUIRE(siding_step(&siding, 3));
    EXPECT(life->status.durable_record >= held + STEPS);
    EXPECT_INT(siding_newest_base(&siding, &position), first);
    store_fault_release(life->faulty);
    announced = siding_await_base(&siding, first);
    REQUIRE(announced > 0);
    (void)siding_newest_base(&siding, &position);
    EXPECT(position <= held);
    EXPECT(announced > held + STEPS);
    REQUIRE(siding_step(&siding, 2));
    EXPECT(siding_agrees(&siding, first));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_tear_down(life);
}

TEST(a_start_takes_the_base_and_the_records_above_its_position)
{
    struct siding siding;
    struct life *life = &siding.life;
    uint64_t position = 0, first;
    int64_t value;

    REQUIRE(siding_begin(&siding, 0));
    first = siding_newest_base(&siding, &position);
    REQUIRE(siding_hold(&siding));
    for (int step = 0; step < STEPS; step++)
        REQUIRE(siding_step(&siding, 2));
    store_fault_release(life->faulty);
    REQUIRE(siding_await_base(&siding, first) > 0);
    value = life_value(life->disk.path);
    life_cut_off(life);
    /* The warm disk proves what it holds, and the cold one gets all of it. */
    for (int wiped = 0; wiped < 2; wiped++) {
        if (wiped)
            life_wipe(life);
        REQUIRE(life_begin(life));
        EXPECT_INT(life_value(life->disk.path), value);
        EXPECT(life_says(life, "text", siding.steps[siding.count - 1].text));
        EXPECT(life_says(life, "kept", "kept"));
        EXPECT(!scratch_exists(life->disk.fd, ".holdfast/aside"));
        engine_answered(life->engine);
        REQUIRE(siding_step(&siding, 1));
        value++;
        EXPECT_INT(life_end(life), ENGINE_DONE);
    }
    EXPECT(siding_agrees(&siding, first));
    life_tear_down(life);
}

/* The base holds what the log says of its position, whatever the disk says by then. */
TEST(files_that_change_and_vanish_meanwhile_go_in_as_they_were)
{
    struct siding siding;
    struct life *life = &siding.life;
    CLEANUP(scratch_closep) struct scratch copy;
    CLEANUP(freep) char *kept = NULL;
    struct reader_result result;
    struct err err = {0};
    uint64_t position = 0, first, announced;

    REQUIRE(siding_begin(&siding, 0));
    first = siding_newest_base(&siding, &position);
    REQUIRE(siding_hold(&siding)); /* the database's part; the files come after it */
    scratch_write(life->disk.fd, "kept", "changed");
    scratch_write(life->disk.fd, "new", "new");
    EXPECT_INT(unlinkat(life->disk.fd, "removed", 0), 0);
    EXPECT_INT(unlinkat(life->disk.fd, "text", 0), 0);
    REQUIRE(siding_step(&siding, 1));
    store_fault_release(life->faulty);
    announced = siding_await_base(&siding, first);
    REQUIRE(announced > 0);
    (void)siding_newest_base(&siding, &position);
    EXPECT(siding_agrees(&siding, first));
    scratch_open(&copy);
    REQUIRE_OK(reader_restore(life->mem, copy.path, position, NULL, NULL, &result, &err), &err);
    kept = scratch_read(copy.fd, "kept");
    EXPECT(strcmp(kept, "kept") == 0);
    EXPECT(!scratch_exists(copy.fd, "new"));
    EXPECT(scratch_exists(copy.fd, "removed"));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_wipe(life);
    REQUIRE(life_begin(life));
    EXPECT(life_says(life, "kept", "changed"));
    EXPECT(life_says(life, "new", "new"));
    EXPECT(!scratch_exists(life->disk.fd, "removed"));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_tear_down(life);
}

/* Contents that lay in an older base, or in records since, lie in the new one: the older may be pruned. */
TEST(a_chain_of_such_bases_leaves_nothing_behind_that_the_next_one_needs)
{
    struct siding siding;
    struct life *life = &siding.life;
    uint64_t position = 0, announced = 0;

    REQUIRE(siding_begin(&siding, 0));
    life_cut_off(life);
    life->config.retention_ms = 0;
    REQUIRE(life_begin(life));
    engine_answered(life->engine);
    for (int base = 0; base < 4; base++) {
        uint64_t before = siding_newest_base(&siding, &position);
        char name[16];
        (void)snprintf(name, sizeof(name), "file %d", base);
        scratch_write(life->disk.fd, name, name);
        REQUIRE(siding_ask(&siding));
        announced = siding_await_base(&siding, before);
        REQUIRE(announced > before && siding_step(&siding, 1));
    }
    EXPECT_INT(life_end(life), ENGINE_DONE);
    EXPECT(siding_agrees(&siding, announced));
    life_wipe(life);
    REQUIRE(life_begin(life));
    EXPECT(life_says(life, "kept", "kept"));
    EXPECT(life_says(life, "file 0", "file 0"));
    EXPECT(life_says(life, "file 3", "file 3"));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_tear_down(life);
}

TAP_MAIN()
