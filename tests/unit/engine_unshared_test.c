/* Databases that their application doesn't share while it runs. */
#include "base/clock.h"
#include "tests/unit/databases_life.h"

enum { KEPT = 5, ROUNDS = 5, ROUND_MAX_MS = 2500 };

static bool is_told(const struct engine_status *status, const char *words)
{
    for (size_t at = 0; at < status->warnings_count; at++)
        if (strstr(status->warnings[at], words))
            return true;
    return false;
}

static bool is_given_up(const struct engine_status *status)
{
    return is_told(status, "own.db is not protected");
}

static bool is_followed_again(const struct engine_status *status)
{
    return is_told(status, "own.db can be followed now");
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

TAP_MAIN()
