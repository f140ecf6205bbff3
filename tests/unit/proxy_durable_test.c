#include "proxy/durable.h"

#include "tests/tap.h"

static uint64_t now;
static unsigned told;
static char released[16];

static uint64_t position_now(void *context)
{
    (void)context;
    return now;
}

static void waiting(void *context)
{
    (void)context;
    told++;
}

static struct durable durable;

struct named {
    struct hold hold;
    char name;
};

static void note(struct hold *hold)
{
    released[strlen(released)] = LIST_ENTRY(hold, struct named, hold)->name;
}

static void begin(bool gated)
{
    const struct proxy_durability source = {.gated = gated, .position_now = position_now, .waiting = waiting};

    durable_init(&durable, &source);
}

static enum hold_state hold_at(struct named *named, char name, uint64_t position)
{
    hold_init(&named->hold, note);
    named->name = name;
    now = position;
    return durable_hold(&durable, &named->hold);
}

TEST(without_a_gate_nothing_waits)
{
    struct named one;

    begin(false);
    EXPECT_INT(hold_at(&one, 'a', UINT64_MAX), HOLD_OPEN);
    EXPECT(!durable_advance(&durable, 1));
}

TEST(what_is_durable_already_does_not_wait)
{
    struct named one;

    begin(true);
    EXPECT_INT(hold_at(&one, 'a', 0), HOLD_OPEN);
    EXPECT(!durable_advance(&durable, 3));
    EXPECT_INT(hold_at(&one, 'a', 3), HOLD_OPEN);
    EXPECT_INT(told, 0);
}

TEST(holds_open_in_order_and_only_as_far_as_the_position)
{
    struct named holds[4];

    begin(true);
    for (unsigned at = 0; at < 4; at++)
        EXPECT_INT(hold_at(&holds[at], (char)('a' + at), 2 + at / 2 * 2), HOLD_WAITING);
    EXPECT_INT(durable.count, 4);
    EXPECT_INT(told, 1);
    EXPECT(durable_advance(&durable, 1));
    durable_release(&durable);
    EXPECT_STR(released, "");
    EXPECT(durable_advance(&durable, 3));
    durable_release(&durable);
    EXPECT_STR(released, "ab");
    EXPECT(durable_advance(&durable, 2)); /* never back */
    durable_release(&durable);
    EXPECT_INT(holds[2].hold.state, HOLD_WAITING);
    EXPECT(durable_advance(&durable, 4));
    durable_release(&durable);
    EXPECT_STR(released, "abcd");
    EXPECT_INT(durable.count, 0);
    EXPECT(!durable_advance(&durable, 5)); /* nobody waits: no event is needed */
}

TEST(what_is_forgotten_is_not_told)
{
    struct named one, other;

    begin(true);
    EXPECT_INT(hold_at(&one, 'a', 1), HOLD_WAITING);
    EXPECT_INT(hold_at(&other, 'b', 1), HOLD_WAITING);
    durable_forget(&durable, &one.hold);
    durable_forget(&durable, &one.hold);
    EXPECT(durable_advance(&durable, 1));
    durable_release(&durable);
    EXPECT_STR(released, "b");
}

TEST(holding_again_moves_to_the_end_of_the_queue)
{
    struct named one, other;

    begin(true);
    EXPECT_INT(hold_at(&one, 'a', 1), HOLD_WAITING);
    EXPECT_INT(hold_at(&other, 'b', 2), HOLD_WAITING);
    now = 3;
    EXPECT_INT(durable_hold(&durable, &one.hold), HOLD_WAITING);
    EXPECT_INT(durable.count, 2);
    EXPECT(durable_advance(&durable, 2));
    durable_release(&durable);
    EXPECT_STR(released, "b");
    EXPECT(durable_advance(&durable, 3));
    durable_release(&durable);
    EXPECT_STR(released, "ba");
}

TEST(failing_fails_what_waits_and_what_would)
{
    struct named one, other;

    begin(true);
    EXPECT_INT(hold_at(&one, 'a', 1), HOLD_WAITING);
    durable_fail(&durable, true);
    EXPECT_INT(one.hold.state, HOLD_FAILED);
    EXPECT_STR(released, "a");
    EXPECT_INT(hold_at(&other, 'b', 1), HOLD_FAILED);
    EXPECT_INT(hold_at(&other, 'b', 0), HOLD_OPEN);
    durable_fail(&durable, false);
    EXPECT_INT(hold_at(&other, 'b', 1), HOLD_WAITING);
}

TAP_MAIN()
