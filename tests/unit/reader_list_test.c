/* What is listed where something is damaged: all that can still be restored, and nothing else. */
#include "snapshot/reader.h"

#include "tests/double/scratch.h"
#include "tests/double/store_fault.h"
#include "tests/double/story.h"
#include "tests/tap.h"

enum { POINTS_MAX = 200, HARM_EVERY = 4 };

struct points {
    uint64_t records[POINTS_MAX];
    size_t count;
};

static bool note_point(void *context, const struct reader_point *point)
{
    struct points *points = context;

    points->records[points->count++] = point->record;
    return points->count < POINTS_MAX;
}

static bool has_point(const struct points *points, uint64_t record)
{
    for (size_t at = 0; at < points->count; at++)
        if (points->records[at] == record)
            return true;
    return false;
}

static bool restores(struct store *store, uint64_t record)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result;
    struct err err = {0};

    scratch_open(&copy);
    return reader_restore(store, copy.path, record, NULL, NULL, &result, &err);
}

enum harm { HARM_DAMAGE, HARM_DELETION };

static void do_harm(struct story *story, uint64_t position, enum harm harm, const struct buf *whole)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct err err = {0};

    buf_add(&bytes, whole->bytes, whole->size);
    bytes.bytes[bytes.size / 2] ^= 16;
    if (harm == HARM_DAMAGE)
        history_replace(&story->history, position, &bytes);
    else
        EXPECT_OK(store_delete(story->history.mem, key_log(position).text, &err), &err);
}

/* Of the points that a whole store has, those are in the list that can be restored without the lost records.
 * (One of these may be the state of a base itself, but nothing says its time.) */
static void expect_restorable(struct story *story, const struct points *whole, const struct points *points,
                              uint64_t first_lost, uint64_t last_lost)
{
    for (size_t at = 0; at < whole->count; at++) {
        bool listed = has_point(points, whole->records[at]);
        if (!listed && whole->records[at] >= first_lost && whole->records[at] <= last_lost)
            continue;
        if (!EXPECT(listed == restores(story->history.mem, whole->records[at])))
            printf("#   record %" PRIu64 " without record %" PRIu64 ": %s\n", whole->records[at], first_lost,
                   listed ? "listed, and can't be restored" : "can be restored, and isn't listed");
    }
}

/* Of the points that a whole store has, those are listed that a restore can do without the harmed record. */
static void check_without(struct story *story, const struct points *whole, uint64_t harmed, enum harm harm)
{
    CLEANUP(buf_clearp) struct buf before = BUF_INIT(RECORD_SIZE_MAX);
    struct points points = {.count = 0};
    struct err err = {0};

    history_read(&story->history, harmed, &before);
    do_harm(story, harmed, harm, &before);
    EXPECT(!reader_list(story->history.mem, note_point, &points, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, key_log(harmed).text) != NULL);
    expect_restorable(story, whole, &points, harmed, harmed);
    history_replace(&story->history, harmed, &before);
}

/* Each record of a story of several bases, but for the head. */
static void check_without_each(enum harm harm)
{
    struct story story;
    struct points whole = {.count = 0};
    struct err err = {0};

    story_tell(&story, 160);
    REQUIRE_OK(reader_list(story.history.mem, note_point, &whole, &err), &err);
    EXPECT(whole.count > 10);
    for (uint64_t at = story.history.log.newest.horizon; at < history_head(&story.history); at += HARM_EVERY)
        check_without(&story, &whole, at, harm);
    story_end(&story);
}

TEST(a_damaged_record_takes_away_the_points_that_need_it_and_no_others)
{
    check_without_each(HARM_DAMAGE);
}

TEST(so_does_a_record_that_is_missing)
{
    check_without_each(HARM_DELETION);
}

TEST(so_does_a_pack_that_is_missing)
{
    for (uint64_t first = 3; first < 32; first++) {
        struct story story;
        struct points whole = {.count = 0}, points = {.count = 0};
        struct err err = {0};

        story_tell(&story, 163);
        history_pack(&story.history, first, first + 4);
        history_pack(&story.history, first + 5, first + 6);
        REQUIRE_OK(reader_list(story.history.mem, note_point, &whole, &err), &err);
        EXPECT_OK(store_delete(story.history.mem, key_pack(first, first + 4).text, &err), &err);
        EXPECT(!reader_list(story.history.mem, note_point, &points, &err));
        EXPECT_INT(err.code, ERR_CORRUPT);
        expect_restorable(&story, &whole, &points, first, first + 4);
        story_end(&story);
    }
}

TEST(a_base_record_that_can_not_be_read_takes_away_the_points_that_need_it_and_no_others)
{
    struct story story;
    struct points whole = {.count = 0};
    struct err err = {0};

    story_begin(&story, 161);
    for (int chapter = 0; chapter < 3; chapter++) {
        for (int step = 0; step < 4; step++)
            story_step(&story);
        story_cut(&story, history_head(&story.history) - 1, chapter == 1 ? 0 : 2, chapter == 1);
        story_step(&story);
        whole.count = 0;
        REQUIRE_OK(reader_list(story.history.mem, note_point, &whole, &err), &err);
        check_without(&story, &whole, story.base, HARM_DAMAGE);
        check_without(&story, &whole, story.base, HARM_DELETION);
    }
    story_end(&story);
}

TEST(a_store_whose_head_is_damaged_lists_nothing)
{
    struct story story;
    struct store *faulty;
    struct points points = {.count = 0};
    struct err err = {0};

    story_begin(&story, 162);
    faulty = store_fault_new(story.history.mem);
    store_fault_add(faulty, &(struct store_fault){.operation = "get", .key = "log/", .kind = FAULT_FLIP});
    EXPECT(!reader_list(faulty, note_point, &points, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_INT(points.count, 0);
    store_free(faulty);
    story_end(&story);
}

TAP_MAIN()
