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

/* Of the points that a whole store has, those are listed that a restore can do without the harmed record. */
static void check_without(struct story *story, const struct points *whole, uint64_t harmed)
{
    CLEANUP(buf_clearp) struct buf before = BUF_INIT(RECORD_SIZE_MAX), bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct points points = {.count = 0};
    struct err err = {0};

    history_read(&story->history, harmed, &before);
    buf_add(&bytes, before.bytes, before.size);
    bytes.bytes[bytes.size / 2] ^= 16;
    history_replace(&story->history, harmed, &bytes);
    EXPECT(!reader_list(story->history.mem, note_point, &points, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, key_log(harmed).text) != NULL);
    for (size_t at = 0; at < whole->count; at++) {
        bool listed = has_point(&points, whole->records[at]);
        if (!EXPECT(listed == restores(story->history.mem, whole->records[at])))
            printf("#   record %" PRIu64 " without record %" PRIu64 ": %s\n", whole->records[at], harmed,
                   listed ? "listed, and can't be restored" : "can be restored, and isn't listed");
    }
    history_replace(&story->history, harmed, &before);
}

TEST(a_damaged_record_takes_away_the_points_that_need_it_and_no_others)
{
    struct story story;
    struct points whole = {.count = 0};
    struct err err = {0};

    story_tell(&story, 160);
    REQUIRE_OK(reader_list(story.history.mem, note_point, &whole, &err), &err);
    EXPECT(whole.count > 10);
    for (uint64_t at = story.history.log.newest.horizon; at < history_head(&story.history); at += HARM_EVERY)
        check_without(&story, &whole, at);
    story_end(&story);
}

TEST(a_damaged_base_record_takes_away_the_points_that_need_it_and_no_others)
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
        check_without(&story, &whole, story.base);
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
