/* What verification costs: every object is read once where one reading can prove it, and many at a time. */
#include "snapshot/reader.h"

#include "tests/double/reading.h"
#include "tests/double/store_fault.h"
#include "tests/double/story.h"
#include "tests/tap.h"

#include <pthread.h>

enum { STEPS = 12 };

/* Records behind a base, every other one with its frames in a part of its own. */
static void set_up(struct story *story, uint64_t seed)
{
    story_begin(story, seed);
    for (int step = 0; step < STEPS; step++) {
        story->in_bulk = step % 2 == 0;
        story_step(story);
    }
    story_cut(story, history_head(&story->history), 3, false);
    for (int step = 0; step < STEPS; step++) {
        story->in_bulk = step % 2 == 0;
        story_step(story);
    }
}

static size_t count_reads(struct store *store, const char *key)
{
    return store_fault_count(store, "get", key);
}

TEST(a_data_record_is_read_once)
{
    struct story story;
    struct store *counted;
    struct damages damages;
    struct err err = {0};

    set_up(&story, 190);
    counted = store_fault_new(story.history.mem);
    EXPECT_OK(damages_find(counted, &damages, &err), &err);
    for (uint64_t at = 1; at < history_head(&story.history); at++) /* the head is looked up first */
        if (at != story.base && at != 2 && !EXPECT(count_reads(counted, key_log(at).text) == 1))
            printf("#   record %" PRIu64 "\n", at);
    store_free(counted);
    story_end(&story);
}

TEST(a_pack_is_read_once_unless_it_reaches_below_the_newest_base)
{
    struct story story;
    struct store *counted;
    struct damages damages;
    struct err err = {0};
    uint64_t base;

    set_up(&story, 191);
    base = story.base;
    history_pack(&story.history, base - 6, base + 3);
    history_pack(&story.history, base + 4, base + 8);
    counted = store_fault_new(story.history.mem);
    EXPECT_OK(damages_find(counted, &damages, &err), &err);
    EXPECT_INT(damages.count, 0);
    EXPECT_INT(count_reads(counted, key_pack(base + 4, base + 8).text), 1);
    EXPECT(count_reads(counted, key_pack(base - 6, base + 3).text) >= 2);
    store_free(counted);
    story_end(&story);
}

/* An open that came too late, or what its owner had no time to delete. */
TEST(a_loose_record_that_a_pack_holds_too_is_still_looked_at)
{
    struct story story;
    struct damages damages;
    struct key key;
    struct err err = {0};

    set_up(&story, 192);
    history_store_pack(&story.history, story.base + 2, story.base + 8);
    key = key_log(story.base + 4);
    REQUIRE_OK(store_put(story.history.mem, key.text, "junk", 4, &err), &err);
    EXPECT(!damages_find(story.history.mem, &damages, &err));
    EXPECT_INT(damages.count, 1);
    EXPECT(damages_name(&damages, key.text));
    story_end(&story);
}

static void *verify(void *store)
{
    static struct damages damages;
    struct err err = {0};

    EXPECT_OK(damages_find(store, &damages, &err), &err);
    return NULL;
}

TEST(parts_of_different_records_are_fetched_beside_each_other)
{
    struct story story;
    struct store *held;
    struct some_key keys[3];
    pthread_t thread;

    set_up(&story, 193);
    held = store_fault_new(story.history.mem);
    for (size_t at = 0; at < 3; at++) {
        keys[at] = key_below(story.history.mem, "part/", at);
        REQUIRE(keys[at].text[0]);
        store_fault_add(held,
                        &(struct store_fault){.operation = "get", .key = keys[at].text, .kind = FAULT_HOLD});
    }
    REQUIRE(pthread_create(&thread, NULL, verify, held) == 0);
    for (size_t at = 0; at < 3; at++) /* none of them is answered before all are asked for */
        store_fault_await(held, "get", keys[at].text, 1);
    store_fault_release(held);
    pthread_join(thread, NULL);
    store_free(held);
    story_end(&story);
}

TAP_MAIN()
