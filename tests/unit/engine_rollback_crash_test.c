/* A roll-back that ends at any of its store requests, whether that one landed or not, is carried out by the
 * next start: once, and nothing local is lost. make check takes every few of the requests; TEST_SWEEP=all
 * takes all. */
#include "snapshot/engine.h"

#include "snapshot/reader.h"
#include "tests/double/past.h"
#include "tests/tap.h"

enum { STEP = 5, REQUESTS_MAX = 500 };

/* After so many requests nothing reaches the store; landed: but one more does, and its answer is lost. */
static void die_after(struct life *life, size_t requests, bool landed)
{
    if (landed)
        store_fault_add(
            life->faulty,
            &(struct store_fault){.skip = requests, .times = 1, .kind = FAULT_AFTER, .code = ERR_DENIED});
    store_fault_add(life->faulty,
                    &(struct store_fault){.skip = requests, .kind = FAULT_BEFORE, .code = ERR_DENIED});
}

static bool count_roll_back(void *context, const struct reader_point *point)
{
    size_t *count = context;

    *count += point->taken_from > 0;
    return true;
}

static size_t roll_backs(struct life *life)
{
    size_t count = 0;
    struct err err = {0};

    EXPECT_OK(reader_list(life->mem, count_roll_back, &count, &err), &err);
    return count;
}

/* One roll-back that is cut short, on a disk that holds something or is empty, and the start after it. False
 * if there were fewer requests. */
static bool die_once(struct past *past, size_t requests, bool landed, unsigned round)
{
    struct life *life = &past->life;
    int version = round % 2 == 0 ? 1 : 2; /* never the value before */
    bool warm = round % 4 < 2, begun;
    char mine[32];

    (void)snprintf(mine, sizeof(mine), "not shipped in round %u", round);
    if (!warm)
        life_wipe(life);
    if (warm)
        scratch_write(life->disk.fd, "mine", mine);
    past_ask_for(past, POINT_RECORD, past->record[version]);
    die_after(life, requests, landed);
    begun = life_try_begin(life);
    if (!begun)
        EXPECT_INT(life->status.err.code, ERR_DENIED);
    life_cut_off(life);
    store_fault_clear(life->faulty);
    EXPECT(life_begin(life));
    EXPECT(life->status.roll_back != ROLL_BACK_NONE);
    EXPECT(past_holds(past, version == 1 ? "one" : "two", version));
    EXPECT(!warm || life_is_aside(life, "mine", mine));
    life_cut_off(life);
    EXPECT_INT(roll_backs(life), round + 1);
    return !begun;
}

static void sweep(bool landed, size_t first)
{
    const char *all = getenv("TEST_SWEEP");
    size_t step = all ? 1 : STEP;
    struct past past;
    unsigned round = 0;
    int before = tap_failures;

    tap_allow_ms(600 * 1000);
    REQUIRE(past_set_up(&past));
    for (size_t requests = all ? 0 : first; requests < REQUESTS_MAX; requests += step) {
        if (!die_once(&past, requests, landed, round++))
            break;
        if (tap_failures > before) {
            printf("# … after %zu requests\n", requests);
            break;
        }
    }
    printf("# %u roll-backs\n", round);
    EXPECT(round > 3);
    EXPECT(past_restores(&past, past.record[3], "three"));
    past_tear_down(&past);
}

TEST(a_roll_back_that_is_cut_off_before_a_request_is_done_by_the_next_start)
{
    sweep(false, 3);
}

TEST(a_roll_back_that_is_cut_off_behind_a_request_is_done_by_the_next_start)
{
    sweep(true, 7);
}

static void refuse_bases(struct life *life)
{
    store_fault_add(
        life->faulty,
        &(struct store_fault){.operation = "put", .key = "base/", .kind = FAULT_BEFORE, .code = ERR_DENIED});
}

TEST(attempts_that_fail_again_and_again_push_nothing_out_that_was_local)
{
    struct past past;
    struct life *life = &past.life;

    REQUIRE(past_set_up(&past));
    scratch_write(life->disk.fd, "mine", "not shipped");
    past_ask_for(&past, POINT_RECORD, past.record[2]);
    refuse_bases(life);
    for (int attempt = 0; attempt < 5; attempt++)
        EXPECT(life_refuses(life, ERR_DENIED, "base/"));
    store_fault_clear(life->faulty);
    REQUIRE(past_starts(&past, ROLL_BACK_DONE));
    EXPECT(life_is_aside(life, "mine", "not shipped"));
    past_tear_down(&past);
}

TEST(who_gives_up_a_roll_back_that_failed_has_the_newest_state_again)
{
    struct past past;
    struct life *life = &past.life;

    REQUIRE(past_set_up(&past));
    past_ask_for(&past, POINT_RECORD, past.record[2]);
    refuse_bases(life);
    EXPECT(life_refuses(life, ERR_DENIED, "base/"));
    store_fault_clear(life->faulty);
    past_ask_for(&past, POINT_NONE, 0);
    REQUIRE(past_starts(&past, ROLL_BACK_NONE));
    EXPECT(past_holds(&past, "three", 3));
    past_tear_down(&past);
}

TAP_MAIN()
