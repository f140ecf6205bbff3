/* A log that no longer leads on from the copy: pruned, damaged, exchanged. */
#include "tests/double/following.h"
#include "tests/double/no_sync.h"
#include "tests/double/store_fault.h"
#include "tests/tap.h"

static void prune_below(struct story *story, uint64_t position)
{
    struct err err = {0};

    for (uint64_t at = 2; at < position; at++)
        REQUIRE_OK(store_delete(story->history.mem, key_log(at).text, &err), &err);
}

TEST(a_copy_whose_next_records_were_pruned_begins_anew)
{
    for (uint64_t seed = 400; seed < 404; seed++) {
        struct story story;
        struct following following;

        story_begin(&story, seed);
        following_begin(&following, story.history.mem);
        for (int step = 0; step < 3; step++)
            story_step(&story);
        REQUIRE(following_matches(&following, &story));
        following_stop(&following);
        for (int step = 0; step < 5; step++)
            story_step(&story);
        story_cut(&story, history_head(&story.history), 0, true);
        story_step(&story);
        prune_below(&story, story.base);
        REQUIRE_OK(following_start(&following), &following.err);
        REQUIRE(following_matches(&following, &story));
        EXPECT_INT(following.warnings, 1);
        following_end(&following);
        story_end(&story);
    }
}

/* Records that were packed, and are loose no more, lead on like any other. */
TEST(what_was_packed_meanwhile_is_found_there)
{
    struct story story;
    struct following following;
    uint64_t first;

    story_begin(&story, 405);
    following_begin(&following, story.history.mem);
    story_step(&story);
    REQUIRE(following_matches(&following, &story));
    following_stop(&following);
    first = history_head(&story.history) - 1;
    for (int step = 0; step < 6; step++)
        story_step(&story);
    history_pack(&story.history, first, history_head(&story.history) - 2);
    REQUIRE_OK(following_start(&following), &following.err);
    EXPECT(following_matches(&following, &story));
    EXPECT_INT(following.warnings, 0);
    following_end(&following);
    story_end(&story);
}

TEST(a_damaged_record_is_passed_by_with_a_newer_base)
{
    struct story story;
    struct following following;
    struct store *faulty;
    struct key key;

    story_begin(&story, 410);
    faulty = store_fault_new(story.history.mem);
    following_begin(&following, faulty);
    REQUIRE(following_matches(&following, &story));
    following_stop(&following);
    story_step(&story);
    key = key_log(history_head(&story.history));
    story_step(&story);
    store_fault_add(faulty, &(struct store_fault){.operation = "get", .key = key.text, .kind = FAULT_FLIP});
    REQUIRE_OK(following_start(&following), &following.err);
    EXPECT(!following_advance(&following));
    EXPECT_INT(following.err.code, ERR_CORRUPT);
    EXPECT(strstr(following.err.text, key.text) != NULL);
    following_stop(&following);
    story_cut(&story, history_head(&story.history), 0, true);
    REQUIRE_OK(following_start(&following), &following.err);
    EXPECT(following_matches(&following, &story));
    following_end(&following);
    store_free(faulty);
    story_end(&story);
}

/* The newest base is far behind the copy, and what is damaged lies ahead of it. */
TEST(a_damaged_record_without_a_newer_base_leaves_the_copy_where_it_is)
{
    struct story story;
    struct following following;
    struct store *faulty;
    struct key key;

    story_begin(&story, 415);
    faulty = store_fault_new(story.history.mem);
    following_begin(&following, faulty);
    for (int step = 0; step < 70; step++)
        story_step(&story);
    REQUIRE(following_matches(&following, &story));
    story_step(&story);
    key = key_log(history_head(&story.history));
    story_step(&story);
    store_fault_add(faulty, &(struct store_fault){.operation = "get", .key = key.text, .kind = FAULT_FLIP});
    EXPECT(following_refuses(&following, &story, ERR_CORRUPT, key.text));
    following_stop(&following);
    store_fault_clear(faulty);
    REQUIRE_OK(following_start(&following), &following.err);
    EXPECT(following_matches(&following, &story));
    following_end(&following);
    store_free(faulty);
    story_end(&story);
}

