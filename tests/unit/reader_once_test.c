/* An answer that is damaged once, on its way, is looked at again: whichever it is, whoever asked. */
#include "snapshot/identity.h"
#include "snapshot/reader.h"
#include "snapshot/reader_prune.h"

#include "base/clock.h"
#include "tests/double/reading.h"
#include "tests/double/scratch.h"
#include "tests/double/story.h"
#include "tests/tap.h"

/* What a reading command says of a store, in one number; false: it failed. */
typedef bool reading_command(struct store *store, uint64_t *ret_sum, struct err *err);

static bool add_point(void *context, const struct reader_point *point)
{
    uint64_t *sum = context;

    *sum = *sum * 31 + point->record;
    return true;
}

static bool list(struct store *store, uint64_t *ret_sum, struct err *err)
{
    return reader_list(store, add_point, ret_sum, err);
}

static uint64_t wanted_ns; /* of a record somewhere in the middle */

static bool find_time(struct store *store, uint64_t *ret_sum, struct err *err)
{
    return reader_find_time(store, wanted_ns, ret_sum, err);
}

static bool restore(struct store *store, uint64_t *ret_sum, struct err *err)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result = {0};
    bool restored;

    scratch_open(&copy);
    restored = reader_restore(store, copy.path, READER_LATEST, NULL, NULL, &result, err);
    *ret_sum = result.record;
    return restored;
}

static bool verify(struct store *store, uint64_t *ret_sum, struct err *err)
{
    struct damages damages;
    bool verified = damages_find(store, &damages, err);

    *ret_sum = damages.count;
    return verified;
}

static void ignore_key(void *context, const char *key)
{
    (void)context;
    (void)key;
}

static bool prune(struct store *store, uint64_t *ret_sum, struct err *err)
{
    struct removal_watch watch = {.dry = true, .report = ignore_key};

    return reader_prune(store, &watch, NULL, ret_sum, err);
}

/* --- each answer once -------------------------------------------------------------------------------- */

static const struct store_fault ways[] = {
    {.operation = "get", .kind = FAULT_FLIP},
    {.operation = "get", .kind = FAULT_TRUNCATE},
    {.operation = "list", .kind = FAULT_BEFORE, .code = ERR_CORRUPT},
};

/* The command says what it says of the whole store although the answer after `skip` others is damaged; false:
 * there is no such answer. */
static bool bears(struct store *store, reading_command *read, const struct store_fault *way, size_t skip)
{
    struct store *faulty = store_fault_new(store);
    struct store_fault fault = *way;
    uint64_t whole = 0, sum = 0;
    struct err err = {0};
    bool right, met;

    fault.skip = skip;
    fault.times = 1;
    store_fault_add(faulty, &fault);
    right = read(store, &whole, &err) && read(faulty, &sum, &err) && sum == whole;
    if (!EXPECT(right))
        printf("#   %s %zu: %s\n", way->operation, skip, err.text);
    met = store_fault_count(faulty, way->operation, NULL) > skip;
    store_free(faulty);
    return met;
}

static void expect_second_looks(reading_command *read)
{
    struct story story;

    story_begin(&story, 180);
    for (int step = 0; step < 9; step++) {
        story.history.log.newest.time_ns += NS_PER_SECOND;
        if (step == 4)
            story_cut(&story, history_head(&story.history), 0, false);
        else
            story_step(&story);
        wanted_ns = step == 5 ? story.history.log.newest.time_ns : wanted_ns;
    }
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        bool met = true;
        for (size_t skip = 0; met; skip++)
            met = bears(story.history.mem, read, &ways[way], skip);
    }
    story_end(&story);
}

TEST(list_looks_again)
{
    expect_second_looks(list);
}

TEST(a_time_is_looked_up_again)
{
    expect_second_looks(find_time);
}

TEST(a_restore_begins_again)
{
    expect_second_looks(restore);
}

TEST(verify_looks_again)
{
    expect_second_looks(verify);
}

TEST(prune_looks_again)
{
    expect_second_looks(prune);
}

TEST(what_stays_damaged_is_named_all_the_same)
{
    struct story story;
    uint64_t sum = 0;
    struct damages damages;
    struct err err = {0};

    story_begin(&story, 181);
    EXPECT_OK(store_put(story.history.mem, IDENTITY_KEY, "{}", 2, &err), &err);
    EXPECT(!list(story.history.mem, &sum, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, IDENTITY_KEY ": it is damaged") != NULL);
    EXPECT(!damages_find(story.history.mem, &damages, &err));
    EXPECT(damages_name(&damages, IDENTITY_KEY));
    story_end(&story);
}

TAP_MAIN()
