/* Readers and pruning over a log whose records lie in packs. */
#include "snapshot/reader.h"
#include "snapshot/reader_prune.h"

#include "tests/double/reading.h"
#include "tests/double/scratch.h"
#include "tests/double/store_fault.h"
#include "tests/double/story.h"
#include "tests/tap.h"

#include <pthread.h>

/* All but the newest records, in packs of so many. */
static void pack_all(struct story *story, uint64_t each)
{
    uint64_t first = 1;

    for (; first + each <= history_head(&story->history); first += each)
        history_pack(&story->history, first, first + each - 1);
    EXPECT(store_mem_count(story->history.mem, "pack/") > 0);
}

static bool restores(struct story *story, struct store *store, uint64_t at)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result = {0};
    struct err err = {0};

    scratch_open(&copy);
    if (reader_restore(store, copy.path, at, NULL, NULL, &result, &err))
        return story_matches(story, at, copy.fd);
    printf("#   record %llu: %s\n", (unsigned long long)at, err.text);
    return EXPECT(err.code == ERR_NONE);
}

static bool restores_all(struct story *story)
{
    bool right = true;

    for (uint64_t at = story->history.log.newest.horizon; at <= history_head(&story->history); at++)
        right = restores(story, story->history.mem, at) && right;
    return right;
}

TEST(every_record_from_the_horizon_on_is_restored)
{
    static const uint64_t each[] = {2, 7, 13};

    for (size_t at = 0; at < 3; at++) {
        struct story story;
        story_tell(&story, 170 + at);
        pack_all(&story, each[at]);
        EXPECT(restores_all(&story));
        story_end(&story);
    }
}

/* A predecessor that came to itself late has packed what its successor packed, at other places. */
TEST(crossing_packs_do_no_harm)
{
    struct story story;
    struct damages damages;
    struct err err = {0};

    story_tell(&story, 173);
    history_store_pack(&story.history, 5, 20);
    history_store_pack(&story.history, 18, 25);
    history_store_pack(&story.history, 6, 7);
    pack_all(&story, 9);
    EXPECT(restores_all(&story));
    EXPECT_OK(damages_find(story.history.mem, &damages, &err), &err);
    EXPECT_INT(damages.count, 0);
    story_end(&story);
}

static bool count_point(void *context, const struct reader_point *point)
{
    uint64_t *sum = context;

    *sum = *sum * 31 + point->record * 7 + point->bytes + (uint64_t)point->kind;
    return true;
}

TEST(points_are_listed_as_if_nothing_had_been_packed)
{
    struct story story;
    uint64_t before = 0, after = 0;
    struct err err = {0};

    story_tell(&story, 174);
    EXPECT_OK(reader_list(story.history.mem, count_point, &before, &err), &err);
    pack_all(&story, 6);
    EXPECT_OK(reader_list(story.history.mem, count_point, &after, &err), &err);
    EXPECT_INT(after, before);
    story_end(&story);
}

TEST(a_time_is_found_in_packs)
{
    struct story story;
    uint64_t horizon, found[200], now = 0;
    struct err err = {0};

    story_tell(&story, 175);
    horizon = story.history.log.newest.horizon;
    REQUIRE(history_head(&story.history) < 200);
    for (int round = 0; round < 2; round++) {
        for (uint64_t at = horizon; at <= history_head(&story.history); at++) {
            /* Record times are a second apart or the same. */
            uint64_t time_ns =
                story.history.log.newest.time_ns - (history_head(&story.history) - at) * 1000000;
            REQUIRE_OK(reader_find_time(story.history.mem, time_ns, &now, &err), &err);
            if (round == 0)
                found[at] = now;
            else
                EXPECT_INT(now, found[at]);
        }
        if (round == 0)
            pack_all(&story, 5);
    }
    story_end(&story);
}

/* --- verification ------------------------------------------------------------------------------------ */

TEST(a_whole_store_is_verified_without_a_word)
{
    for (uint64_t each = 2; each < 12; each += 3) {
        struct story story;
        struct damages damages;
        struct err err = {0};
        story_tell(&story, 176);
        pack_all(&story, each);
        EXPECT_OK(damages_find(story.history.mem, &damages, &err), &err);
        EXPECT_INT(damages.count, 0);
        story_end(&story);
    }
}

/* A missing pack is missed at the records that nothing else holds. */
TEST(a_damaged_or_missing_pack_is_named)
{
    for (int harm = 0; harm < 3; harm++) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(PACK_SIZE_MAX);
        struct story story;
        struct damages damages;
        struct key key;
        struct err err = {0};
        story_tell(&story, 177);
        pack_all(&story, 4);
        key = key_pack(13, 16);
        REQUIRE_OK(store_get(story.history.mem, key.text, &bytes, &err), &err);
        bytes.bytes[bytes.size / 2] ^= 4;
        REQUIRE_OK(harm == 2 ? store_delete(story.history.mem, key.text, &err)
                             : store_put(story.history.mem, key.text, bytes.bytes,
                                         bytes.size - (harm == 1 ? 1 : 0), &err),
                   &err);
        EXPECT(!damages_find(story.history.mem, &damages, &err));
        EXPECT(damages_name(&damages, harm == 2 ? key_log(14).text : key.text));
        story_end(&story);
    }
}

/* --- the owner goes on ------------------------------------------------------------------------------- */

struct packer {
    struct story *story;
    struct store *held;
};

/* Packs and deletes as soon as the reader asks for its first record, and lets it go on then. */
static void *pack_meanwhile(void *context)
{
    struct packer *packer = context;

    store_fault_await(packer->held, "get", "log/ffffffffffffffe", 1);
    pack_all(packer->story, 6);
    store_fault_clear(packer->held);
    return NULL;
}

TEST(records_that_are_packed_under_a_readers_hands_are_listed_again)
{
    struct story story;
    struct packer packer = {.story = &story};
    pthread_t thread;

    story_tell(&story, 178);
    packer.held = store_fault_new(story.history.mem);
    store_fault_add(packer.held, &(struct store_fault){.operation = "get",
                                                       .key = "log/ffffffffffffffe", /* from 16 to 31 */
                                                       .kind = FAULT_HOLD});
    REQUIRE(pthread_create(&thread, NULL, pack_meanwhile, &packer) == 0);
    EXPECT(restores(&story, packer.held, 28));
    (void)pthread_join(thread, NULL);
    store_free(packer.held);
    story_end(&story);
}

/* --- pruning ----------------------------------------------------------------------------------------- */

TEST(packs_below_the_horizon_go_and_every_point_stays)
{
    struct story story;
    uint64_t horizon = 0;
    size_t before;
    struct err err = {0};

    story_begin(&story, 179);
    for (int chapter = 0; chapter < 4; chapter++) {
        for (int step = 0; step < 8; step++)
            story_step(&story);
        if (chapter == 3) /* the next base says that retention has come as far as the third */
            story.history.log.newest.horizon = story.base;
        story_cut(&story, history_head(&story.history), 0, false);
    }
    pack_all(&story, 5);
    before = store_mem_count(story.history.mem, "pack/");
    REQUIRE_OK(reader_prune(story.history.mem, NULL, NULL, &horizon, &err), &err);
    EXPECT(horizon > 1);
    EXPECT(store_mem_count(story.history.mem, "pack/") < before);
    EXPECT(store_mem_count(story.history.mem, "pack/") > 0);
    EXPECT(restores_all(&story));
    story_end(&story);
}

TAP_MAIN()