/* A claimant that stalled has left its open where a record was pruned: it has the hash of the record that the
 * copy stands at, and the head is far away. */
TEST(an_open_in_a_hole_of_the_log_leads_nowhere)
{
    struct story story;
    struct following following;
    struct history other;
    struct log_change open = {.kind = RECORD_OPEN};
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(512), bytes = BUF_INIT(RECORD_SIZE_MAX);
    uint64_t stalled;

    story_begin(&story, 420);
    following_begin(&following, story.history.mem);
    story_step(&story);
    REQUIRE(following_matches(&following, &story));
    following_stop(&following);
    history_begin(&other);
    log_follow(&other.log, &story.history.log.newest, &story.history.log.newest_hash);
    wire_add_str(&body, "1", 1);
    wire_add_str(&body, "host", 4);
    open.body = body.bytes;
    open.body_size = body.size;
    stalled = history_append(&other, &open);
    history_read(&other, stalled, &bytes);
    for (int step = 0; step < 4; step++)
        story_step(&story);
    story_cut(&story, history_head(&story.history), 0, true);
    story_step(&story);
    prune_below(&story, story.base);
    history_replace(&story.history, stalled, &bytes);
    REQUIRE_OK(following_start(&following), &following.err);
    EXPECT(following_matches(&following, &story));
    EXPECT_INT(following.warnings, 1);
    history_end(&other);
    following_end(&following);
    story_end(&story);
}

/* The same log up to some record, and then another one. */
static void branch(struct story *story, struct history *other, uint64_t from)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);

    history_begin(other);
    other->log.newest.lineage = story->history.lineage;
    history_fill(other, history_head(&story->history) + 3, 9);
    for (uint64_t at = from; at <= history_head(other); at++) {
        history_read(other, at, &bytes);
        history_replace(&story->history, at, &bytes);
    }
}

TEST(another_history_is_never_applied)
{
    for (int case_ = 0; case_ < 3; case_++) {
        struct story story;
        struct following following;
        struct history other;
        struct err err = {0};
        uint64_t position;

        story_begin(&story, 430);
        following_begin(&following, story.history.mem);
        story_step(&story);
        story_step(&story);
        REQUIRE(following_matches(&following, &story));
        position = history_head(&story.history);
        if (case_ == 2) /* found by somebody who comes back */
            following_stop(&following);
        branch(&story, &other, case_ == 1 ? position + 1 : position);
        if (case_ == 1)
            REQUIRE_OK(store_delete(story.history.mem, key_log(position).text, &err), &err);
        if (case_ == 2)
            REQUIRE_OK(following_start(&following), &following.err);
        EXPECT(following_refuses(&following, &story, ERR_CORRUPT, "another history"));
        history_end(&other);
        following_end(&following);
        story_end(&story);
    }
}

TEST(a_store_that_was_set_back_or_exchanged_is_not_followed)
{
    struct story story, stranger;
    struct following following;
    struct err err = {0};

    story_begin(&story, 440);
    story_step(&story);
    following_begin(&following, story.history.mem);
    REQUIRE(following_matches(&following, &story));
    following_stop(&following);
    story_begin(&stranger, 441);
    story_step(&stranger);
    following.store = stranger.history.mem;
    REQUIRE_OK(following_start(&following), &following.err);
    EXPECT(following_refuses(&following, &story, ERR_CONFIG, "another deployment"));
    following_stop(&following);
    following.store = story.history.mem;
    REQUIRE_OK(store_delete(story.history.mem, key_log(history_head(&story.history)).text, &err), &err);
    REQUIRE_OK(following_start(&following), &following.err);
    EXPECT(following_refuses(&following, &story, ERR_CORRUPT, "set back"));
    following_end(&following);
    story_end(&stranger);
    story_end(&story);
}

TAP_MAIN()
