/* What came to nothing goes, and nothing that anybody may need (protocol.md: H5, P1, P2). */
#include "snapshot/sweep.h"

#include "base/clock.h"
#include "snapshot/reader.h"
#include "tests/double/ledger.h"
#include "tests/double/life_story.h"
#include "tests/double/reading.h"
#include "tests/tap.h"

struct bench {
    struct ledger ledger;
    struct retain retain;
    struct sweep sweep;
};

/* A new owner, which knows the head and nothing else. */
static void take_over(struct bench *bench)
{
    struct ledger *ledger = &bench->ledger;
    struct removal removal = {.store = ledger->faulty, .pool = ledger->pool};

    sweep_clear(&bench->sweep);
    retain_clear(&bench->retain);
    ledger_open(ledger);
    retain_init(&bench->retain, ledger->faulty, &ledger->log.newest);
    sweep_init(&bench->sweep, &removal, &bench->retain, &ledger->log.newest);
}

static void set_up(struct bench *bench)
{
    *bench = (struct bench){0};
    ledger_set_up(&bench->ledger);
}

static void tear_down(struct bench *bench)
{
    sweep_clear(&bench->sweep);
    retain_clear(&bench->retain);
    ledger_tear_down(&bench->ledger);
}

static struct err sweep_once(struct bench *bench, bool *ret_done)
{
    uint64_t newest = bench->ledger.log.newest.position;
    struct sweep_view view = {.newest = newest, .settled = newest};
    struct err err = {0};

    if (retain_learn(&bench->retain, &err) && bench->retain.before == 0)
        (void)!sweep_step(&bench->sweep, &view, ret_done, &err);
    return err;
}

/* As many steps as it takes. */
static int sweep_all(struct bench *bench)
{
    bool done = false;
    int steps = 0;

    while (!done && steps++ < 1000) {
        struct err err = sweep_once(bench, &done);
        EXPECT_STR(err.text, "");
    }
    return steps;
}

static size_t count(struct bench *bench, const char *prefix)
{
    return store_mem_count(bench->ledger.mem, prefix);
}

static void put(struct bench *bench, struct key key)
{
    ledger_put(&bench->ledger, key.text);
}

static bool has(struct bench *bench, struct key key)
{
    return ledger_has(&bench->ledger, key.text);
}

TEST(manifests_and_parts_that_no_base_record_announces_go_below_the_own_open_only)
{
    struct bench bench;
    struct id stranger = id_random();
    uint64_t own;

    set_up(&bench);
    for (int at = 0; at < 3; at++)
        (void)ledger_announce(&bench.ledger, 2, NULL); /* bases at 1, 2, 3 */
    for (uint64_t position = 1; position < 10; position++) {
        put(&bench, key_part(position, &stranger, 1));
        put(&bench, key_base(position, &stranger, 2));
    }
    take_over(&bench);
    own = bench.ledger.log.newest.position;
    EXPECT_INT(own, 5);
    sweep_all(&bench);
    for (uint64_t position = 1; position < 10; position++) {
        EXPECT_INT(has(&bench, key_part(position, &stranger, 1)), position >= own);
        EXPECT_INT(has(&bench, key_base(position, &stranger, 2)), position >= own);
    }
    EXPECT_INT(count(&bench, "base/"), 3 + 5);
    EXPECT_INT(count(&bench, "part/"), 6 + 5);
    tear_down(&bench);
}

/* H5: two attempts of one process at one position; the one that is announced stays. */
TEST(another_attempt_at_an_announced_position_goes_too)
{
    struct bench bench;
    struct id owner;

    set_up(&bench);
    owner = bench.ledger.owner;
    (void)ledger_announce(&bench.ledger, 2, NULL);
    put(&bench, key_base(1, &owner, 77));
    take_over(&bench);
    sweep_all(&bench);
    EXPECT(!has(&bench, key_base(1, &owner, 77)));
    EXPECT_INT(count(&bench, "base/"), 1);
    EXPECT_INT(count(&bench, "part/"), 2);
    tear_down(&bench);
}

/* P1: a stalled owner, whose successor has announced a base and is uploading another one. */
TEST(a_stalled_owner_does_not_touch_what_its_successor_made)
{
    struct bench bench;
    struct sweep_view view;
    bool done = false;
    uint64_t at;
    struct err err = {0};

    set_up(&bench);
    (void)ledger_announce(&bench.ledger, 2, NULL);
    take_over(&bench); /* knows the base at 1 */
    view = (struct sweep_view){.newest = bench.ledger.log.newest.position,
                               .settled = bench.ledger.log.newest.position};
    ledger_open(&bench.ledger);
    at = ledger_announce(&bench.ledger, 2, NULL);
    put(&bench, key_part(at, &bench.ledger.owner, 50));
    put(&bench, key_base(at, &bench.ledger.owner, 51));
    REQUIRE(retain_learn(&bench.retain, &err));
    while (!done)
        REQUIRE(sweep_step(&bench.sweep, &view, &done, &err));
    EXPECT_INT(count(&bench, "base/"), 3);
    EXPECT_INT(count(&bench, "part/"), 5);
    tear_down(&bench);
}

