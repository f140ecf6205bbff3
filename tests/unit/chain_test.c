/* Records fetched ahead: every one once, in order, proved, and no more in memory than was agreed. */
#include "snapshot/chain.h"

#include "base/thread.h"
#include "tests/double/history.h"
#include "tests/double/store_fault.h"
#include "tests/tap.h"

enum { MIB = 1 << 20 };

/* How reading a range went: positions after + 1 … after + count, then an end or an error. */
struct outcome {
    uint64_t count;
    bool in_order;
    struct err err;
};

static bool open_range(struct store *store, const struct chain_range *range, struct chain **ret_chain,
                       struct err *err)
{
    struct chain_listing listing = {0};
    bool opened = chain_list(store, range->after, range->through, &listing, err) &&
                  chain_open(store, range, &listing, ret_chain, err);

    chain_listing_clear(&listing);
    return opened;
}

static struct outcome read_range(struct store *store, const struct chain_range *range)
{
    struct outcome outcome = {.in_order = true};
    CLEANUP(chain_freep) struct chain *chain = NULL;
    struct record record;
    bool end = false;

    if (!open_range(store, range, &chain, &outcome.err))
        return outcome;
    while (chain_next(chain, &record, &end, &outcome.err) && !end)
        if (record.header.position != range->after + ++outcome.count)
            outcome.in_order = false;
    return outcome;
}

TEST(every_record_of_a_range_comes_once_and_in_order)
{
    static const uint64_t ranges[][2] = {{1, 40}, {1, 2}, {39, 40}, {7, 23}, {40, 40}};
    struct history history;

    history_begin(&history);
    history_fill(&history, 39, 100);
    for (size_t at = 0; at < sizeof(ranges) / sizeof(ranges[0]); at++) {
        struct chain_range range = history_range(&history, ranges[at][0], ranges[at][1]);
        struct outcome outcome = read_range(history.mem, &range);
        EXPECT_OK(outcome.err.code == ERR_NONE, &outcome.err);
        EXPECT(outcome.in_order);
        EXPECT_INT(outcome.count, ranges[at][1] - ranges[at][0]);
    }
    history_end(&history);
}

TEST(nothing_is_asked_for_an_empty_range)
{
    struct history history;
    struct store *counted;
    struct chain_range range;
    struct outcome outcome;

    history_begin(&history);
    counted = store_fault_new(history.mem);
    range = history_range(&history, 1, 1);
    outcome = read_range(counted, &range);
    EXPECT_OK(outcome.err.code == ERR_NONE, &outcome.err);
    EXPECT_INT(store_fault_count(counted, NULL, NULL), 0);
    store_free(counted);
    history_end(&history);
}

TEST(hundreds_of_records_cost_two_listings_and_a_get_each_many_at_a_time)
{
    struct history history;
    struct store *counted;
    struct chain_range range;
    CLEANUP(chain_freep) struct chain *chain = NULL;
    struct record record;
    struct err err = {0};
    bool end = false;

    history_begin(&history);
    history_fill(&history, 400, 100);
    counted = store_fault_new(history.mem);
    range = history_range(&history, 1, 401);
    store_fault_add(counted, &(struct store_fault){.operation = "get", .kind = FAULT_HOLD});
    REQUIRE_OK(open_range(counted, &range, &chain, &err), &err);
    store_fault_await(counted, "get", "log/", 16);
    EXPECT_INT(store_fault_parallel(counted), 16);
    store_fault_clear(counted);
    while (!end)
        REQUIRE_OK(chain_next(chain, &record, &end, &err), &err);
    EXPECT_INT(store_fault_count(counted, "list", NULL), 2); /* log/ and pack/ */
    EXPECT_INT(store_fault_count(counted, "get", NULL), 400);
    chain_free(MOVE(chain));
    store_free(counted);
    history_end(&history);
}

/* Records of 1.5 MiB: 5 of them fit in 8 MiB, and the sixth is asked for when the first was taken away. */
TEST(no_more_is_fetched_ahead_than_the_budget_holds)
{
    struct history history;
    struct store *counted;
    struct chain_range range;
    struct record record;
    struct err err = {0};
    struct chain *chain = NULL;
    bool end = false;

    history_begin(&history);
    history_fill(&history, 12, 3 * MIB / 2);
    counted = store_fault_new(history.mem);
    range = history_range(&history, 1, 13);
    REQUIRE_OK(open_range(counted, &range, &chain, &err), &err);
    for (uint64_t taken = 0; taken < 12; taken++) {
        REQUIRE_OK(chain_next(chain, &record, &end, &err), &err);
        EXPECT(!end);
        EXPECT_INT(record.body_size, 3 * MIB / 2);
        store_fault_await(counted, "get", "log/", taken + 5 < 12 ? taken + 5 : 12);
        EXPECT(store_fault_count(counted, "get", "log/") <= taken + 5);
    }
    REQUIRE_OK(chain_next(chain, &record, &end, &err), &err);
    EXPECT(end);
    chain_free(chain);
    store_free(counted);
    history_end(&history);
}

