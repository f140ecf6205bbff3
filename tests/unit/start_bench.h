/* Claimants over a store that fails as told: for the tests of start.h. */
#ifndef TESTS_UNIT_START_BENCH_H
#define TESTS_UNIT_START_BENCH_H

#include "snapshot/start.h"

#include "base/clock.h"
#include "snapshot/identity.h"
#include "snapshot/store/config.h"
#include "tests/double/store_fault.h"
#include "tests/double/store_mem.h"
#include "tests/tap.h"

struct bench {
    struct store *mem;
    struct store *faulty;
    struct store *retry;
    struct pool *pool;
    struct engine_config config;
    struct start start;
};

static inline void say_nothing(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static inline void open_start(struct bench *bench, struct start *start)
{
    *start = (struct start){.config = &bench->config,
                            .store = bench->retry,
                            .pool = bench->pool,
                            .owner = id_random(),
                            .step = say_nothing,
                            .warn = say_nothing};
    start_init(start);
}

static inline bool set_up(struct bench *bench)
{
    struct err err = {0};

    *bench = (struct bench){.mem = store_mem_new()};
    bench->faulty = store_fault_new(bench->mem);
    bench->retry = store_retry(bench->faulty, 500, NULL);
    bench->config = (struct engine_config){
        .store = bench->faulty, .version = "test", .start_timeout_ms = 3000, .takeover_wait_ms = 400};
    open_start(bench, &bench->start);
    return pool_open(8, "test", &bench->pool, &err) && (bench->start.pool = bench->pool);
}

static inline void tear_down(struct bench *bench)
{
    start_clear(&bench->start);
    pool_free(bench->pool);
    store_free(bench->retry);
    store_free(bench->faulty);
    store_free(bench->mem);
}

static inline bool take_over(struct bench *bench, struct start *start, enum start_verdict *verdict,
                             struct err *err)
{
    start->pool = bench->pool;
    return start_survey(start, true, NULL, NULL, err) && start_claim(start, err) &&
           start_confirm(start, verdict, err);
}

static inline bool append(struct start *start, enum record_kind kind, uint64_t until_ns)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(64);
    struct log_change change = {.kind = kind, .draining_until_ns = until_ns};
    struct err err = {0};

    if (kind == RECORD_DRAIN)
        drain_body_encode(until_ns, &body);
    change.body = body.bytes;
    change.body_size = body.size;
    log_freeze(&start->log, &start->owner, &change);
    return log_send(&start->log, &err) || (printf("# %s\n", err.text), false);
}

#endif
