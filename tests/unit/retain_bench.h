/* A ledger whose owner keeps and prunes: for retain_test.c and prune_test.c. */
#ifndef TESTS_UNIT_RETAIN_BENCH_H
#define TESTS_UNIT_RETAIN_BENCH_H

#include "snapshot/prune.h"
#include "snapshot/retain.h"
#include "tests/double/ledger.h"
#include "tests/tap.h"

struct bench {
    struct ledger ledger;
    struct retain retain;
    struct prune prune;
};

static inline void begin(struct bench *bench)
{
    struct ledger *ledger = &bench->ledger;

    retain_init(&bench->retain, ledger->faulty, &ledger->log.newest);
    prune_init(&bench->prune, &(struct removal){.store = ledger->faulty, .pool = ledger->pool},
               &ledger->log.newest.lineage);
}

static inline void set_up(struct bench *bench)
{
    ledger_set_up(&bench->ledger);
    begin(bench);
}

/* The next owner: knows the head and nothing else. */
static inline void next_owner(struct bench *bench)
{
    retain_clear(&bench->retain);
    ledger_open(&bench->ledger);
    begin(bench);
}

static inline void tear_down(struct bench *bench)
{
    retain_clear(&bench->retain);
    ledger_tear_down(&bench->ledger);
}

static inline size_t count(struct bench *bench, const char *prefix)
{
    return store_mem_count(bench->ledger.mem, prefix);
}

/* Announces a base, an hour after the one before. */
static inline uint64_t announce(struct bench *bench, uint64_t retention_ms, const struct blob_name *dropped)
{
    struct retain_base base = {.record = bench->ledger.log.newest.position + 1,
                               .time_ns = bench->ledger.now_ns};
    uint64_t horizon = retain_horizon(&bench->retain, base.record, base.time_ns, retention_ms);

    (void)ledger_announce(&bench->ledger, horizon, dropped);
    retain_add(&bench->retain, &base, horizon);
    return base.record;
}

static inline struct err prune_some(struct bench *bench, bool *ret_done)
{
    struct err err = {0};

    *ret_done = false;
    if (retain_learn(&bench->retain, &err) && bench->retain.before == 0)
        (void)!prune_step(&bench->prune, bench->retain.horizon, ret_done, &err);
    return err;
}

/* As many steps as it takes. */
static inline int prune(struct bench *bench)
{
    bool done = false;
    int steps = 0;

    while (!done && steps++ < 1000) {
        struct err err = prune_some(bench, &done);
        EXPECT_STR(err.text, "");
    }
    return steps;
}

#endif
