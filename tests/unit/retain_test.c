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

/* --- a base record that can't be read ---------------------------------------------------------------- */

/* Records 2 to 8, an hour apart by their own times too. */
static void announce_seven(struct bench *bench)
{
    for (int at = 0; at < 7; at++) {
        bench->ledger.log.newest.time_ns = bench->ledger.now_ns;
        (void)announce(bench, 1000 * HOUR_MS, NULL);
    }
}

/* Seven bases before an owner that has to learn them; record `lost` is nothing
 * that can be read. */
static void set_up_lost(struct bench *bench, uint64_t lost, bool missing)
{
    struct err err = {0};

    set_up(bench);
    announce_seven(bench);
    if (missing)
        EXPECT_OK(store_delete(bench->ledger.mem, key_log(lost).text, &err), &err);
    else
        ledger_put(&bench->ledger, key_log(lost).text);
    next_owner(bench);
    EXPECT_OK(retain_learn(&bench->retain, &err), &err);
    EXPECT_INT(bench->retain.before, 0);
    EXPECT_INT(bench->retain.damage.code, ERR_CORRUPT);
    EXPECT(strstr(bench->retain.damage.text, key_log(lost).text) != NULL);
}

TEST(the_horizon_moves_past_a_lost_base_record_and_never_to_it)
{
    for (uint64_t lost = 2; lost <= 8; lost++)
        for (int hours = 1; hours < 8; hours++) {
            struct bench bench;
            uint64_t whole, horizon;
            set_up_lost(&bench, lost, hours % 2 == 0);
            /* It is hour 7 now. Those at hour `hours` and before are old enough. */
            whole = hours < 7 ? 2 + (uint64_t)hours : 8;
            horizon = retain_horizon(&bench.retain, 10, bench.ledger.now_ns,
                                     (uint64_t)(7 - hours) * HOUR_MS + (hours == 7));
            EXPECT_INT(horizon, whole != lost ? whole : lost == 2 ? 2 : lost - 1);
            tear_down(&bench);
        }
}

/* Whether the manifest of the base that was announced by record `record` would be swept. */
static bool is_kept(struct bench *bench, uint64_t record, const struct id *owner)
{
    return retain_announces(&bench->retain, record - 1, owner, NULL);
}

TEST(what_a_lost_base_record_may_have_announced_stays)
{
    struct bench bench;
    struct id stranger = id_random();

    for (uint64_t lost = 2; lost <= 8; lost++) {
        set_up_lost(&bench, lost, false);
        for (uint64_t record = 2; record <= 8; record++)
            EXPECT(is_kept(&bench, record, &stranger) == (record == lost));
        tear_down(&bench);
    }
}

TEST(below_two_lost_records_in_a_row_everything_stays)
{
    struct bench bench;
    struct id stranger = id_random();
    struct err err = {0};

    set_up(&bench);
    announce_seven(&bench);
    ledger_put(&bench.ledger, key_log(5).text);
    ledger_put(&bench.ledger, key_log(6).text);
    next_owner(&bench);
    EXPECT_OK(retain_learn(&bench.retain, &err), &err);
    EXPECT_INT(bench.retain.before, 0);
    for (uint64_t record = 2; record <= 8; record++)
        EXPECT(is_kept(&bench, record, &stranger) == (record <= 6));
    EXPECT_INT(retain_horizon(&bench.retain, 10, bench.ledger.now_ns, 3 * HOUR_MS), 2);
    EXPECT_INT(retain_horizon(&bench.retain, 10, bench.ledger.now_ns, HOUR_MS), 8);
    tear_down(&bench);
}

TEST(pruning_goes_on_past_a_lost_base_record)
{
    for (uint64_t lost = 2; lost <= 8; lost++) {
        struct bench bench;
        set_up_lost(&bench, lost, false);
        (void)announce(&bench, 0, NULL);
        prune(&bench);
        EXPECT_INT(count(&bench, "base/"), 1);
        EXPECT_INT(count(&bench, "part/"), 2);
        EXPECT(ledger_has(&bench.ledger, key_log(lost).text)); /* it may be an open */
        EXPECT_INT(count(&bench, "log/"), 2 + 1 + 1);
        tear_down(&bench);
    }
}

TEST(a_store_that_is_away_is_no_damage)
{
    struct bench bench;
    struct err err = {0};

    set_up(&bench);
    (void)announce(&bench, 1000 * HOUR_MS, NULL);
    next_owner(&bench);
    store_fault_add(bench.ledger.faulty,
                    &(struct store_fault){.operation = "get", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    EXPECT(!retain_learn(&bench.retain, &err));
    EXPECT_INT(err.code, ERR_TRANSIENT);
    EXPECT_INT(bench.retain.damage.code, ERR_NONE);
    EXPECT_INT(bench.retain.before, 2);
    tear_down(&bench);
}

TAP_MAIN()
