/* Databases that their application doesn't share while it runs. */
#include "base/clock.h"
#include "tests/unit/databases_life.h"

enum {
    KEPT = 5,
    ROUNDS = 5,
    ROUND_MAX_MS = 2500,
    QUIET_MS = 500, /* ten times the interval of shipping */
};

static bool is_told(const struct engine_status *status, const char *words)
{
    for (size_t at = 0; at < status->warnings_count; at++)
        if (strstr(status->warnings[at], words))
            return true;
    return false;
}

static bool is_given_up(const struct engine_status *status)
{
    return is_told(status, "own.db is not protected") && status->left_out_count == 1;
}

static bool is_followed_again(const struct engine_status *status)
{
    return is_told(status, "own.db can be followed now") && status->left_out_count == 0;
}

static bool are_given_up(const struct engine_status *status)
{
    return status->warnings_count == KEPT;
}

static void start_unshared(struct life *life, struct writer *writer, const char *name)
{
    struct writer_plan plan = writer_plan_for(path_of(life, name), 100);

    (void)snprintf(plan.sql, sizeof(plan.sql), "PRAGMA locking_mode=EXCLUSIVE");
    REQUIRE(writer_start(writer, &plan));
}

static void keep_to_itself(struct life *life, struct writer *writer)
{
    start_unshared(life, writer, "own.db");
    REQUIRE(life_await(life, is_given_up));
}

/* Lets go of it; its last value. */
static int64_t let_go(struct writer *writer)
{
    EXPECT(writer_stop(writer));
    return (int64_t)atomic_load(&writer->stats->commits);
}

TEST(what_it_lets_go_of_at_the_end_is_shipped_then)
{
    struct writer writer = {0};
    struct life life;
    int64_t last;

    begin(&life);
    keep_to_itself(&life, &writer);
    last = let_go(&writer);
    begin_again(&life);
    EXPECT(last > 0);
    EXPECT_INT(value(&life, "own.db"), last);
    EXPECT_INT(life_value(life.disk.path), COMMITS);
    end(&life);
}

TEST(what_it_lets_go_of_while_the_backend_runs_is_followed_and_said)
{
    struct writer writer = {0};
    struct life life;
    int64_t last;

    begin(&life);
    keep_to_itself(&life, &writer);
    last = let_go(&writer);
    REQUIRE(life_await(&life, is_followed_again));
    REQUIRE(life_settle(&life));
    life_cut_off(&life);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(value(&life, "own.db"), last);
    end(&life);
}

/* Each attempt to follow one of them takes its time, and nothing else is shipped meanwhile. */
TEST(however_many_are_kept_the_others_are_shipped_as_ever)
{
    struct writer writers[KEPT] = {0};
    struct life life;
    uint64_t begun_ms;

    begin(&life);
    for (size_t at = 0; at < KEPT; at++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "own%zu.db", at);
        start_unshared(&life, &writers[at], name);
    }
    REQUIRE(life_await(&life, are_given_up));
    begun_ms = clock_monotonic_ms();
    for (int round = 0; round < ROUNDS; round++) {
        REQUIRE(life_commit(&life, 1));
        REQUIRE(life_settle(&life));
    }
    EXPECT(clock_monotonic_ms() - begun_ms < ROUNDS * ROUND_MAX_MS);
    for (size_t at = 0; at < KEPT; at++)
        EXPECT(writer_stop(&writers[at]));
    end(&life);
}

/* A folder that can't be written would do the same, but not to root. */
TEST(one_whose_log_can_not_be_made_is_named)
{
    struct life life;

    begin(&life);
    scratch_mkdir(life.disk.fd, "own.db-wal");
    REQUIRE(writer_make(sample_path("own.db"), 5, NULL));
    EXPECT_INT(rename(sample_path("own.db"), path_of(&life, "own.db")), 0);
    REQUIRE(life_await(&life, is_given_up));
    EXPECT(life.status.position > life.status.durable_position);
    EXPECT_INT(life_end(&life), ENGINE_FAILED);
    EXPECT(strstr(life.status.err.text, "own.db") != NULL);
    life_tear_down(&life);
}

TEST(what_is_still_kept_at_the_end_is_not_called_shipped)
{
    struct writer writer = {0};
    struct life life;

    begin(&life);
    keep_to_itself(&life, &writer);
    EXPECT_INT(life_end(&life), ENGINE_FAILED);
    EXPECT(strstr(life.status.err.text, "own.db") != NULL);
    EXPECT(writer_stop(&writer));
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_value(life.disk.path), COMMITS);
    end(&life);
}

static bool is_whole(const struct engine_status *status)
{
    return life_is_durable(status) && status->position == status->durable_position;
}

