/* Retention: the horizon, and what is deleted below it (docs/DESIGN.md, Packing and pruning; protocol.md: P1,
 * P2, H1). Bases are cut by hand, one after the other, at times of our own. */
#include "snapshot/retain.h"

#include "base/clock.h"
#include "tests/double/store_fault.h"
#include "tests/double/store_mem.h"
#include "tests/tap.h"

#define HOUR_NS (3600 * NS_PER_SECOND)
#define HOUR_MS UINT64_C(3600000)

struct bench {
    struct store *mem;
    struct store *faulty;
    struct pool *pool;
    struct id owner;
    struct log log;
    struct retain retain;
    uint64_t now_ns;
    uint64_t next_n;
};

static void open_log(struct bench *bench)
{
    struct log_change open = {.kind = RECORD_OPEN};
    struct err err = {0};

    bench->owner = id_random();
    log_freeze(&bench->log, &bench->owner, &open);
    EXPECT_OK(log_send(&bench->log, &err), &err);
    retain_init(&bench->retain, bench->faulty, bench->pool, NULL, &bench->log.newest);
}

static void set_up(struct bench *bench)
{
    struct id lineage = id_random();
    struct err err = {0};

    *bench = (struct bench){.mem = store_mem_new(), .next_n = 1};
    bench->now_ns = store_unix_ns(bench->mem);
    bench->faulty = store_fault_new(bench->mem);
    if (!pool_open(4, "test", &bench->pool, &err))
        abort();
    log_init(&bench->log, bench->faulty, bench->faulty, &lineage);
    open_log(bench);
}

/* The next owner: knows the head and nothing else. */
static void next_owner(struct bench *bench)
{
    retain_clear(&bench->retain);
    open_log(bench);
}

static void tear_down(struct bench *bench)
{
    retain_clear(&bench->retain);
    log_clear(&bench->log);
    pool_free(bench->pool);
    store_free(bench->faulty);
    store_free(bench->mem);
}

static void put(struct bench *bench, const char *key)
{
    struct err err = {0};

    EXPECT_OK(store_put(bench->mem, key, key, strlen(key), &err), &err);
}

static bool exists(struct bench *bench, const char *key)
{
    return store_mem_count(bench->mem, key) > 0;
}

/* Announces a base with two parts, an hour after the one before. */
static uint64_t announce(struct bench *bench, uint64_t retention_ms, struct blob_name *dropped)
{
    const struct record_header *newest = &bench->log.newest;
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(65536);
    struct retain_base base = {.record = newest->position + 1, .time_ns = bench->now_ns};
    struct base_reference reference = {.position = newest->position,
                                       .manifest = {{1}},
                                       .key = key_base(newest->position, &bench->owner, bench->next_n + 2)};
    uint64_t horizon = retain_horizon(&bench->retain, base.record, base.time_ns, retention_ms);
    struct base_body fields = {.flags = BASE_RESTARTS,
                               .lowest_position = newest->position,
                               .position = newest->position,
                               .manifest = reference.manifest,
                               .key = reference.key,
                               .previous_base = newest->base.announced,
                               .horizon = horizon,
                               .dropped = dropped,
                               .dropped_count = dropped != NULL};
    struct log_change change = {
        .kind = RECORD_BASE, .changes_data = true, .base = &reference, .horizon = horizon};
    struct err err = {0};

    put(bench, key_part(newest->position, &bench->owner, bench->next_n++).text);
    put(bench, key_part(newest->position, &bench->owner, bench->next_n++).text);
    put(bench, reference.key.text);
    bench->next_n++;
    base_body_encode(&fields, &body);
    change.body = body.bytes;
    change.body_size = body.size;
    log_freeze(&bench->log, &bench->owner, &change);
    EXPECT_OK(log_send(&bench->log, &err), &err);
    retain_add(&bench->retain, &base, horizon);
    bench->now_ns += HOUR_NS;
    return base.record;
}

static struct err prune_some(struct bench *bench, bool *ret_done)
{
    struct err err = {0};

    *ret_done = false;
    if (retain_learn(&bench->retain, &err))
        (void)!retain_prune(&bench->retain, bench->log.newest.position, ret_done, &err);
    return err;
}

/* As many steps as it takes. */
static int prune(struct bench *bench)
{
    bool done = false;
    int steps = 0;

    while (!done && steps++ < 1000) {
        struct err err = prune_some(bench, &done);
        EXPECT_STR(err.text, "");
    }
    return steps;
}

TEST(the_first_base_is_its_own_horizon_and_short_lives_keep_the_oldest)
{
    struct bench bench;

    set_up(&bench);
    EXPECT_INT(announce(&bench, 10 * HOUR_MS, NULL), 2);
    EXPECT_INT(bench.retain.horizon, 2);
    EXPECT_INT(announce(&bench, 10 * HOUR_MS, NULL), 3);
    EXPECT_INT(bench.retain.horizon, 2);
    prune(&bench);
    EXPECT_INT(store_mem_count(bench.mem, "base/"), 2);
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
    bench.now_ns -= 50 * HOUR_NS; /* a clock that is set back */
    (void)announce(&bench, 2 * HOUR_MS, NULL);
    EXPECT_INT(bench.retain.horizon, 5);
    tear_down(&bench);
}

