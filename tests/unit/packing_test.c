/* Records move into packs: all of them can be read at every instant, and nothing else changes. */
#include "snapshot/packing.h"

#include "snapshot/archive.h"
#include "tests/double/history.h"
#include "tests/double/store_fault.h"
#include "tests/tap.h"

struct bench {
    struct history history;
    struct store *faulty;
    struct pool *pool;
    struct packing packing;
};

/* Another process takes over. */
static void next_owner(struct bench *bench)
{
    struct removal removal = {.store = bench->faulty, .pool = bench->pool};

    packing_init(&bench->packing, &removal, &bench->history.lineage);
}

static void set_up(struct bench *bench)
{
    struct err err = {0};

    history_begin(&bench->history);
    bench->faulty = store_fault_new(bench->history.mem);
    REQUIRE_OK(pool_open(8, "test", &bench->pool, &err), &err);
    next_owner(bench);
}

static void tear_down(struct bench *bench)
{
    pool_free(bench->pool);
    store_free(bench->faulty);
    history_end(&bench->history);
}

static struct chain_anchor below_head(const struct bench *bench)
{
    uint64_t position = history_head(&bench->history) - 1;

    return (struct chain_anchor){position, bench->history.hashes[position]};
}

static bool run(struct bench *bench, struct err *err)
{
    struct chain_anchor through = below_head(bench);

    return packing_run(&bench->packing, &through, err);
}

#define RUN(bench)                             \
    do {                                       \
        struct err err_ = {0};                 \
        EXPECT_OK(run((bench), &err_), &err_); \
    } while (0)

/* All records, as a restore reads them. */
static bool is_whole(struct bench *bench)
{
    struct chain_range range = history_range(&bench->history, 0, history_head(&bench->history));
    struct chain_listing listing = {0};
    struct chain *chain = NULL;
    struct record record;
    struct err err = {0};
    bool end = false, whole;

    range.anchors[0] = (struct chain_anchor){0};
    whole = chain_list(bench->history.mem, 0, range.through, &listing, &err) &&
            chain_open(bench->history.mem, &range, &listing, &chain, &err);
    while (whole && !end)
        whole = chain_next(chain, &record, &end, &err);
    chain_free(chain);
    chain_listing_clear(&listing);
    if (!whole)
        printf("# %s\n", err.text);
    return whole;
}

static size_t count(const struct bench *bench, const char *prefix)
{
    return store_mem_count(bench->history.mem, prefix);
}

TEST(nothing_is_packed_before_a_pack_is_full)
{
    struct bench bench;

    set_up(&bench);
    history_work(&bench.history, 255, 10);
    RUN(&bench);
    EXPECT_INT(count(&bench, "pack/"), 0);
    history_work(&bench.history, 1, 10); /* 257: 256 below the newest */
    RUN(&bench);
    EXPECT_INT(count(&bench, "pack/"), 1);
    EXPECT_INT(count(&bench, "log/"), 2); /* the open and the newest */
    EXPECT(is_whole(&bench));
    tear_down(&bench);
}

TEST(runs_go_on_where_the_one_before_has_ended)
{
    struct bench bench;

    set_up(&bench);
    for (int round = 0; round < 4; round++) {
        history_work(&bench.history, 100, 10);
        history_fill(&bench.history, 1, 10);
        history_work(&bench.history, 160, 10);
        RUN(&bench);
        EXPECT(is_whole(&bench));
        EXPECT_INT(count(&bench, "pack/"), round + 1);
    }
    /* 1045 records: 1024 packed, 21 not, and 5 opens of which the first 4 are packed too. */
    EXPECT_INT(count(&bench, "log/"), 21 + 5);
    tear_down(&bench);
}

TEST(many_records_that_were_left_take_several_runs)
{
    struct bench bench;

    set_up(&bench);
    history_work(&bench.history, 1400, 10);
    RUN(&bench);
    EXPECT_INT(count(&bench, "pack/"), 4);
    RUN(&bench);
    EXPECT_INT(count(&bench, "pack/"), 5);
    EXPECT_INT(count(&bench, "log/"), 1401 - 5 * 256 + 1);
    EXPECT(is_whole(&bench));
    tear_down(&bench);
}

/* 4 MiB make a pack; what fills one alone stays where it is. */
TEST(large_records_close_a_pack_early_or_stay_loose)
{
    struct bench bench;
    CLEANUP(freep) uint8_t *body = xcalloc(1, 5 << 20);
    struct log_change change = {.kind = RECORD_DATA, .body = body, .changes_data = true};

    set_up(&bench);
    for (int at = 0; at < 3; at++) {
        change.body_size = 3 << 19;
        for (int each = 0; each < 3; each++)
            (void)history_append(&bench.history, &change);
        change.body_size = 5 << 20;
        (void)history_append(&bench.history, &change);
    }
    history_work(&bench.history, 300, 10);
    RUN(&bench);
    EXPECT(is_whole(&bench));
    /* The open goes with two of 1.5 MiB; the third stays alone each time but the first, when it stays too. */
    EXPECT_INT(count(&bench, "pack/"), 4);
    EXPECT(count(&bench, "log/") < 60);
    tear_down(&bench);
}

/* Every request fails once, at every place; whoever comes next finishes. */
TEST(what_fails_leaves_every_record_readable_and_is_finished_by_the_next)
{
    for (size_t failing = 0; failing < 600; failing += failing < 20 ? 1 : 37) {
        struct bench bench;
        struct err err = {0};
        bool packed;
        set_up(&bench);
        history_work(&bench.history, 300, 10);
        store_fault_add(bench.faulty, &(struct store_fault){.skip = failing,
                                                            .kind = failing % 2 ? FAULT_AFTER : FAULT_BEFORE,
                                                            .code = ERR_TRANSIENT});
        packed = run(&bench, &err);
        EXPECT(packed || err.code == ERR_TRANSIENT);
        EXPECT(is_whole(&bench));
        store_fault_clear(bench.faulty);
        if (failing % 3)
            next_owner(&bench);
        history_work(&bench.history, 256, 10);
        RUN(&bench);
        EXPECT(is_whole(&bench));
        EXPECT_INT(count(&bench, "log/"), 557 - 512 + 1);
        EXPECT(count(&bench, "pack/") >= 2);
        tear_down(&bench);
    }
}

TEST(a_log_that_does_not_hold_together_keeps_its_loose_records)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct bench bench;
    struct record record;
    struct digest hash;
    struct err err = {0};

    set_up(&bench);
    history_work(&bench.history, 300, 10);
    REQUIRE_OK(log_read(bench.history.mem, &bench.history.lineage, 290, &bytes, &record, &err), &err);
    record.header.time_ns++;
    {
        CLEANUP(buf_clearp) struct buf forged = BUF_INIT(RECORD_SIZE_MAX);
        record_encode(&record.header, record.body, record.body_size, &forged, &hash);
        history_replace(&bench.history, 290, &forged);
    }
    EXPECT(!run(&bench, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_INT(count(&bench, "log/"), 301);
    tear_down(&bench);
}

TEST(a_stop_ends_it)
{
    struct bench bench;
    atomic_bool stopped = true;
    struct err err = {0};

    set_up(&bench);
    history_work(&bench.history, 300, 10);
    bench.packing.removal.canceled = &stopped;
    EXPECT(!run(&bench, &err));
    EXPECT_INT(err.code, ERR_CANCELED);
    EXPECT(is_whole(&bench));
    tear_down(&bench);
}

TAP_MAIN()
