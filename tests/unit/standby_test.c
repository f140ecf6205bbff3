/* A copy that follows the log: whatever its owner appends or restarts, and however often the follower is
 * stopped. */
#include "tests/double/following.h"
#include "tests/double/no_sync.h"
#include "tests/double/store_fault.h"
#include "tests/tap.h"

TEST(every_record_is_followed_one_by_one)
{
    for (uint64_t seed = 300; seed < 304; seed++) {
        struct pursuit pursuit;

        pursuit_begin(&pursuit, seed, 0);
        for (int step = 0; step < 20; step++) {
            pursuit.story.in_bulk = step % 5 == 3;
            REQUIRE(pursuit_matches(&pursuit));
            story_step(&pursuit.story);
        }
        EXPECT(pursuit_matches(&pursuit));
        EXPECT_INT(pursuit.following.warnings, 0);
        pursuit_end(&pursuit);
    }
}

TEST(many_records_are_followed_at_once)
{
    struct pursuit pursuit;

    pursuit_begin(&pursuit, 310, 0);
    for (int round = 0; round < 4; round++) {
        pursuit_steps(&pursuit, 1 + 30 * round);
        REQUIRE(pursuit_matches(&pursuit));
    }
    pursuit_end(&pursuit);
}

TEST(a_follower_goes_on_in_its_directory)
{
    for (uint64_t seed = 320; seed < 324; seed++) {
        struct pursuit pursuit;

        pursuit_begin(&pursuit, seed, 0);
        for (int step = 0; step < 12; step++) {
            story_step(&pursuit.story);
            REQUIRE(pursuit_matches(&pursuit));
            REQUIRE(pursuit_restart(&pursuit));
        }
        EXPECT_INT(pursuit.following.warnings, 0);
        pursuit_end(&pursuit);
    }
}

TEST(records_that_change_nothing_move_it_on)
{
    struct pursuit pursuit;
    bool moved = true;

    pursuit_begin(&pursuit, 330, 0);
    EXPECT(pursuit_matches(&pursuit));
    story_idle(&pursuit.story, RECORD_DRAIN);
    story_idle(&pursuit.story, RECORD_CLOSE);
    EXPECT(pursuit_matches(&pursuit));
    story_step(&pursuit.story);
    story_cut(&pursuit.story, history_head(&pursuit.story.history) - 1, 2, false);
    EXPECT(pursuit_matches(&pursuit));
    EXPECT(standby_advance(pursuit.following.standby, &moved, &pursuit.following.err) && !moved);
    pursuit_end(&pursuit);
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
        struct pursuit pursuit;

        pursuit_begin(&pursuit, seed, 0);
        pursuit_steps(&pursuit, 4);
        if (seed % 2 == 0)
            REQUIRE(pursuit_matches(&pursuit));
        story_cut(&pursuit.story, history_head(&pursuit.story.history) - 2, 0, true);
        if (seed % 3 == 0)
            REQUIRE(pursuit_matches(&pursuit));
        story_step(&pursuit.story);
        REQUIRE(pursuit_matches(&pursuit));
        REQUIRE(pursuit_restart(&pursuit));
        story_cut(&pursuit.story, history_head(&pursuit.story.history), 0, true);
        story_step(&pursuit.story);
        REQUIRE(pursuit_matches(&pursuit));
        EXPECT_INT(pursuit.following.warnings, 0);
        pursuit_end(&pursuit);
    }
}

/* What a base only repeats is neither fetched nor written. */
TEST(of_a_base_only_what_differs_is_fetched)
{
    struct pursuit pursuit;
    struct stat before;

    pursuit_begin(&pursuit, 361, 0);
    story_step(&pursuit.story);
    REQUIRE(pursuit_matches(&pursuit));
    for (int round = 0; round < 2; round++) {
        size_t blobs = store_fault_count(pursuit.faulty, "get", "blob/");
        before = scratch_stat(pursuit.following.copy.fd, "db.sqlite3");
        story_cut(&pursuit.story, history_head(&pursuit.story.history), 0, true);
        REQUIRE(pursuit_matches(&pursuit));
        EXPECT_INT(scratch_stat(pursuit.following.copy.fd, "db.sqlite3").st_ino, before.st_ino);
        EXPECT_INT(store_fault_count(pursuit.faulty, "get", "blob/"), blobs);
        REQUIRE(pursuit_restart(
            &pursuit)); /* the second time it knows of the large files only what is on the disk */
    }
    pursuit_end(&pursuit);
}

TEST(where_nothing_happens_a_look_is_one_request)
{
    struct pursuit pursuit;
    size_t gets, lists;
    bool moved;

    pursuit_begin(&pursuit, 370, 0);
    REQUIRE(following_advance(&pursuit.following));
    REQUIRE(following_advance(&pursuit.following));
    gets = store_fault_count(pursuit.faulty, "get", "");
    lists = store_fault_count(pursuit.faulty, "list", "");
    for (int look = 0; look < 5; look++)
        EXPECT(standby_advance(pursuit.following.standby, &moved, &pursuit.following.err) && !moved);
    EXPECT_INT(store_fault_count(pursuit.faulty, "get", "") - gets, 5);
    EXPECT_INT(store_fault_count(pursuit.faulty, "list", "") - lists, 0);
    EXPECT_INT(store_fault_count(pursuit.faulty, "put", ""), 0);
    EXPECT_INT(store_fault_count(pursuit.faulty, "delete", ""), 0);
    pursuit_end(&pursuit);
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
