/* Pruning: what is deleted below the horizon, and what never is (protocol.md: P2, H1). */
#include "base/clock.h"
#include "tests/unit/retain_bench.h"

struct told {
    atomic_size_t count;
};

static void tell(void *context, const char *key)
{
    struct told *told = context;

    (void)key;
    atomic_fetch_add(&told->count, 1);
}

TEST(everything_of_bases_below_the_horizon_goes_and_nothing_else)
{
    struct bench bench;
    struct blob_name gone = {1, {{1}}}, kept = {3, {{2}}};
    char *gone_key = xstrdup(key_blob(gone.tag, &gone.content).text);
    char *kept_key = xstrdup(key_blob(kept.tag, &kept.content).text);

    set_up(&bench);
    ledger_put(&bench.ledger, gone_key);
    ledger_put(&bench.ledger, kept_key);
    (void)announce(&bench, 2 * HOUR_MS, NULL);
    (void)announce(&bench, 2 * HOUR_MS, &gone);
    (void)announce(&bench, 2 * HOUR_MS, NULL);
    (void)announce(&bench, 2 * HOUR_MS, &kept);
    EXPECT_INT(bench.retain.horizon, 3);
    prune(&bench);
    EXPECT_INT(count(&bench, "base/"), 3);
    EXPECT_INT(count(&bench, "part/"), 6);
    EXPECT(!ledger_has(&bench.ledger, gone_key));
    EXPECT(ledger_has(&bench.ledger, kept_key));
    /* log/1 is an open, log/2 lies at or below S of the base at the horizon. */
    EXPECT_INT(count(&bench, "log/"), 4);
    EXPECT(ledger_has(&bench.ledger, key_log(1).text));
    EXPECT(!ledger_has(&bench.ledger, key_log(2).text));
    free(gone_key);
    free(kept_key);
    tear_down(&bench);
}

TEST(what_one_owner_leaves_undone_the_next_one_finishes)
{
    for (size_t failing = 0; failing < 40; failing++) {
        struct bench bench;
        bool done = false;
        struct err err;
        set_up(&bench);
        for (int at = 0; at < 5; at++)
            (void)announce(&bench, 0, NULL);
        store_fault_add(bench.ledger.faulty, &(struct store_fault){.operation = "delete",
                                                                   .skip = failing,
                                                                   .kind = FAULT_BEFORE,
                                                                   .code = ERR_TRANSIENT});
        for (int step = 0; step < 20 && !done; step++)
            err = prune_some(&bench, &done);
        if (!done)
            EXPECT_INT(err.code, ERR_TRANSIENT);
        store_fault_clear(bench.ledger.faulty);
        next_owner(&bench);
        prune(&bench);
        EXPECT_INT(count(&bench, "base/"), 1);
        EXPECT_INT(count(&bench, "part/"), 2);
        /* The open of the first, the newest base record, the open of the second; below S nothing else. */
        EXPECT_INT(count(&bench, "log/"), 3);
        tear_down(&bench);
    }
}

TEST(pruning_goes_in_steps_of_bounded_size)
{
    struct bench bench;
    bool done = false;
    size_t before;

    set_up(&bench);
    for (int at = 0; at < 300; at++)
        (void)announce(&bench, 1000 * HOUR_MS, NULL);
    (void)announce(&bench, 0, NULL);
    for (int step = 0; !done && step < 200; step++) {
        struct err err;
        before = store_fault_count(bench.ledger.faulty, NULL, NULL);
        err = prune_some(&bench, &done);
        EXPECT_STR(err.text, "");
        EXPECT(store_fault_count(bench.ledger.faulty, NULL, NULL) - before <= 150);
    }
    EXPECT(done);
    EXPECT_INT(count(&bench, "log/"), 2);
    tear_down(&bench);
}

TEST(what_is_done_costs_no_request)
{
    struct bench bench;
    size_t before;
    bool done = false;

    set_up(&bench);
    for (int at = 0; at < 5; at++)
        (void)announce(&bench, 2 * HOUR_MS, NULL);
    prune(&bench);
    before = store_fault_count(bench.ledger.faulty, NULL, NULL);
    (void)prune_some(&bench, &done);
    EXPECT(done);
    EXPECT_INT(store_fault_count(bench.ledger.faulty, NULL, NULL), before);
    tear_down(&bench);
}

TEST(each_record_is_read_once_before_it_goes)
{
    struct bench bench;

    set_up(&bench);
    for (int at = 0; at < 20; at++)
        (void)announce(&bench, 1000 * HOUR_MS, NULL);
    (void)announce(&bench, 0, NULL);
    prune(&bench);
    /* Each base record for what it dropped, the one at the horizon for S, and log/1, which is an open. */
    EXPECT_INT(store_fault_count(bench.ledger.faulty, "get", "log/"), 20 + 1 + 1);
    tear_down(&bench);
}

