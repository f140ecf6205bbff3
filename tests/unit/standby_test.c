/* A copy that follows the log: whatever its owner appends or restarts, and however often the follower is
 * stopped. */
#include "tests/double/following.h"
#include "tests/double/no_sync.h"
#include "tests/double/store_fault.h"
#include "tests/tap.h"

TEST(every_record_is_followed_one_by_one)
{
    for (uint64_t seed = 300; seed < 304; seed++) {
        struct story story;
        struct following following;

        story_begin(&story, seed);
        following_begin(&following, story.history.mem);
        for (int step = 0; step < 20; step++) {
            story.in_bulk = step % 5 == 3;
            REQUIRE(following_matches(&following, &story));
            story_step(&story);
        }
        EXPECT(following_matches(&following, &story));
        EXPECT_INT(following.warnings, 0);
        following_end(&following);
        story_end(&story);
    }
}

TEST(many_records_are_followed_at_once)
{
    struct story story;
    struct following following;

    story_begin(&story, 310);
    following_begin(&following, story.history.mem);
    for (int round = 0; round < 4; round++) {
        for (int step = 0; step < 1 + 30 * round; step++)
            story_step(&story);
        REQUIRE(following_matches(&following, &story));
    }
    following_end(&following);
    story_end(&story);
}

TEST(a_follower_goes_on_in_its_directory)
{
    for (uint64_t seed = 320; seed < 324; seed++) {
        struct story story;
        struct following following;

        story_begin(&story, seed);
        following_begin(&following, story.history.mem);
        for (int step = 0; step < 12; step++) {
            story_step(&story);
            REQUIRE(following_matches(&following, &story));
            following_stop(&following);
            REQUIRE_OK(following_start(&following), &following.err);
        }
        EXPECT_INT(following.warnings, 0);
        following_end(&following);
        story_end(&story);
    }
}

TEST(records_that_change_nothing_move_it_on)
{
    struct story story;
    struct following following;
    bool moved = true;

    story_begin(&story, 330);
    following_begin(&following, story.history.mem);
    EXPECT(following_matches(&following, &story));
    story_idle(&story, RECORD_DRAIN);
    story_idle(&story, RECORD_CLOSE);
    EXPECT(following_matches(&following, &story));
    story_step(&story);
    story_cut(&story, history_head(&story.history) - 1, 2, false);
    EXPECT(following_matches(&following, &story));
    EXPECT(standby_advance(following.standby, &moved, &following.err) && !moved);
    following_end(&following);
    story_end(&story);
}

/* Databases that stand at different records below the base that the copy begins with. */
TEST(a_copy_begins_with_any_base)
{
    for (uint64_t seed = 340; seed < 346; seed++) {
        struct story story;
        struct following following;
        uint64_t position;

        story_begin(&story, seed);
        for (int step = 0; step < 12; step++)
            story_step(&story);
        position = history_head(&story.history);
        story_step(&story);
        story_cut(&story, position, 6, false);
        story_step(&story);
        following_begin(&following, story.history.mem);
        EXPECT(following_matches(&following, &story));
        story_step(&story);
        EXPECT(following_matches(&following, &story));
        following_end(&following);
        story_end(&story);
    }
}

TEST(a_base_that_restarts_the_state_is_taken)
{
    for (uint64_t seed = 350; seed < 356; seed++) {
        struct story story;
        struct following following;

        story_begin(&story, seed);
        following_begin(&following, story.history.mem);
        for (int step = 0; step < 4; step++)
            story_step(&story);
        if (seed % 2 == 0)
            REQUIRE(following_matches(&following, &story));
        story_cut(&story, history_head(&story.history) - 2, 0, true);
        if (seed % 3 == 0)
            REQUIRE(following_matches(&following, &story));
        story_step(&story);
        REQUIRE(following_matches(&following, &story));
        following_stop(&following);
        REQUIRE_OK(following_start(&following), &following.err);
        story_cut(&story, history_head(&story.history), 0, true);
        story_step(&story);
        REQUIRE(following_matches(&following, &story));
        EXPECT_INT(following.warnings, 0);
        following_end(&following);
        story_end(&story);
    }
}

/* What a base only repeats is neither fetched nor written. */
TEST(of_a_base_only_what_differs_is_fetched)
{
    struct story story;
    struct following following;
    struct store *counted;
    struct stat before;

    story_begin(&story, 361);
    counted = store_fault_new(story.history.mem);
    following_begin(&following, counted);
    story_step(&story);
    REQUIRE(following_matches(&following, &story));
    for (int round = 0; round < 2; round++) {
        size_t blobs = store_fault_count(counted, "get", "blob/");
        before = scratch_stat(following.copy.fd, "db.sqlite3");
        story_cut(&story, history_head(&story.history), 0, true);
        REQUIRE(following_matches(&following, &story));
        EXPECT_INT(scratch_stat(following.copy.fd, "db.sqlite3").st_ino, before.st_ino);
        EXPECT_INT(store_fault_count(counted, "get", "blob/"), blobs);
        following_stop(&following); /* the second time it knows of the large files only what is on the disk */
        REQUIRE_OK(following_start(&following), &following.err);
    }
    following_end(&following);
    store_free(counted);
    story_end(&story);
}

TEST(where_nothing_happens_a_look_is_one_request)
{
    struct story story;
    struct following following;
    struct store *counted;
    size_t gets, lists;
    bool moved;

    story_begin(&story, 370);
    counted = store_fault_new(story.history.mem);
    following_begin(&following, counted);
    REQUIRE(following_advance(&following));
    REQUIRE(following_advance(&following));
    gets = store_fault_count(counted, "get", "");
    lists = store_fault_count(counted, "list", "");
    for (int look = 0; look < 5; look++)
        EXPECT(standby_advance(following.standby, &moved, &following.err) && !moved);
    EXPECT_INT(store_fault_count(counted, "get", "") - gets, 5);
    EXPECT_INT(store_fault_count(counted, "list", "") - lists, 0);
    EXPECT_INT(store_fault_count(counted, "put", ""), 0);
    EXPECT_INT(store_fault_count(counted, "delete", ""), 0);
    following_end(&following);
    store_free(counted);
    story_end(&story);
}

TEST(pauses_grow_while_nothing_happens)
{
    uint64_t pause = 0, sum = 0;

    EXPECT_INT(pause = standby_pause_ms(pause, 1000, true), 1000);
    for (int look = 0; look < 5; look++)
        sum += pause = standby_pause_ms(pause, 1000, false);
    EXPECT_INT(sum, 2000 + 4000 + 3 * 5000);
    EXPECT_INT(standby_pause_ms(pause, 1000, true), 1000);
    EXPECT_INT(standby_pause_ms(20000, 20000, false), 20000);
    EXPECT(standby_pause_ms(0, 0, true) > 0);
}

TAP_MAIN()
