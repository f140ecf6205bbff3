/* Where the outbox may be cut. */
#include "snapshot/cuts.h"
#include "tests/tap.h"

static void add(struct cuts *cuts, uint64_t end, uint64_t position)
{
    struct cut cut = {.end = end, .position = position};

    cuts_add(cuts, &cut);
}

static uint64_t chosen(struct cuts *cuts, uint64_t end)
{
    const struct cut *cut = cuts_choose(cuts, end);

    return cut ? cut->end : UINT64_MAX;
}

TEST(the_newest_that_fits_is_chosen_and_the_oldest_if_none_does)
{
    struct cuts cuts = {.count = 0};

    EXPECT(cuts_choose(&cuts, 100) == NULL);
    add(&cuts, 10, 1);
    add(&cuts, 20, 2);
    add(&cuts, 30, 3);
    EXPECT_INT(chosen(&cuts, 100), 30);
    EXPECT_INT(chosen(&cuts, 29), 20);
    EXPECT_INT(chosen(&cuts, 20), 20);
    EXPECT_INT(chosen(&cuts, 9), 10);
    cuts_clear(&cuts);
}

TEST(one_that_ends_at_the_same_place_replaces_the_one_before)
{
    struct cuts cuts = {.count = 0};

    add(&cuts, 10, 1);
    add(&cuts, 10, 5);
    EXPECT_INT(cuts.count, 1);
    EXPECT_INT(cuts_choose(&cuts, 10)->position, 5);
    cuts_clear(&cuts);
}

TEST(what_a_record_holds_is_dropped)
{
    struct cuts cuts = {.count = 0};

    add(&cuts, 10, 1);
    add(&cuts, 20, 2);
    add(&cuts, 30, 3);
    cuts_release(&cuts, 20);
    EXPECT_INT(cuts.count, 1);
    EXPECT_INT(chosen(&cuts, 20), 30);
    cuts_release(&cuts, 30);
    EXPECT_INT(cuts.count, 0);
    cuts_clear(&cuts);
}

TEST(a_long_wait_is_thinned_out_and_the_ends_of_it_stay)
{
    struct cuts cuts = {.count = 0};

    for (uint64_t at = 1; at <= 10000; at++) {
        add(&cuts, at * 10, at);
        EXPECT(cuts.count <= CUTS_MAX);
        EXPECT_INT(chosen(&cuts, UINT64_MAX), at * 10);
    }
    /* What one record would have to take stays bounded: no gap is a large part of the whole. */
    for (size_t at = 1; at < cuts.count; at++) {
        EXPECT(cuts.list[at].end > cuts.list[at - 1].end);
        EXPECT(cuts.list[at].end - cuts.list[at - 1].end <= 100000 / 8);
    }
    cuts_clear(&cuts);
}

TEST(the_marks_of_a_cut_are_its_own)
{
    struct cuts cuts = {.count = 0};
    struct cut cut = {.end = 10, .position = 1};

    cut.point.databases = xcalloc(1, sizeof(cut.point.databases[0]));
    cut.point.databases[0].path = xstrdup("a.sqlite3");
    cut.point.databases_count = 1;
    cuts_add(&cuts, &cut);
    EXPECT_INT(cut.point.databases_count, 0);
    EXPECT_INT(cuts_choose(&cuts, 10)->point.databases_count, 1);
    cuts_clear(&cuts); /* the leak check looks */
}

TAP_MAIN()
