/* Verification of a log with data records: the records, their parts and their blobs. */
#include "snapshot/reader.h"

#include "tests/double/reading.h"
#include "tests/double/story.h"
#include "tests/tap.h"

static void tell(struct story *story, uint64_t seed)
{
    story_begin(story, seed);
    for (int step = 0; step < 12; step++) {
        story->in_bulk = step % 3 == 1;
        story_step(story);
    }
    story_cut(story, history_head(&story->history) - 2, 2, false);
    story_step(story);
}

TEST(a_whole_log_of_data_records_is_verified_without_a_word)
{
    for (uint64_t seed = 80; seed < 84; seed++) {
        struct story story;
        struct damages damages;
        struct err err = {0};

        tell(&story, seed);
        EXPECT_OK(damages_find(story.history.mem, &damages, &err), &err);
        EXPECT_INT(damages.count, 0);
        story_end(&story);
    }
}

enum harm { HARM_FLIP, HARM_CUT, HARM_REMOVE, HARMS };

static void do_harm(struct store *store, const char *key, enum harm harm)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 26);
    struct err err = {0};

    EXPECT_OK(store_get(store, key, &bytes, &err), &err);
    if (harm == HARM_FLIP)
        bytes.bytes[bytes.size / 2] ^= 16;
    EXPECT_OK(harm == HARM_REMOVE
                  ? store_delete(store, key, &err)
                  : store_put(store, key, bytes.bytes, bytes.size / (harm == HARM_CUT ? 2 : 1), &err),
              &err);
}

/* What is harmed alone is named alone. */
static void check_every(const char *prefix, size_t first, size_t end)
{
    for (size_t skip = first;; skip++) {
        for (enum harm harm = HARM_FLIP; harm < HARMS; harm++) {
            struct story story;
            struct damages damages;
            struct some_key key;
            struct err err = {0};

            tell(&story, 85);
            if (skip + end >= store_mem_count(story.history.mem, prefix)) {
                EXPECT(skip > first);
                story_end(&story);
                return;
            }
            key = key_below(story.history.mem, prefix, skip);
            do_harm(story.history.mem, key.text, harm);
            EXPECT(!damages_find(story.history.mem, &damages, &err));
            EXPECT(damages_name(&damages, key.text));
            EXPECT_INT(damages.count, 1);
            story_end(&story);
        }
    }
}

TEST(every_record_that_is_damaged_or_missing_is_named)
{
    check_every("log/", 1, 2); /* neither the head nor what lies below the horizon */
}

TEST(every_part_that_is_damaged_or_missing_is_named)
{
    check_every("part/", 0, 0);
}

TEST(every_blob_that_is_damaged_or_missing_is_named)
{
    check_every("blob/", 0, 0);
}

/* The base at the horizon names a blob that a record up to the horizon has dropped. */
TEST(a_blob_that_was_dropped_before_the_horizon_may_be_gone)
{
    struct story story;
    struct damages damages;
    struct buf body;
    struct blob_name dropped = {0};
    struct key key;
    struct err err = {0};
    uint64_t position;

    story_begin(&story, 87);
    for (int file = 0; file < STORY_FILES && dropped.tag == 0; file++)
        if (story.now.files[file].pieces_count > 0)
            dropped = (struct blob_name){story.now.files[file].pieces[0].tag,
                                         story.now.files[file].pieces[0].content};
    REQUIRE(dropped.tag != 0);
    position = history_head(&story.history);
    body = story_body();
    data_add_dropped(&body, &dropped, 1);
    (void)story_append(&story, &body);
    /* A base that stands before that record, with the horizon at its own. */
    story.base = 0;
    story.history.log.newest.horizon = 0;
    story_cut(&story, position, 0, false);
    key = key_blob(dropped.tag, &dropped.content);
    REQUIRE_OK(store_delete(story.history.mem, key.text, &err), &err);
    EXPECT_OK(damages_find(story.history.mem, &damages, &err), &err);
    EXPECT_INT(damages.count, 0);
    story_end(&story);
}

TEST(a_body_that_no_restore_could_read_is_named)
{
    struct story story;
    struct damages damages;
    struct buf body;
    struct key key;
    struct err err = {0};

    tell(&story, 88);
    body = story_body();
    buf_add(&body, "\xff\xff\0\0\0\0\0\0\1\0\0\0\0\0\0\0x", 17);
    key = key_log(story_append(&story, &body));
    EXPECT(!damages_find(story.history.mem, &damages, &err));
    EXPECT(damages_name(&damages, key.text));
    EXPECT_INT(damages.count, 1);
    story_end(&story);
}

static void note_reason(void *context, const char *key, const char *reason)
{
    (void)key;
    buf_add_text(context, reason);
}

/* Pruning leaves what can't be read for good, so verification names it for good, too. */
TEST(a_damaged_record_that_nothing_needs_is_said_to_be_so)
{
    for (uint64_t position = 1; position <= 3; position += 2) { /* below S of the only base, and above */
        struct story story;
        CLEANUP(buf_clearp) struct buf reasons = BUF_INIT(4096);
        struct reader_damage damage = {note_reason, &reasons};
        struct reader_result result;
        struct err err = {0};

        tell(&story, 90);
        do_harm(story.history.mem, key_log(position).text, HARM_CUT);
        EXPECT(!reader_verify(story.history.mem, &damage, NULL, NULL, &result, &err));
        EXPECT_INT(err.code, ERR_CORRUPT);
        EXPECT((strstr(buf_text(&reasons), "no point that can be restored needs it") != NULL) ==
               (position == 1));
        story_end(&story);
    }
}

TEST(a_record_of_another_branch_is_named)
{
    struct story story;
    struct history other;
    struct damages damages;
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct key key;
    struct err err = {0};

    tell(&story, 89);
    key = key_log(9);
    history_begin(&other);
    other.log.newest.lineage = story.history.lineage;
    history_fill(&other, 8, 9);
    history_read(&other, 9, &bytes);
    history_replace(&story.history, 9, &bytes);
    EXPECT(!damages_find(story.history.mem, &damages, &err));
    EXPECT(damages_name(&damages, key.text));
    history_end(&other);
    story_end(&story);
}

TAP_MAIN()
