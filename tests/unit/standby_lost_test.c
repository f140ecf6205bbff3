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
        struct pursuit pursuit;

        pursuit_begin(&pursuit, seed, 0);
        pursuit_steps(&pursuit, 3);
        REQUIRE(pursuit_matches(&pursuit));
        following_stop(&pursuit.following);
        pursuit_steps(&pursuit, 5);
        story_cut(&pursuit.story, history_head(&pursuit.story.history), 0, true);
        story_step(&pursuit.story);
        prune_below(&pursuit.story, pursuit.story.base);
        REQUIRE_OK(following_start(&pursuit.following), &pursuit.following.err);
        REQUIRE(pursuit_matches(&pursuit));
        EXPECT_INT(pursuit.following.warnings, 1);
        pursuit_end(&pursuit);
    }
}

/* Records that were packed, and are loose no more, lead on like any other. */
TEST(what_was_packed_meanwhile_is_found_there)
{
    struct pursuit pursuit;
    uint64_t first;

    pursuit_begin(&pursuit, 405, 0);
    story_step(&pursuit.story);
    REQUIRE(pursuit_matches(&pursuit));
    following_stop(&pursuit.following);
    first = history_head(&pursuit.story.history) - 1;
    pursuit_steps(&pursuit, 6);
    history_pack(&pursuit.story.history, first, history_head(&pursuit.story.history) - 2);
    REQUIRE_OK(following_start(&pursuit.following), &pursuit.following.err);
    EXPECT(pursuit_matches(&pursuit));
    EXPECT_INT(pursuit.following.warnings, 0);
    pursuit_end(&pursuit);
}

TEST(a_damaged_record_is_passed_by_with_a_newer_base)
{
    struct pursuit pursuit;
    struct key key;

    pursuit_begin(&pursuit, 410, 0);
    REQUIRE(pursuit_matches(&pursuit));
    following_stop(&pursuit.following);
    story_step(&pursuit.story);
    key = key_log(history_head(&pursuit.story.history));
    story_step(&pursuit.story);
    store_fault_add(pursuit.faulty,
                    &(struct store_fault){.operation = "get", .key = key.text, .kind = FAULT_FLIP});
    REQUIRE_OK(following_start(&pursuit.following), &pursuit.following.err);
    EXPECT(!following_advance(&pursuit.following));
    EXPECT_INT(pursuit.following.err.code, ERR_CORRUPT);
    EXPECT(strstr(pursuit.following.err.text, key.text) != NULL);
    following_stop(&pursuit.following);
    story_cut(&pursuit.story, history_head(&pursuit.story.history), 0, true);
    REQUIRE_OK(following_start(&pursuit.following), &pursuit.following.err);
    EXPECT(pursuit_matches(&pursuit));
    pursuit_end(&pursuit);
}

/* The newest base is far behind the copy, and what is damaged lies ahead of it. */
TEST(a_damaged_record_without_a_newer_base_leaves_the_copy_where_it_is)
{
    struct pursuit pursuit;
    struct key key;

    pursuit_begin(&pursuit, 415, 0);
    pursuit_steps(&pursuit, 70);
    REQUIRE(pursuit_matches(&pursuit));
    story_step(&pursuit.story);
    key = key_log(history_head(&pursuit.story.history));
    story_step(&pursuit.story);
    store_fault_add(pursuit.faulty,
                    &(struct store_fault){.operation = "get", .key = key.text, .kind = FAULT_FLIP});
    EXPECT(pursuit_refuses(&pursuit, ERR_CORRUPT, key.text));
    following_stop(&pursuit.following);
    store_fault_clear(pursuit.faulty);
    REQUIRE_OK(following_start(&pursuit.following), &pursuit.following.err);
    EXPECT(pursuit_matches(&pursuit));
    pursuit_end(&pursuit);
}

/* A claimant that stalled has left its open where a record was pruned: it has the hash of the record that the
 * copy stands at, and the head is far away. */
TEST(an_open_in_a_hole_of_the_log_leads_nowhere)
{
    struct pursuit pursuit;
    struct history other;
    struct log_change open = {.kind = RECORD_OPEN};
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(512), bytes = BUF_INIT(RECORD_SIZE_MAX);
    uint64_t stalled;

    pursuit_begin(&pursuit, 420, 0);
    story_step(&pursuit.story);
    REQUIRE(pursuit_matches(&pursuit));
    following_stop(&pursuit.following);
    history_begin(&other);
    log_follow(&other.log, &pursuit.story.history.log.newest, &pursuit.story.history.log.newest_hash);
    wire_add_str(&body, "1", 1);
    wire_add_str(&body, "host", 4);
    open.body = body.bytes;
    open.body_size = body.size;
    stalled = history_append(&other, &open);
    history_read(&other, stalled, &bytes);
    pursuit_steps(&pursuit, 4);
    story_cut(&pursuit.story, history_head(&pursuit.story.history), 0, true);
    story_step(&pursuit.story);
    prune_below(&pursuit.story, pursuit.story.base);
    history_replace(&pursuit.story.history, stalled, &bytes);
    REQUIRE_OK(following_start(&pursuit.following), &pursuit.following.err);
    EXPECT(pursuit_matches(&pursuit));
    EXPECT_INT(pursuit.following.warnings, 1);
    history_end(&other);
    pursuit_end(&pursuit);
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
        struct pursuit pursuit;
        struct history other;
        struct err err = {0};
        uint64_t position;

        pursuit_begin(&pursuit, 430, 0);
        story_step(&pursuit.story);
        story_step(&pursuit.story);
        REQUIRE(pursuit_matches(&pursuit));
        position = history_head(&pursuit.story.history);
        if (case_ == 2) /* found by somebody who comes back */
            following_stop(&pursuit.following);
        branch(&pursuit.story, &other, case_ == 1 ? position + 1 : position);
        if (case_ == 1)
            REQUIRE_OK(store_delete(pursuit.story.history.mem, key_log(position).text, &err), &err);
        if (case_ == 2)
            REQUIRE_OK(following_start(&pursuit.following), &pursuit.following.err);
        EXPECT(pursuit_refuses(&pursuit, ERR_CORRUPT, "another history"));
        history_end(&other);
        pursuit_end(&pursuit);
    }
}

TEST(a_store_that_was_set_back_or_exchanged_is_not_followed)
{
    struct story stranger;
    struct pursuit pursuit;
    struct err err = {0};

    pursuit_begin(&pursuit, 440, 1);
    REQUIRE(pursuit_matches(&pursuit));
    following_stop(&pursuit.following);
    story_begin(&stranger, 441);
    story_step(&stranger);
    pursuit.following.store = stranger.history.mem;
    REQUIRE_OK(following_start(&pursuit.following), &pursuit.following.err);
    EXPECT(pursuit_refuses(&pursuit, ERR_CONFIG, "another deployment"));
    following_stop(&pursuit.following);
    pursuit.following.store = pursuit.story.history.mem;
    REQUIRE_OK(
        store_delete(pursuit.story.history.mem, key_log(history_head(&pursuit.story.history)).text, &err),
        &err);
    REQUIRE_OK(following_start(&pursuit.following), &pursuit.following.err);
    EXPECT(pursuit_refuses(&pursuit, ERR_CORRUPT, "set back"));
    pursuit_end(&pursuit);
    story_end(&stranger);
}

TAP_MAIN()
