/* A life ends at its n-th store request, with a base that is cut beside its records under way or just
 * announced: nothing that was durable is lost, every record is what it was, and the next life goes on from
 * there.
 *
 * make check takes a few n; TEST_SWEEP=all takes all of them. */
#include "base/clock.h"
#include "tests/double/life_story.h"
#include "tests/double/siding.h"
#include "tests/tap.h"

enum { REQUESTS = 30, STRIDE = 11, STEPS_MAX = 8 };

static bool is_durable_or_stuck(const struct engine_status *status)
{
    return life_is_durable(status) || status->degraded;
}

/* The store answers n requests more, the next one too (or not), and then no more. */
static void break_store(struct life *life, size_t n, bool lands)
{
    if (lands)
        store_fault_add(life->faulty, &(struct store_fault){
                                          .skip = n, .times = 1, .kind = FAULT_AFTER, .code = ERR_DENIED});
    store_fault_add(life->faulty, &(struct store_fault){.skip = n, .kind = FAULT_BEFORE, .code = ERR_DENIED});
}

/* Steps until that is felt. */
static bool step_until_stuck(struct siding *siding)
{
    struct life *life = &siding->life;

    for (int step = 0; step < STEPS_MAX; step++) {
        siding_write(siding);
        if (!life_commit(life, 1) || !life_await(life, is_durable_or_stuck))
            return false;
        if (life->status.degraded)
            return true;
        siding_note(siding);
    }
    return true;
}

static bool holds_what_was_durable(struct siding *siding)
{
    struct life *life = &siding->life;
    int64_t value = life_value(life->disk.path);
    const int64_t durable = siding->count > 0 ? siding->steps[siding->count - 1].value : 1;

    if (value >= durable && value <= durable + 1 && life_says(life, "kept", "kept"))
        return true;
    printf("# value %lld, not %lld\n", (long long)value, (long long)durable);
    return false;
}

static void end_at(size_t n, bool lands, bool wiped)
{
    struct siding siding;
    struct life *life = &siding.life;
    uint64_t first, position = 0;

    REQUIRE(siding_begin(&siding, 0));
    first = siding_newest_base(&siding, &position);
    REQUIRE(siding_step(&siding, 1));
    break_store(life, n, lands);
    REQUIRE(siding_ask(&siding));
    EXPECT(step_until_stuck(&siding));
    life_cut_off(life);
    store_fault_clear(life->faulty);
    if (wiped)
        life_wipe(life);
    REQUIRE(life_begin(life));
    EXPECT(holds_what_was_durable(&siding));
    engine_answered(life->engine);
    EXPECT(siding_step(&siding, 1));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    EXPECT(siding_agrees(&siding, first));
    life_tear_down(life);
}

TEST(a_life_that_ends_at_any_request_loses_nothing_that_was_durable)
{
    bool all = getenv("TEST_SWEEP") && strcmp(getenv("TEST_SWEEP"), "all") == 0;

    for (size_t n = 0; n < (size_t)REQUESTS * 4 && tap_failures == 0; n += all ? 1 : 4 * STRIDE + 1) {
        end_at(n / 4, n % 2 == 0, n / 2 % 2 == 0);
        if (tap_failures > 0)
            printf("# request %zu, which %s, and the disk was %s\n", n / 4, n % 2 == 0 ? "lands" : "does not",
                   n / 2 % 2 == 0 ? "wiped" : "kept");
    }
}

TAP_MAIN()