TEST(a_record_that_can_not_be_read_stays_since_it_may_be_an_open)
{
    struct bench bench;

    set_up(&bench);
    for (int at = 0; at < 3; at++)
        (void)announce(&bench, 1000 * HOUR_MS, NULL);
    next_owner(&bench);
    ledger_put(&bench.ledger, key_log(1).text); /* overwritten by something that is no record */
    prune(&bench);
    (void)announce(&bench, 0, NULL);
    prune(&bench);
    EXPECT(ledger_has(&bench.ledger, key_log(1).text));
    EXPECT(!ledger_has(&bench.ledger, key_log(2).text));
    tear_down(&bench);
}

TEST(unannounced_objects_below_the_horizon_go_and_those_at_it_stay)
{
    struct bench bench;
    struct id stranger = id_random();
    uint64_t at;

    set_up(&bench);
    (void)announce(&bench, 1000 * HOUR_MS, NULL);
    (void)announce(&bench, 1000 * HOUR_MS, NULL);
    at = announce(&bench, 0, NULL) - 1; /* its base stands right below its record */
    ledger_put(&bench.ledger, key_part(at - 1, &stranger, 1).text);
    ledger_put(&bench.ledger, key_base(at - 1, &stranger, 2).text);
    ledger_put(&bench.ledger, key_part(at, &stranger, 3).text);
    ledger_put(&bench.ledger, key_base(at, &stranger, 4).text);
    ledger_put(&bench.ledger, "part/not-of-ours");
    prune(&bench);
    EXPECT(!ledger_has(&bench.ledger, key_part(at - 1, &stranger, 1).text));
    EXPECT(!ledger_has(&bench.ledger, key_base(at - 1, &stranger, 2).text));
    EXPECT(ledger_has(&bench.ledger, key_part(at, &stranger, 3).text));
    EXPECT(ledger_has(&bench.ledger, key_base(at, &stranger, 4).text));
    EXPECT(ledger_has(&bench.ledger, "part/not-of-ours"));
    EXPECT_INT(count(&bench, "part/"), 2 + 1 + 1);
    tear_down(&bench);
}