TEST(the_bulk_of_a_record_stays_and_what_lies_beside_it_goes)
{
    struct bench bench;
    struct id writer, stranger = id_random();
    uint64_t at;

    set_up(&bench);
    writer = bench.ledger.owner;
    (void)ledger_announce(&bench.ledger, 2, NULL);
    at = ledger_append_data(&bench.ledger, &(struct ledger_data){.part = 9});
    put(&bench, key_part(at, &writer, 9));
    put(&bench, key_part(at, &writer, 10)); /* of a base at the same position that came to nothing */
    put(&bench, key_part(at, &stranger, 9));
    put(&bench, key_part(at - 1, &writer, 8));
    take_over(&bench);
    sweep_all(&bench);
    EXPECT(has(&bench, key_part(at, &writer, 9)));
    EXPECT_INT(count(&bench, "part/"), 2 + 1);
    tear_down(&bench);
}

TEST(a_part_at_a_record_that_can_not_be_read_stays)
{
    struct bench bench;
    struct id writer;
    uint64_t at;

    set_up(&bench);
    writer = bench.ledger.owner;
    (void)ledger_announce(&bench.ledger, 2, NULL);
    at = ledger_append_data(&bench.ledger, &(struct ledger_data){.part = 0});
    put(&bench, key_part(at, &writer, 9));
    take_over(&bench);
    ledger_put(&bench.ledger, key_log(at).text); /* overwritten by something that is no record */
    sweep_all(&bench);
    EXPECT(has(&bench, key_part(at, &writer, 9)));
    tear_down(&bench);
}

TEST(blobs_that_a_record_names_or_has_dropped_stay)
{
    struct bench bench;
    struct blob_name named = {3, {{1}}}, dropped = {3, {{2}}}, nobodys = {3, {{3}}};

    set_up(&bench);
    (void)ledger_announce(&bench.ledger, 2, NULL);
    (void)ledger_append_data(&bench.ledger, &(struct ledger_data){.named = &named});
    (void)ledger_append_data(&bench.ledger, &(struct ledger_data){.dropped = &dropped});
    put(&bench, key_blob(named.tag, &named.content));
    put(&bench, key_blob(dropped.tag, &dropped.content));
    put(&bench, key_blob(nobodys.tag, &nobodys.content));
    take_over(&bench);
    sweep_all(&bench);
    EXPECT(has(&bench, key_blob(named.tag, &named.content)));
    EXPECT(has(&bench, key_blob(dropped.tag, &dropped.content)));
    EXPECT(!has(&bench, key_blob(nobodys.tag, &nobodys.content)));
    tear_down(&bench);
}

TEST(a_predecessors_blobs_that_nobody_named_go)
{
    struct bench bench;
    struct blob_name dropped = {4, {{5}}};
    struct digest content = {{7}};

    set_up(&bench);
    (void)ledger_announce(&bench.ledger, 2, NULL);
    (void)ledger_announce(&bench.ledger, 2, NULL);
    (void)ledger_announce(&bench.ledger, 2, &dropped); /* record 4 */
    for (uint64_t tag = 1; tag < 10; tag++)
        put(&bench, key_blob(tag, &content));
    put(&bench, key_blob(dropped.tag, &dropped.content));
    take_over(&bench); /* record 5 */
    sweep_all(&bench);
    /* 3 is the base record before the newest one: what was there then, its owner has swept. Tag 5 is what a
     * predecessor at 4 was uploading, the next ones are ours. What was dropped is pruning's. */
    for (uint64_t tag = 1; tag < 10; tag++)
        EXPECT_INT(has(&bench, key_blob(tag, &content)), tag <= 3 || tag > 5);
    EXPECT(has(&bench, key_blob(dropped.tag, &dropped.content)));
    tear_down(&bench);
}

TEST(the_own_blobs_that_failed_go_after_the_next_base_when_they_are_settled)
{
    struct bench bench;
    struct retain_base base = {0};
    struct digest content = {{7}};
    uint64_t own;

    set_up(&bench);
    (void)ledger_announce(&bench.ledger, 2, NULL);
    take_over(&bench);
    own = bench.ledger.log.newest.position;
    sweep_all(&bench);
    put(&bench, key_blob(own + 1, &content));
    put(&bench, key_blob(own + 2, &content));
    sweep_all(&bench);
    EXPECT(has(&bench, key_blob(own + 1, &content)));
    base.record = ledger_announce(&bench.ledger, 2, NULL);
    retain_add(&bench.retain, &base, 2);
    sweep_again(&bench.sweep);
    sweep_all(&bench);
    EXPECT(!has(&bench, key_blob(own + 1, &content)));
    EXPECT(has(&bench, key_blob(own + 2, &content))); /* may be on its way */
    tear_down(&bench);
}