/* While it is left out nothing that comes counts as durable; the age is that of its loss. */
TEST(what_is_left_out_keeps_the_position_from_being_durable_however_much_else_is_shipped)
{
    uint64_t begun_ms, known_ms, position;
    struct writer writer = {0};
    struct life life;

    begin(&life);
    REQUIRE(life_await(&life, is_whole));
    begun_ms = clock_monotonic_ms();
    keep_to_itself(&life, &writer);
    known_ms = clock_monotonic_ms();
    position = engine_position_now(life.engine);
    for (int round = 0; round < ROUNDS; round++) {
        REQUIRE(life_commit(&life, 1));
        REQUIRE(life_settle(&life));
        EXPECT(life.status.position > life.status.durable_position);
        EXPECT(engine_durable_position(life.engine) < position);
    }
    EXPECT(life.status.lag_ms >= clock_monotonic_ms() - known_ms);
    EXPECT(life.status.lag_ms <= clock_monotonic_ms() - begun_ms);
    EXPECT_INT(life.status.left_out_count, 1);
    EXPECT(writer_stop(&writer));
    end(&life);
}

TEST(what_waits_for_it_is_durable_with_the_record_that_holds_it)
{
    struct writer writer = {0};
    struct life life;
    uint64_t position;

    begin(&life);
    keep_to_itself(&life, &writer);
    position = engine_position_now(life.engine);
    (void)let_go(&writer);
    store_fault_add(life.faulty,
                    &(struct store_fault){.operation = "create", .key = "log/", .kind = FAULT_HOLD});
    REQUIRE(life_await(&life, is_followed_again));
    EXPECT(engine_durable_position(life.engine) < position);
    store_fault_clear(life.faulty);
    REQUIRE(life_await(&life, is_whole));
    EXPECT(engine_durable_position(life.engine) >= position);
    EXPECT_INT(life.status.lag_ms, 0);
    EXPECT_INT(life.status.left_out_count, 0);
    end(&life);
}

TEST(with_one_that_has_gone_everything_is_durable_again)
{
    struct writer writer = {0};
    struct life life;

    begin(&life);
    keep_to_itself(&life, &writer);
    EXPECT(writer_stop(&writer));
    delete (&life, "own.db");
    REQUIRE(life_await(&life, is_whole));
    EXPECT_INT(life.status.left_out_count, 0);
    end(&life);
}

TEST(what_is_left_out_is_named_with_its_reason_and_since_when)
{
    uint64_t begun_ns = clock_unix_ns();
    struct engine_left_out left_out;
    struct writer writer = {0};
    struct life life;

    begin(&life);
    EXPECT_INT(engine_left_out(life.engine, &left_out, 1), 0);
    keep_to_itself(&life, &writer);
    REQUIRE(engine_left_out(life.engine, &left_out, 1) == 1);
    EXPECT_STR(left_out.path, "own.db");
    EXPECT(strstr(left_out.why, "keeps it locked"));
    EXPECT(left_out.since_ns > begun_ns && left_out.since_ns <= clock_unix_ns());
    EXPECT(writer_stop(&writer));
    end(&life);
}

/* There is nothing to ship, so nothing is tried. */
TEST(one_that_is_left_out_makes_no_records)
{
    struct writer writer = {0};
    struct life life;
    size_t records;

    begin(&life);
    keep_to_itself(&life, &writer);
    REQUIRE(life_settle(&life));
    records = store_fault_count(life.faulty, "create", NULL);
    EXPECT(clock_pause(QUIET_MS, NULL));
    EXPECT_INT(store_fault_count(life.faulty, "create", NULL), records);
    EXPECT(writer_stop(&writer));
    end(&life);
}

static bool are_all_left_out(const struct engine_status *status)
{
    return status->left_out_count == KEPT;
}

TEST(each_that_is_still_kept_at_the_end_is_named)
{
    struct writer writers[KEPT] = {0};
    char name[16];
    struct life life;

    begin(&life);
    for (size_t at = 0; at < KEPT; at++) {
        (void)snprintf(name, sizeof(name), "own%zu.db", at);
        start_unshared(&life, &writers[at], name);
    }
    REQUIRE(life_await(&life, are_all_left_out));
    EXPECT_INT(life_end(&life), ENGINE_FAILED);
    for (size_t at = 0; at < KEPT; at++) {
        (void)snprintf(name, sizeof(name), "own%zu.db", at);
        EXPECT(strstr(life.status.err.text, name) != NULL);
        EXPECT(writer_stop(&writers[at]));
    }
    life_tear_down(&life);
}

TAP_MAIN()
