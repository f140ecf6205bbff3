/* Appending to the log: frozen bytes, unclear answers, and who is fenced (protocol.md: H3, H17). */
#include "snapshot/log.h"
#include "snapshot/store/config.h"
#include "tests/double/store_fault.h"
#include "tests/double/store_mem.h"
#include "tests/tap.h"

struct bench {
    struct store *mem;
    struct store *faulty;
    struct store *retry;
    struct id lineage;
    struct id owner;
    struct log log;
};

static void set_up(struct bench *bench)
{
    bench->mem = store_mem_new();
    bench->faulty = store_fault_new(bench->mem);
    bench->retry = store_retry(bench->faulty, 300, NULL);
    bench->lineage = id_random();
    bench->owner = id_random();
    log_init(&bench->log, bench->faulty, bench->retry, &bench->lineage);
}

static void tear_down(struct bench *bench)
{
    log_clear(&bench->log);
    store_free(bench->retry);
    store_free(bench->faulty);
    store_free(bench->mem);
}

static bool append(struct bench *bench, enum record_kind kind, struct err *err)
{
    struct log_change change = {.kind = kind};

    log_freeze(&bench->log, &bench->owner, &change);
    return log_send(&bench->log, err);
}

/* Record `position` as somebody else would write it behind what bench knows. */
static void plant(struct bench *bench, enum record_kind kind)
{
    struct log other;
    struct id owner = id_random();
    struct log_change change = {.kind = kind};
    struct err err = {0};

    log_init(&other, bench->mem, bench->mem, &bench->lineage);
    log_follow(&other, &bench->log.newest, &bench->log.newest_hash);
    log_freeze(&other, &owner, &change);
    EXPECT_OK(log_send(&other, &err), &err);
    log_clear(&other);
}

TEST(records_are_numbered_from_one_and_name_the_one_before)
{
    struct bench bench;
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;
    struct digest first;
    struct err err = {0};

    set_up(&bench);
    REQUIRE_OK(append(&bench, RECORD_OPEN, &err), &err);
    EXPECT_INT(bench.log.newest.position, 1);
    EXPECT_INT(bench.log.newest.epoch, 1);
    first = bench.log.newest_hash;
    REQUIRE_OK(append(&bench, RECORD_CLOSE, &err), &err);
    REQUIRE_OK(log_read(bench.mem, &bench.lineage, 2, &bytes, &record, &err), &err);
    EXPECT(memcmp(record.header.previous.bytes, first.bytes, HASH_SIZE) == 0);
    EXPECT_INT(record.header.epoch, 1);
    EXPECT_INT(store_mem_count(bench.mem, "log/"), 2);
    tear_down(&bench);
}

TEST(an_append_whose_answer_was_lost_is_found_to_have_succeeded)
{
    struct bench bench;
    struct err err = {0};

    set_up(&bench);
    store_fault_add(
        bench.faulty,
        &(struct store_fault){.operation = "create", .times = 1, .kind = FAULT_AFTER, .code = ERR_TRANSIENT});
    REQUIRE_OK(append(&bench, RECORD_OPEN, &err), &err);
    EXPECT_INT(bench.log.newest.position, 1);
    EXPECT(!log_in_flight(&bench.log));
    tear_down(&bench);
}

TEST(a_412_after_our_own_success_is_success)
{
    struct bench bench;
    struct err err = {0};

    set_up(&bench);
    store_fault_add(
        bench.faulty,
        &(struct store_fault){.operation = "create", .times = 1, .kind = FAULT_AFTER, .code = ERR_CONFLICT});
    REQUIRE_OK(append(&bench, RECORD_OPEN, &err), &err);
    EXPECT_INT(store_fault_count(bench.faulty, "get", NULL), 1);
    tear_down(&bench);
}