TEST(a_horizon_that_is_no_base_is_damage_and_nothing_goes)
{
    struct bench bench;
    bool done = false;
    struct err err = {0};

    set_up(&bench);
    (void)announce(&bench, 0, NULL);
    (void)announce(&bench, 0, NULL);
    EXPECT(!prune_step(&bench.prune, 1, &done, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_INT(count(&bench, "base/"), 2);
    tear_down(&bench);
}

TEST(a_horizon_that_can_not_be_read_is_named_with_what_comes_of_it_and_nothing_goes)
{
    for (int missing = 0; missing < 2; missing++) {
        struct bench bench;
        bool done = false;
        uint64_t horizon;
        struct err err = {0};
        set_up(&bench);
        (void)announce(&bench, 0, NULL);
        horizon = announce(&bench, 0, NULL);
        if (missing)
            EXPECT_OK(store_delete(bench.ledger.mem, key_log(horizon).text, &err), &err);
        else
            ledger_put(&bench.ledger, key_log(horizon).text);
        EXPECT(!prune_step(&bench.prune, horizon, &done, &err));
        EXPECT_INT(err.code, missing ? ERR_NOT_FOUND : ERR_CORRUPT);
        EXPECT(strstr(err.text, key_log(horizon).text) != NULL);
        EXPECT(strstr(err.text, "until a newer base") != NULL);
        EXPECT_INT(count(&bench, "base/"), 2);
        tear_down(&bench);
    }
}

TEST(data_records_go_with_the_blobs_that_they_dropped_and_with_their_bulk)
{
    struct bench bench;
    struct blob_name gone = {2, {{1}}}, named = {2, {{2}}}, later = {2, {{3}}};
    uint64_t below, above;

    set_up(&bench);
    (void)announce(&bench, 1000 * HOUR_MS, NULL);
    below = ledger_append_data(&bench.ledger,
                               &(struct ledger_data){.named = &named, .dropped = &gone, .part = 70});
    ledger_put(&bench.ledger, key_part(below, &bench.ledger.owner, 70).text);
    (void)announce(&bench, 1000 * HOUR_MS, NULL);
    (void)announce(&bench, 0, NULL);
    above = ledger_append_data(&bench.ledger, &(struct ledger_data){.dropped = &later, .part = 71});
    ledger_put(&bench.ledger, key_part(above, &bench.ledger.owner, 71).text);
    ledger_put(&bench.ledger, key_blob(gone.tag, &gone.content).text);
    ledger_put(&bench.ledger, key_blob(named.tag, &named.content).text);
    ledger_put(&bench.ledger, key_blob(later.tag, &later.content).text);
    prune(&bench);
    EXPECT(!ledger_has(&bench.ledger, key_log(below).text));
    EXPECT(!ledger_has(&bench.ledger, key_part(below, &bench.ledger.owner, 70).text));
    EXPECT(!ledger_has(&bench.ledger, key_blob(gone.tag, &gone.content).text));
    EXPECT(ledger_has(&bench.ledger, key_blob(named.tag, &named.content).text));
    EXPECT(ledger_has(&bench.ledger, key_blob(later.tag, &later.content).text));
    EXPECT(ledger_has(&bench.ledger, key_log(above).text));
    EXPECT(ledger_has(&bench.ledger, key_part(above, &bench.ledger.owner, 71).text));
    tear_down(&bench);
}

/* H1: however late a stale owner appends, and whatever was pruned meanwhile, it meets its successor's open.
 */
TEST(a_stale_owner_that_appends_after_everything_was_pruned_is_fenced)
{
    struct bench bench;
    struct log stale;
    struct log_change drain = {.kind = RECORD_DRAIN, .draining_until_ns = 1};
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(64);
    struct id owner;
    struct err err = {0};

    set_up(&bench);
    (void)announce(&bench, 0, NULL);
    owner = bench.ledger.owner;
    log_init(&stale, bench.ledger.mem, bench.ledger.mem, &bench.ledger.log.newest.lineage);
    log_follow(&stale, &bench.ledger.log.newest, &bench.ledger.log.newest_hash);
    next_owner(&bench);
    prune(&bench); /* learns what there is */
    for (int at = 0; at < 10; at++)
        (void)announce(&bench, 0, NULL);
    prune(&bench);
    EXPECT_INT(count(&bench, "log/"), 3); /* two opens and the newest */
    drain_body_encode(1, &body);
    drain.body = body.bytes;
    drain.body_size = body.size;
    log_freeze(&stale, &owner, &drain);
    EXPECT(!log_send(&stale, &err));
    EXPECT_INT(err.code, ERR_FENCED);
    EXPECT_INT(count(&bench, "log/"), 3);
    log_clear(&stale);
    tear_down(&bench);
}

TEST(what_kind_of_record_is_not_understood_stays)
{
    struct bench bench;
    uint64_t pin;

    set_up(&bench);
    (void)announce(&bench, 0, NULL);
    pin = ledger_append(&bench.ledger, &(struct log_change){.kind = RECORD_PIN});
    (void)announce(&bench, 0, NULL);
    (void)announce(&bench, 0, NULL);
    prune(&bench);
    EXPECT(ledger_has(&bench.ledger, key_log(pin).text));
    EXPECT_INT(count(&bench, "log/"), 3);
    tear_down(&bench);
}

TEST(dry_pruning_tells_what_pruning_would_delete_and_deletes_nothing)
{
    struct bench bench;
    struct told dry = {0}, real = {0};
    struct removal_watch watch = {true, tell, &dry};
    size_t objects;
    bool done = false;
    struct err err = {0};

    set_up(&bench);
    for (int at = 0; at < 100; at++)
        (void)announce(&bench, 1000 * HOUR_MS, NULL);
    (void)announce(&bench, 0, NULL);
    objects = count(&bench, "");
    bench.prune.removal.watch = &watch;
    prune(&bench);
    EXPECT_INT(count(&bench, ""), objects);
    retain_clear(&bench.retain);
    begin(&bench);
    watch = (struct removal_watch){false, tell, &real};
    bench.prune.removal.watch = &watch;
    while (!done)
        REQUIRE(prune_step(&bench.prune, bench.ledger.log.newest.horizon, &done, &err));
    EXPECT_INT(count(&bench, ""), objects - 400);
    EXPECT_INT(atomic_load(&dry.count), 400);
    EXPECT_INT(atomic_load(&real.count), 400);
    tear_down(&bench);
}

TEST(a_stop_ends_pruning_between_two_requests)
{
    struct bench bench;
    atomic_bool canceled = true;
    bool done = false;
    struct err err;

    set_up(&bench);
    for (int at = 0; at < 5; at++)
        (void)announce(&bench, 0, NULL);
    bench.prune.removal.canceled = &canceled;
    err = prune_some(&bench, &done);
    EXPECT_INT(err.code, ERR_CANCELED);
    EXPECT_INT(count(&bench, "base/"), 5);
    atomic_store(&canceled, false);
    prune(&bench);
    EXPECT_INT(count(&bench, "base/"), 1);
    tear_down(&bench);
}

TAP_MAIN()
