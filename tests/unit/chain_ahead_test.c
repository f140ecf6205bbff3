/* The record behind the one that was handed out: shown only when it is here, and never instead of being
 * proved. */
#include "snapshot/chain.h"

#include "tests/double/history.h"
#include "tests/double/store_fault.h"
#include "tests/tap.h"

#include <sched.h>

static struct chain *open_range(struct store *store, const struct chain_range *range)
{
    struct chain_listing listing = {0};
    struct chain *chain = NULL;
    struct err err = {0};

    EXPECT_OK(chain_list(store, range->after, range->through, &listing, &err) &&
                  chain_open(store, range, &listing, &chain, &err),
              &err);
    chain_listing_clear(&listing);
    return chain;
}

static uint64_t next_position(struct chain *chain)
{
    struct record record = {0};
    struct err err = {0};
    bool end = false;

    EXPECT_OK(chain_next(chain, &record, &end, &err), &err);
    return end ? 0 : record.header.position;
}

/* Its fetching is under way: it comes. */
static const struct record *await_ahead(struct chain *chain)
{
    const struct record *ahead;

    while (!(ahead = chain_ahead(chain)))
        sched_yield();
    return ahead;
}

TEST(each_record_is_shown_before_it_is_handed_out_and_both_are_the_same)
{
    struct history history;
    struct chain_range range;
    struct chain *chain;

    history_begin(&history);
    history_fill(&history, 39, 100);
    range = history_range(&history, 1, 40);
    chain = open_range(history.mem, &range);
    for (uint64_t position = 2; position <= 40; position++) {
        struct record record = {0}, ahead;
        struct err err = {0};
        bool end = false;
        ahead = *await_ahead(chain);
        EXPECT(chain_ahead(chain) && chain_ahead(chain)->body == ahead.body);
        REQUIRE_OK(chain_next(chain, &record, &end, &err), &err);
        EXPECT_INT(record.header.position, position);
        EXPECT_INT(ahead.header.position, position);
        EXPECT(record.body == ahead.body && record.body_size == ahead.body_size);
        EXPECT(digest_equal(&record.hash, &ahead.hash));
    }
    EXPECT(!chain_ahead(chain));
    EXPECT_INT(next_position(chain), 0);
    chain_free(chain);
    history_end(&history);
}

TEST(nobody_waits_for_a_record_that_is_not_here_yet)
{
    struct history history;
    struct chain_range range;
    struct store *slow;
    struct chain *chain;

    history_begin(&history);
    history_fill(&history, 9, 100);
    range = history_range(&history, 1, 10);
    slow = store_fault_new(history.mem);
    store_fault_add(slow,
                    &(struct store_fault){.operation = "get", .key = key_log(3).text, .kind = FAULT_HOLD});
    chain = open_range(slow, &range);
    EXPECT_INT(next_position(chain), 2);
    EXPECT(!chain_ahead(chain));
    store_fault_release(slow);
    EXPECT_INT(next_position(chain), 3);
    EXPECT_INT(await_ahead(chain)->header.position, 4);
    chain_free(chain);
    store_free(slow);
    history_end(&history);
}

TEST(a_record_that_was_shown_is_refused_all_the_same_if_it_does_not_belong_there)
{
    struct history history, stranger;
    struct chain_range range;
    struct chain *chain;
    struct record record;
    struct err err = {0};
    bool end = false;

    history_begin(&history);
    history_fill(&history, 9, 100);
    range = history_range(&history, 1, 10);
    history_begin(&stranger);
    history_fill(&stranger, 9, 100);
    range.lineage = history_range(&stranger, 1, 10).lineage;
    range.anchors[0] = history_range(&history, 1, 10).anchors[0];
    chain = open_range(stranger.mem, &range);
    EXPECT_INT(await_ahead(chain)->header.position, 2);
    EXPECT(!chain_next(chain, &record, &end, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    chain_free(chain);
    history_end(&stranger);
    history_end(&history);
}

TAP_MAIN()
