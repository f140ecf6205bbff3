/* Retention: which base is the horizon (docs/DESIGN.md, Retention). Bases are announced by hand, one after
 * the other, at times of our own. */
#include "tests/unit/retain_bench.h"

TEST(the_first_base_is_its_own_horizon_and_short_lives_keep_the_oldest)
{
    struct bench bench;

    set_up(&bench);
    EXPECT_INT(announce(&bench, 10 * HOUR_MS, NULL), 2);
    EXPECT_INT(bench.retain.horizon, 2);
    EXPECT_INT(announce(&bench, 10 * HOUR_MS, NULL), 3);
    EXPECT_INT(bench.retain.horizon, 2);
    prune(&bench);
    EXPECT_INT(count(&bench, "base/"), 2);
    tear_down(&bench);
}

TEST(the_horizon_is_the_newest_base_older_than_the_retention_and_never_falls)
{
    struct bench bench;

    set_up(&bench);
    for (int at = 0; at < 6; at++)
        (void)announce(&bench, 2 * HOUR_MS, NULL); /* records 2 to 7; the last at hour 5 */
    EXPECT_INT(bench.retain.horizon, 5);           /* hour 3 */
    (void)announce(&bench, 100 * HOUR_MS, NULL);
    EXPECT_INT(bench.retain.horizon, 5);
    bench.ledger.now_ns -= 50 * HOUR_NS; /* a clock that is set back */
    (void)announce(&bench, 2 * HOUR_MS, NULL);
    EXPECT_INT(bench.retain.horizon, 5);
    tear_down(&bench);
}

TEST(a_retention_of_nothing_leaves_the_newest_base_and_the_opens)
{
    struct bench bench;

    set_up(&bench);
    for (int life = 0; life < 3; life++) {
        for (int at = 0; at < 4; at++)
            (void)announce(&bench, 0, NULL);
        prune(&bench);
        next_owner(&bench);
        prune(&bench); /* learns what there is */
    }
    (void)announce(&bench, 0, NULL);
    prune(&bench);
    EXPECT_INT(count(&bench, "base/"), 1);
    EXPECT_INT(count(&bench, "part/"), 2);
    EXPECT_INT(count(&bench, "log/"), 4 + 1); /* four opens, and the newest base record */
    tear_down(&bench);
}

TEST(an_owner_that_does_not_know_all_bases_yet_deletes_nothing)
{
    struct bench bench;
    bool done = false;

    set_up(&bench);
    for (int at = 0; at < 100; at++)
        (void)announce(&bench, 1000 * HOUR_MS, NULL);
    next_owner(&bench);
    (void)announce(&bench, HOUR_MS, NULL); /* would allow 98 to go, if they were known */
    EXPECT_INT(bench.retain.horizon, 2);
    for (int at = 0; at < 2; at++) {
        (void)prune_some(&bench, &done);
        EXPECT(!done);
        EXPECT_INT(count(&bench, "log/"), 103);
        EXPECT_INT(count(&bench, "base/"), 101);
    }
    prune(&bench);
    EXPECT_INT(count(&bench, "base/"), 101);
    (void)announce(&bench, HOUR_MS, NULL);
    EXPECT(bench.retain.horizon > 100);
    prune(&bench);
    EXPECT_INT(count(&bench, "base/"), 2);
    EXPECT_INT(count(&bench, "part/"), 4);
    tear_down(&bench);
}

TAP_MAIN()