TEST(where_a_record_is_missing_or_damaged_no_blob_goes)
{
    for (int missing = 0; missing < 2; missing++) {
        struct bench bench;
        struct digest content = {{7}};
        uint64_t at;
        struct err err = {0};
        set_up(&bench);
        (void)ledger_announce(&bench.ledger, 2, NULL);
        at = ledger_append(&bench.ledger, &(struct log_change){.kind = RECORD_CLOSE});
        put(&bench, key_blob(at, &content));
        take_over(&bench);
        if (missing)
            REQUIRE(store_delete(bench.ledger.mem, key_log(at).text, &err));
        else
            ledger_put(&bench.ledger, key_log(at).text);
        sweep_all(&bench);
        EXPECT(has(&bench, key_blob(at, &content)));
        tear_down(&bench);
    }
}

TEST(much_is_swept_in_small_steps_and_a_failure_is_made_up_for)
{
    struct bench bench;
    bool done = false;
    struct digest content = {{7}};
    struct err err = {0};

    set_up(&bench);
    (void)ledger_announce(&bench.ledger, 2, NULL);
    for (uint64_t n = 1; n <= 1500; n++) {
        put(&bench, key_part(2, &bench.ledger.owner, 100 + n));
        content.bytes[1] = (uint8_t)n;
        content.bytes[2] = (uint8_t)(n >> 8);
        put(&bench, key_blob(3, &content));
    }
    take_over(&bench);
    store_fault_add(
        bench.ledger.faulty,
        &(struct store_fault){
            .operation = "delete", .skip = 100, .times = 1, .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    for (int step = 0; !done && step < 1000; step++) {
        size_t before = store_fault_count(bench.ledger.faulty, NULL, NULL);
        struct err why = sweep_once(&bench, &done);
        if (why.code != ERR_NONE)
            err = why;
        EXPECT(store_fault_count(bench.ledger.faulty, NULL, NULL) - before <= 100);
    }
    EXPECT(done);
    EXPECT_INT(err.code, ERR_TRANSIENT);
    EXPECT_INT(count(&bench, "part/"), 2);
    EXPECT_INT(count(&bench, "blob/"), 0);
    tear_down(&bench);
}

TEST(what_is_swept_costs_no_request)
{
    struct bench bench;
    size_t before;
    bool done = false;

    set_up(&bench);
    (void)ledger_announce(&bench.ledger, 2, NULL);
    take_over(&bench);
    sweep_all(&bench);
    before = store_fault_count(bench.ledger.faulty, NULL, NULL);
    for (int at = 0; at < 3; at++)
        EXPECT_INT(sweep_once(&bench, &done).code, ERR_NONE);
    EXPECT(done);
    EXPECT_INT(store_fault_count(bench.ledger.faulty, NULL, NULL), before);
    tear_down(&bench);
}

TEST(a_stop_ends_a_sweep)
{
    struct bench bench;
    atomic_bool canceled = true;
    bool done = false;

    set_up(&bench);
    put(&bench, key_base(1, &bench.ledger.owner, 1));
    take_over(&bench);
    bench.sweep.removal.canceled = &canceled;
    EXPECT_INT(sweep_once(&bench, &done).code, ERR_CANCELED);
    EXPECT_INT(count(&bench, "base/"), 1);
    tear_down(&bench);
}

static bool count_point(void *context, const struct reader_point *point)
{
    size_t *count = context;

    *count += point->kind == RECORD_BASE;
    return true;
}

/* What is stored is what the points name: each has a manifest, and there are so many large files. */
static bool is_tidy(struct life *life, size_t blobs)
{
    size_t points = 0;
    struct damages damages;
    struct err err = {0};

    return reader_list(life->mem, count_point, &points, &err) &&
           store_mem_count(life->mem, "base/") == points && store_mem_count(life->mem, "blob/") == blobs &&
           damages_find(life->mem, &damages, &err);
}

TEST(the_successor_of_an_owner_that_died_in_a_base_leaves_nothing_of_it)
{
    char big[50000] = {'x'};
    size_t records;
    struct life life;
    life_set_up(&life);
    life.config.retention_ms = life.config.snapshot_interval_ms = 0;
    REQUIRE(life_live(&life, 2, "one"));
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    REQUIRE(life_settle(&life));
    records = store_fault_count(life.faulty, "create", "log/");
    store_fault_add(life.faulty, &(struct store_fault){
                                     .operation = "create", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    scratch_write_bytes(life.disk.fd, "big", big, sizeof(big));
    store_fault_await(life.faulty, "create", "log/", records + 1); /* all of it is there but its record */
    life_cut_off(&life);
    store_fault_clear(life.faulty);
    EXPECT(store_mem_count(life.mem, "base/") >= 2);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    for (int tries = 1; tries < 500 && !is_tidy(&life, 0); tries++)
        (void)!clock_pause(20, NULL);
    EXPECT(is_tidy(&life, 0));
    life_tear_down(&life);
}

TAP_MAIN()