TEST(bytes_in_flight_never_change_however_late_they_are_sent_again)
{
    struct bench bench;
    CLEANUP(buf_clearp) struct buf sent = BUF_INIT(RECORD_SIZE_MAX);
    CLEANUP(buf_clearp) struct buf stored = BUF_INIT(RECORD_SIZE_MAX);
    struct key key = key_log(1);
    struct err err = {0};

    set_up(&bench);
    store_fault_add(bench.faulty, &(struct store_fault){
                                      .operation = "create", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    EXPECT(!append(&bench, RECORD_OPEN, &err));
    EXPECT_INT(err.code, ERR_TRANSIENT);
    REQUIRE(log_in_flight(&bench.log));
    buf_add(&sent, bench.log.flight.bytes, bench.log.flight.size);
    store_fault_clear(bench.faulty);
    REQUIRE_OK(log_send(&bench.log, &err), &err);
    REQUIRE_OK(store_get(bench.mem, key.text, &stored, &err), &err);
    EXPECT_INT(stored.size, sent.size);
    EXPECT(memcmp(stored.bytes, sent.bytes, sent.size) == 0);
    tear_down(&bench);
}

TEST(an_owner_that_meets_anothers_record_is_fenced)
{
    struct bench bench;
    struct err err = {0};

    set_up(&bench);
    REQUIRE_OK(append(&bench, RECORD_OPEN, &err), &err);
    plant(&bench, RECORD_OPEN);
    EXPECT(!append(&bench, RECORD_CLOSE, &err));
    EXPECT_INT(err.code, ERR_FENCED);
    EXPECT_INT(store_mem_count(bench.mem, "log/"), 2);
    tear_down(&bench);
}

TEST(a_record_that_is_absent_after_a_412_was_deleted_by_a_successor)
{
    struct bench bench;
    struct err err = {0};

    set_up(&bench);
    REQUIRE_OK(append(&bench, RECORD_OPEN, &err), &err);
    store_fault_add(
        bench.faulty,
        &(struct store_fault){.operation = "create", .times = 1, .kind = FAULT_BEFORE, .code = ERR_CONFLICT});
    EXPECT(!append(&bench, RECORD_CLOSE, &err));
    EXPECT_INT(err.code, ERR_FENCED);
    tear_down(&bench);
}

TEST(a_damaged_read_back_fences_nobody)
{
    static const enum fault_kind kinds[] = {FAULT_FLIP, FAULT_TRUNCATE};

    for (size_t at = 0; at < 2; at++) {
        struct bench bench;
        struct err err = {0};
        set_up(&bench);
        REQUIRE_OK(append(&bench, RECORD_OPEN, &err), &err);
        store_fault_add(bench.faulty,
                        &(struct store_fault){
                            .operation = "create", .times = 1, .kind = FAULT_AFTER, .code = ERR_CONFLICT});
        store_fault_add(bench.faulty,
                        &(struct store_fault){.operation = "get", .times = 1, .kind = kinds[at]});
        EXPECT(!append(&bench, RECORD_CLOSE, &err));
        EXPECT_INT(err.code, ERR_CORRUPT);
        EXPECT(log_in_flight(&bench.log));
        err = (struct err){0};
        EXPECT_OK(log_send(&bench.log, &err), &err);
        EXPECT_INT(bench.log.newest.position, 2);
        tear_down(&bench);
    }
}

TEST(a_claimants_open_that_meets_a_record_gives_it_back_to_be_followed)
{
    struct bench bench;
    struct record record;
    struct err err = {0};

    set_up(&bench);
    plant(&bench, RECORD_OPEN);
    EXPECT(!append(&bench, RECORD_OPEN, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
    EXPECT(!log_in_flight(&bench.log));
    REQUIRE_OK(record_decode(bench.log.met.bytes, bench.log.met.size, &record, &err), &err);
    EXPECT_INT(record.header.position, 1);
    tear_down(&bench);
}

TEST(opens_are_counted_until_a_close_and_at_most_four)
{
    struct bench bench;
    struct err err = {0};

    set_up(&bench);
    for (int at = 0; at < 6; at++)
        REQUIRE_OK(append(&bench, RECORD_OPEN, &err), &err);
    for (int at = 0; at < RECORD_OPENS; at++)
        EXPECT(bench.log.newest.open_times_ns[at] != 0);
    REQUIRE_OK(append(&bench, RECORD_CLOSE, &err), &err);
    for (int at = 0; at < RECORD_OPENS; at++)
        EXPECT_INT(bench.log.newest.open_times_ns[at], 0);
    tear_down(&bench);
}

TEST(record_time_never_goes_back)
{
    struct bench bench;
    uint64_t future_ns;
    struct err err = {0};

    set_up(&bench);
    REQUIRE_OK(append(&bench, RECORD_OPEN, &err), &err);
    future_ns = bench.log.newest.time_ns + UINT64_C(3600000000000);
    bench.log.newest.time_ns = future_ns;
    REQUIRE_OK(append(&bench, RECORD_CLOSE, &err), &err);
    EXPECT_INT(bench.log.newest.time_ns, future_ns);
    tear_down(&bench);
}

TEST(a_record_under_the_wrong_key_or_of_another_lineage_is_damage)
{
    struct bench bench;
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct id other = id_random();
    struct key moved = key_log(7);
    struct key first = key_log(1);
    struct record record;
    struct err err = {0};

    set_up(&bench);
    REQUIRE_OK(append(&bench, RECORD_OPEN, &err), &err);
    EXPECT(!log_read(bench.mem, &other, 1, &bytes, &record, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, first.text) != NULL);
    buf_reset(&bytes);
    REQUIRE_OK(store_get(bench.mem, first.text, &bytes, &err), &err);
    REQUIRE_OK(store_put(bench.mem, moved.text, bytes.bytes, bytes.size, &err), &err);
    EXPECT(!log_read(bench.mem, &bench.lineage, 7, &bytes, &record, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    tear_down(&bench);
}

TAP_MAIN()