TEST(a_record_larger_than_the_budget_still_gets_through)
{
    struct history history;
    struct chain_range range;
    struct outcome outcome;

    history_begin(&history);
    for (int round = 0; round < 3; round++) {
        history_fill(&history, 1, 16 * MIB - 4096);
        history_fill(&history, 3, 10);
    }
    range = history_range(&history, 1, 13);
    outcome = read_range(history.mem, &range);
    EXPECT_OK(outcome.err.code == ERR_NONE, &outcome.err);
    EXPECT_INT(outcome.count, 12);
    history_end(&history);
}

/* --- what must be refused ---------------------------------------------------------------------------- */

struct refusal {
    enum err_code code;
    uint64_t named; /* the object that the error begins with */
    const char *why;
};

/* Reads everything above record 1 of a history of 20 that something was done to. */
static void expect_refusal(struct store *store, const struct chain_range *range,
                           const struct refusal *refusal)
{
    struct outcome outcome = read_range(store, range);
    struct key key = key_log(refusal->named);

    EXPECT_INT(outcome.err.code, refusal->code);
    EXPECT(outcome.in_order);
    EXPECT(outcome.count < refusal->named);
    if (!EXPECT(strncmp(outcome.err.text, key.text, strlen(key.text)) == 0 &&
                strstr(outcome.err.text, refusal->why) != NULL))
        printf("#   %s\n", outcome.err.text);
}

static struct chain_range history_of_20(struct history *history)
{
    history_begin(history);
    history_fill(history, 19, 50);
    return history_range(history, 1, 20);
}

TEST(a_record_that_is_not_listed_is_named)
{
    struct history history;
    struct chain_range range = history_of_20(&history);
    struct key key = key_log(9);
    struct err err = {0};

    REQUIRE_OK(store_delete(history.mem, key.text, &err), &err);
    expect_refusal(history.mem, &range, &(struct refusal){ERR_NOT_FOUND, 9, "missing"});
    history_end(&history);
}

TEST(a_record_that_vanishes_after_the_listing_is_named)
{
    struct history history;
    struct chain_range range = history_of_20(&history);
    struct store *faulty = store_fault_new(history.mem);
    static struct key key;

    key = key_log(9);
    store_fault_add(faulty,
                    &(struct store_fault){
                        .operation = "get", .key = key.text, .kind = FAULT_BEFORE, .code = ERR_NOT_FOUND});
    expect_refusal(faulty, &range, &(struct refusal){ERR_NOT_FOUND, 9, ""});
    store_free(faulty);
    history_end(&history);
}

TEST(a_damaged_record_is_named)
{
    static const enum fault_kind kinds[] = {FAULT_FLIP, FAULT_TRUNCATE};

    for (size_t at = 0; at < 2; at++) {
        struct history history;
        struct chain_range range = history_of_20(&history);
        struct store *faulty = store_fault_new(history.mem);
        static struct key key;

        key = key_log(20);
        store_fault_add(faulty,
                        &(struct store_fault){.operation = "get", .key = key.text, .kind = kinds[at]});
        expect_refusal(faulty, &range, &(struct refusal){ERR_CORRUPT, 20, "hash"});
        store_free(faulty);
        history_end(&history);
    }
}

TEST(a_record_at_another_ones_key_is_refused)
{
    struct history history;
    struct chain_range range = history_of_20(&history);
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);

    history_read(&history, 7, &bytes);
    history_replace(&history, 8, &bytes);
    expect_refusal(history.mem, &range, &(struct refusal){ERR_CORRUPT, 8, "copied over"});
    history_end(&history);
}

/* The same record of another history: of another lineage, or of another branch of this one. */
static void read_with_a_stranger(bool same_lineage, const struct refusal *refusal)
{
    struct history history, stranger;
    struct chain_range range = history_of_20(&history);
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);

    history_begin(&stranger);
    if (same_lineage)
        stranger.log.newest.lineage = history.lineage;
    history_fill(&stranger, 19, 60);
    history_read(&stranger, 8, &bytes);
    history_replace(&history, 8, &bytes);
    expect_refusal(history.mem, &range, refusal);
    history_end(&stranger);
    history_end(&history);
}

TEST(a_record_of_another_lineage_is_refused)
{
    read_with_a_stranger(false, &(struct refusal){ERR_CORRUPT, 8, "another lineage"});
}

TEST(a_record_of_another_branch_is_refused)
{
    read_with_a_stranger(true, &(struct refusal){ERR_CORRUPT, 8, "two histories"});
}

