/* A stop before the application was launched: the start is given up, and a log that is ours by then gets its
 * close, so that the next owner finds no crash. */
#include "snapshot/engine.h"

#include "snapshot/log.h"
#include "tests/double/life.h"
#include "tests/double/reading.h"
#include "tests/double/sample.h"
#include "tests/tap.h"

/* The newest record. */
static struct record_header head_of(struct life *life)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct some_key key = key_below(life->mem, "log/", 0);
    struct record record = {0};
    struct err err = {0};

    EXPECT_OK(store_get(life->mem, key.text, &bytes, &err), &err);
    EXPECT_OK(record_decode(bytes.bytes, bytes.size, &record, &err), &err);
    return record.header;
}

static void set_up(struct life *life)
{
    life_set_up(life);
    REQUIRE(reading_fill(life)); /* its last life has ended with a close */
    REQUIRE(head_of(life).kind == RECORD_CLOSE);
    life_wipe(life);
}

static void hold(struct life *life, const char *operation, const char *key)
{
    store_fault_add(life->faulty,
                    &(struct store_fault){.operation = operation, .key = key, .kind = FAULT_HOLD});
}

static void open_engine(struct life *life)
{
    struct err err = {0};

    REQUIRE_OK(engine_open(&life->config, &life->canceled, &life->engine, &err), &err);
}

/* The takeover counts by then. */
static bool is_restoring(const struct engine_status *status)
{
    return strstr(status->step, "restoring") != NULL;
}

TEST(a_stop_during_the_restore_closes_the_log_and_leaves_no_half_of_it)
{
    struct record_header before, head;
    struct life life;

    set_up(&life);
    before = head_of(&life);
    hold(&life, "get", "part/");
    open_engine(&life);
    REQUIRE(life_await(&life, is_restoring));
    engine_flush(life.engine, 5000);
    store_fault_clear(life.faulty);
    REQUIRE(life_await(&life, life_is_over));
    EXPECT_INT(life.status.phase, ENGINE_DONE);
    engine_free(MOVE(life.engine));
    head = head_of(&life);
    EXPECT_INT(head.position, before.position + 2);
    EXPECT_INT(head.kind, RECORD_CLOSE);
    EXPECT_INT(head.open_times_ns[0], 0);
    EXPECT(!scratch_exists(life.disk.fd, "db.sqlite3") && !scratch_exists(life.disk.fd, "text"));
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_value(life.disk.path), 6);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(a_stop_before_the_takeover_writes_nothing)
{
    struct record_header before;
    struct life life;
    size_t lists;

    set_up(&life);
    before = head_of(&life);
    lists = store_fault_count(life.faulty, "list", "log/");
    hold(&life, "list", "log/");
    open_engine(&life);
    store_fault_await(life.faulty, "list", "log/", lists + 1);
    engine_flush(life.engine, 5000);
    store_fault_add(life.faulty, &(struct store_fault){.kind = FAULT_BEFORE, .code = ERR_CANCELED});
    store_fault_release(life.faulty);
    REQUIRE(life_await(&life, life_is_over));
    engine_free(MOVE(life.engine));
    store_fault_clear(life.faulty);
    EXPECT_INT(head_of(&life).position, before.position);
    EXPECT(!scratch_exists(life.disk.fd, ".holdfast"));
    life_tear_down(&life);
}

/* As one does that didn't end in time. */
TEST(an_application_that_was_killed_at_a_commit_keeps_nothing_from_being_shipped)
{
    CLEANUP(freep) char *path = NULL;
    struct life life;

    life_set_up(&life);
    REQUIRE(life_begin(&life));
    REQUIRE(life_commit(&life, 3));
    engine_answered(life.engine);
    REQUIRE(life_settle(&life));
    REQUIRE(life_commit(&life, 1));
    path = xasprintf("%s/db.sqlite3", life.disk.path);
    sample_tear_index(path);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_value(life.disk.path), 4);
    life_tear_down(&life);
}

TEST(a_store_that_refuses_the_close_is_tried_until_the_time_is_up)
{
    struct life life;
    size_t creates;

    set_up(&life);
    creates = store_fault_count(life.faulty, "create", "log/");
    hold(&life, "get", "part/");
    open_engine(&life);
    REQUIRE(life_await(&life, is_restoring));
    store_fault_clear(life.faulty);
    store_fault_add(life.faulty,
                    &(struct store_fault){.operation = "create", .kind = FAULT_BEFORE, .code = ERR_DENIED});
    engine_flush(life.engine, 700);
    REQUIRE(life_await(&life, life_is_over));
    if (life.status.phase == ENGINE_FAILED)
        EXPECT_INT(life.status.err.code, ERR_DENIED);
    EXPECT(store_fault_count(life.faulty, "create", "log/") >= creates + 2);
    engine_free(MOVE(life.engine));
    life_tear_down(&life);
}

TAP_MAIN()
