/* An owner packs beside its shipping. */
#include "snapshot/reader.h"

#include "tests/double/history.h"
#include "tests/double/life_story.h"
#include "tests/double/reading.h"
#include "tests/tap.h"

/* A life that begins behind `count` records of a predecessor. */
static void begin_behind(struct life *life, struct history *history, size_t count)
{
    history_begin(history);
    history_work(history, count - 1, 100);
    life_set_up(life);
    store_free(life->faulty);
    store_free(life->mem);
    life->mem = history->mem;
    life->faulty = store_fault_new(life->mem);
    life->config.store = life->faulty;
    log_clear(&history->log);
}

TEST(what_a_predecessor_left_loose_is_packed_and_nothing_is_lost)
{
    struct life life;
    struct history history;
    struct damages damages;
    struct err err = {0};

    begin_behind(&life, &history, 300);
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    REQUIRE(life_commit(&life, 5) && life_settle(&life));
    store_fault_await(life.faulty, "delete", "log/", 255);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    EXPECT_INT(store_mem_count(life.mem, "pack/"), 1);
    EXPECT(store_mem_count(life.mem, "log/") < 60);
    EXPECT_OK(damages_find(life.mem, &damages, &err), &err);
    EXPECT_INT(damages.count, 0);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_value(life.disk.path), 5);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(a_store_that_refuses_packs_holds_nothing_up)
{
    struct life life;
    struct history history;

    begin_behind(&life, &history, 300);
    store_fault_add(
        life.faulty,
        &(struct store_fault){.operation = "put", .key = "pack/", .kind = FAULT_BEFORE, .code = ERR_DENIED});
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    REQUIRE(life_commit(&life, 5) && life_settle(&life));
    store_fault_await(life.faulty, "put", "pack/", 1);
    REQUIRE(life_commit(&life, 6) && life_settle(&life));
    while (!life_warned(&life, "can't be packed"))
        if (!life_await(&life, life_is_ready))
            break;
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    EXPECT_INT(store_mem_count(life.mem, "pack/"), 0);
    EXPECT(store_mem_count(life.mem, "log/") > 300);
    life_tear_down(&life);
}

/* Listed, and gone when it is asked for, whichever record it is: it lies in a pack by then. */
TEST(records_that_are_packed_while_a_start_asks_for_them_are_found)
{
    struct life life;
    uint64_t newest;

    life_set_up(&life);
    REQUIRE(life_live(&life, 3, "one") && life_live(&life, 4, "two"));
    newest = life.status.durable_record;
    EXPECT(newest > 4);
    for (uint64_t record = 2; record <= newest; record++) {
        struct key key = key_log(record);
        life_wipe(&life);
        store_fault_add(life.faulty, &(struct store_fault){.operation = "get",
                                                           .key = key.text,
                                                           .times = 1,
                                                           .kind = FAULT_BEFORE,
                                                           .code = ERR_NOT_FOUND});
        REQUIRE(life_begin(&life));
        EXPECT_INT(life_value(life.disk.path), 7);
        EXPECT(life_says(&life, "text", "two"));
        EXPECT_INT(life_end(&life), ENGINE_DONE);
        store_fault_clear(life.faulty);
    }
    life_tear_down(&life);
}

TAP_MAIN()