TEST(everything_of_bases_below_the_horizon_goes_and_nothing_else)
{
    struct bench bench;
    struct blob_name gone = {1, {{1}}}, kept = {3, {{2}}};
    char *gone_key = xstrdup(key_blob(gone.tag, &gone.content).text);
    char *kept_key = xstrdup(key_blob(kept.tag, &kept.content).text);

    set_up(&bench);
    put(&bench, gone_key);
    put(&bench, kept_key);
    (void)announce(&bench, 2 * HOUR_MS, NULL);
    (void)announce(&bench, 2 * HOUR_MS, &gone);
    (void)announce(&bench, 2 * HOUR_MS, NULL);
    (void)announce(&bench, 2 * HOUR_MS, &kept);
    EXPECT_INT(bench.retain.horizon, 3);
    prune(&bench);
    EXPECT_INT(store_mem_count(bench.mem, "base/"), 3);
    EXPECT_INT(store_mem_count(bench.mem, "part/"), 6);
    EXPECT(!exists(&bench, gone_key));
    EXPECT(exists(&bench, kept_key));
    /* log/1 is an open, log/2 lies at or below S of the base at the horizon. */
    EXPECT_INT(store_mem_count(bench.mem, "log/"), 4);
    EXPECT(exists(&bench, key_log(1).text));
    EXPECT(!exists(&bench, key_log(2).text));
    free(gone_key);
    free(kept_key);
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
    EXPECT_INT(store_mem_count(bench.mem, "base/"), 1);
    EXPECT_INT(store_mem_count(bench.mem, "part/"), 2);
    EXPECT_INT(store_mem_count(bench.mem, "log/"), 4 + 1); /* four opens, and the newest base record */
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
        store_fault_add(bench.faulty, &(struct store_fault){.operation = "delete",
                                                            .skip = failing,
                                                            .kind = FAULT_BEFORE,
                                                            .code = ERR_TRANSIENT});
        for (int step = 0; step < 20 && !done; step++)
            err = prune_some(&bench, &done);
        if (!done)
            EXPECT_INT(err.code, ERR_TRANSIENT);
        store_fault_clear(bench.faulty);
        next_owner(&bench);
        prune(&bench);
        EXPECT_INT(store_mem_count(bench.mem, "base/"), 1);
        EXPECT_INT(store_mem_count(bench.mem, "part/"), 2);
        /* The open of the first, the newest base record, the open of the second; below S nothing else. */
        EXPECT_INT(store_mem_count(bench.mem, "log/"), 3);
        tear_down(&bench);
    }
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
        EXPECT_INT(store_mem_count(bench.mem, "log/"), 103);
        EXPECT_INT(store_mem_count(bench.mem, "base/"), 101);
    }
    prune(&bench);
    EXPECT_INT(store_mem_count(bench.mem, "base/"), 101);
    (void)announce(&bench, HOUR_MS, NULL);
    EXPECT(bench.retain.horizon > 100);
    prune(&bench);
    EXPECT_INT(store_mem_count(bench.mem, "base/"), 2);
    EXPECT_INT(store_mem_count(bench.mem, "part/"), 4);
    tear_down(&bench);
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
        before = store_fault_count(bench.faulty, NULL, NULL);
        err = prune_some(&bench, &done);
        EXPECT_STR(err.text, "");
        EXPECT(store_fault_count(bench.faulty, NULL, NULL) - before <= 150);
    }
    EXPECT(done);
    EXPECT_INT(store_mem_count(bench.mem, "log/"), 2);
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
    before = store_fault_count(bench.faulty, NULL, NULL);
    (void)prune_some(&bench, &done);
    EXPECT(done);
    EXPECT_INT(store_fault_count(bench.faulty, NULL, NULL), before);
    tear_down(&bench);
}

TEST(records_of_this_owner_are_not_read_before_they_go)
{
    struct bench bench;

    set_up(&bench);
    for (int at = 0; at < 20; at++)
        (void)announce(&bench, 1000 * HOUR_MS, NULL);
    (void)announce(&bench, 0, NULL);
    prune(&bench);
    /* Each base record once for what it names; log/1 because it may be, and is, an open. */
    EXPECT_INT(store_fault_count(bench.faulty, "get", "log/"), 20 + 1 + 1);
    tear_down(&bench);
}

TEST(a_record_that_can_not_be_read_stays_since_it_may_be_an_open)
{
    struct bench bench;

    set_up(&bench);
    for (int at = 0; at < 3; at++)
        (void)announce(&bench, 1000 * HOUR_MS, NULL);
    next_owner(&bench);
    put(&bench, key_log(1).text); /* overwritten by something that is no record */
    prune(&bench);
    (void)announce(&bench, 0, NULL);
    prune(&bench);
    EXPECT(exists(&bench, key_log(1).text));
    EXPECT(!exists(&bench, key_log(2).text));
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
    bench.retain.canceled = &canceled;
    err = prune_some(&bench, &done);
    EXPECT_INT(err.code, ERR_CANCELED);
    EXPECT_INT(store_mem_count(bench.mem, "base/"), 5);
    atomic_store(&canceled, false);
    prune(&bench);
    EXPECT_INT(store_mem_count(bench.mem, "base/"), 1);
    tear_down(&bench);
}

TAP_MAIN()