/* A whole tail of another branch fits together; what it follows from doesn't, and neither does its end. */
TEST(a_whole_branch_is_refused_at_either_end)
{
    for (int keep = 0; keep < CHAIN_ANCHORS; keep++) {
        struct history history, stranger;
        struct chain_range range = history_of_20(&history);

        history_begin(&stranger);
        stranger.log.newest.lineage = history.lineage;
        history_fill(&stranger, 19, 60);
        for (uint64_t position = 2; position <= 20; position++) {
            CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
            history_read(&stranger, position, &bytes);
            history_replace(&history, position, &bytes);
        }
        range.anchors[1 - keep] = (struct chain_anchor){0};
        expect_refusal(history.mem, &range,
                       &(struct refusal){ERR_CORRUPT, keep == 0 ? 2 : 20, keep == 0 ? "follow" : "belongs"});
        history_end(&stranger);
        history_end(&history);
    }
}

TEST(an_anchor_in_the_middle_proves_what_is_below_it)
{
    struct history history;
    struct chain_range range = history_of_20(&history);
    struct outcome outcome;

    range.anchors[0] = (struct chain_anchor){10, history.hashes[10]};
    range.anchors[1] = (struct chain_anchor){0};
    outcome = read_range(history.mem, &range);
    EXPECT_OK(outcome.err.code == ERR_NONE, &outcome.err);
    EXPECT_INT(outcome.count, 19);
    range.anchors[0].hash = history.hashes[11];
    expect_refusal(history.mem, &range, &(struct refusal){ERR_CORRUPT, 10, "belongs"});
    history_end(&history);
}

TEST(an_object_that_is_longer_than_it_was_listed_is_refused)
{
    struct history history;
    struct chain_range range = history_of_20(&history);
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct chain_listing listing = {0};
    struct chain *chain = NULL;
    struct record record;
    struct err err = {0};
    bool end = false;

    REQUIRE_OK(chain_list(history.mem, 1, 20, &listing, &err), &err);
    history_read(&history, 2, &bytes);
    buf_add(&bytes, "more", 4);
    history_replace(&history, 2, &bytes);
    REQUIRE_OK(chain_open(history.mem, &range, &listing, &chain, &err), &err);
    EXPECT(!chain_next(chain, &record, &end, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    chain_free(chain);
    chain_listing_clear(&listing);
    history_end(&history);
}

TEST(a_stranger_in_the_log_is_refused)
{
    struct history history;
    struct chain_range range = history_of_20(&history);
    struct outcome outcome;
    struct err err = {0};

    REQUIRE_OK(store_create(history.mem, "log/something", "x", 1, &err), &err);
    outcome = read_range(history.mem, &range);
    EXPECT(outcome.err.code == ERR_CORRUPT || outcome.err.code == ERR_NONE);
    EXPECT(outcome.err.code == ERR_NONE || strncmp(outcome.err.text, "log/something", 13) == 0);
    history_end(&history);
}

/* --- ending early ------------------------------------------------------------------------------------ */

TEST(a_chain_that_is_given_up_fetches_no_more)
{
    struct history history;
    struct store *counted;
    struct chain_range range;
    struct chain *chain = NULL;
    struct record record;
    struct key keys[16];
    struct err err = {0};
    bool end = false;

    history_begin(&history);
    history_fill(&history, 400, 100);
    counted = store_fault_new(history.mem);
    range = history_range(&history, 1, 401);
    for (uint64_t at = 0; at < 16; at++) {
        keys[at] = key_log(100 + at);
        store_fault_add(counted,
                        &(struct store_fault){.operation = "get", .key = keys[at].text, .kind = FAULT_HOLD});
    }
    REQUIRE_OK(open_range(counted, &range, &chain, &err), &err);
    REQUIRE_OK(chain_next(chain, &record, &end, &err), &err);
    EXPECT_INT(record.header.position, 2);
    for (size_t at = 0; at < 16; at++)
        store_fault_await(counted, "get", keys[at].text, 1);
    EXPECT_INT(store_fault_count(counted, "get", "log/"), 114);
    store_fault_release(counted);
    chain_free(chain);
    EXPECT(store_fault_count(counted, "get", "log/") <= 400);
    store_free(counted);
    history_end(&history);
}

TEST(a_request_that_is_canceled_ends_the_chain)
{
    struct history history;
    struct chain_range range = history_of_20(&history);
    struct store *faulty = store_fault_new(history.mem);
    struct outcome outcome;

    store_fault_add(faulty, &(struct store_fault){
                                .operation = "get", .skip = 5, .kind = FAULT_BEFORE, .code = ERR_CANCELED});
    outcome = read_range(faulty, &range);
    EXPECT_INT(outcome.err.code, ERR_CANCELED);
    EXPECT(outcome.count <= 6);
    store_free(faulty);
    history_end(&history);
}

TAP_MAIN()
