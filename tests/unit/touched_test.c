#include "snapshot/touched.h"

#include "base/buf.h"
#include "tests/tap.h"

static void add_entry(struct tree *tree, const char *path)
{
    tree_add(tree, path, strlen(path), NULL, 0)->kind = ENTRY_FILE;
}

TEST(paths_are_kept_in_order_each_once)
{
    struct touched touched = {0};

    (void)touched_add(&touched, "b", 1, false);
    (void)touched_add(&touched, "a/b", 2, false);
    (void)touched_add(&touched, "a", 3, true);
    (void)touched_add(&touched, "b", 4, false);
    REQUIRE(touched.count == 3 && !touched.all);
    EXPECT_STR(touched.list[0].path, "a");
    EXPECT_STR(touched.list[1].path, "a/b");
    EXPECT_STR(touched.list[2].path, "b");
    EXPECT_INT(touched.list[2].directory_inode, 4); /* what is said last */
    touched_clear(&touched);
    EXPECT(touched.count == 0);
}

TEST(that_all_below_is_unknown_is_never_taken_back)
{
    struct touched touched = {0};

    (void)touched_add(&touched, "a", 1, true);
    (void)touched_add(&touched, "a", 1, false);
    EXPECT(touched.list[0].below);
    touched_clear(&touched);
}

TEST(too_many_become_everything)
{
    struct touched touched = {.most = 2};

    (void)touched_add(&touched, "a", 0, false);
    (void)touched_add(&touched, "b", 0, false);
    EXPECT(touched_add(&touched, "a", 0, false) && !touched.all);
    EXPECT(!touched_add(&touched, "c", 0, false) && touched.all);
    EXPECT_INT(touched.count, 0);
}

TEST(a_path_is_covered_by_a_directory_above_it)
{
    struct touched touched = {0};

    EXPECT(!touched_covers(&touched, "a", false));
    (void)touched_add(&touched, "a/b", 0, true);
    (void)touched_add(&touched, "c", 0, false);
    EXPECT(touched_covers(&touched, "a/b", true) && touched_covers(&touched, "a/b/c/d", true));
    EXPECT(!touched_covers(&touched, "a", false) && !touched_covers(&touched, "a/bc", false));
    EXPECT(touched_covers(&touched, "c", true) && !touched_covers(&touched, "c/d", true));
    EXPECT(touched_covers(&touched, "c/d", false));
    touched_clear(&touched);
}

TEST(what_comes_after_a_look_outlives_it)
{
    struct touched touched = {0}, first = {0}, second = {0};

    (void)touched_add(&first, "early", 0, false);
    touched_add(&first, "both", 0, true)->written = true;
    touched_merge(&touched, &first, 1);
    EXPECT(first.count == 0 && touched.count == 2);
    (void)touched_add(&second, "both", 0, false);
    (void)touched_add(&second, "late", 0, false);
    touched_merge(&touched, &second, 2);
    touched_settle(&touched, 1);
    EXPECT(!touched_find(&touched, "early"));
    EXPECT(touched_find(&touched, "both")->written && !touched_find(&touched, "late")->written);
    touched_settle(&touched, 2);
    EXPECT_INT(touched.count, 0);
}

TEST(everything_outlives_a_look_before_it_and_paths_that_come_after_it_are_kept)
{
    struct touched touched = {0}, more = {0};

    touched_add_all(&touched, 2);
    touched_settle(&touched, 1);
    EXPECT(touched.all);
    (void)touched_add(&more, "a", 0, false);
    touched_merge(&touched, &more, 3);
    touched_settle(&touched, 2);
    EXPECT(!touched.all && touched_find(&touched, "a"));
    more.all = true;
    touched_merge(&touched, &more, 4);
    EXPECT(touched.all && touched.count == 0 && !more.all);
    touched_settle(&touched, 3);
    EXPECT(touched.all);
}

TEST(a_merge_of_too_many_is_everything_for_its_look)
{
    struct touched touched = {.most = 1}, more = {0};

    (void)touched_add(&more, "a", 0, false);
    (void)touched_add(&more, "b", 0, false);
    touched_merge(&touched, &more, 5);
    EXPECT(touched.all);
    touched_settle(&touched, 4);
    EXPECT(touched.all);
    touched_settle(&touched, 5);
    EXPECT(!touched.all);
}

TEST(ranges_of_a_tree_are_what_is_covered)
{
    static const char *const paths[] = {"a", "a-", "a/b", "a/b/c", "a0", "b", "c", "c/d"};
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    CLEANUP(freep) struct tree_range *ranges = NULL;
    struct touched touched = {0};
    size_t count = 0;

    for (size_t at = 0; at < 8; at++)
        add_entry(tree, paths[at]);
    (void)touched_add(&touched, "a", 0, true);
    (void)touched_add(&touched, "a/b", 0, true);
    (void)touched_add(&touched, "absent", 0, true);
    (void)touched_add(&touched, "b", 0, false);
    (void)touched_add(&touched, "c", 0, false);
    ranges = touched_ranges(&touched, tree, &count);
    REQUIRE(count == 3);
    EXPECT(ranges[0].begin == 0 && ranges[0].end == 1);
    EXPECT(ranges[1].begin == 2 && ranges[1].end == 4);
    EXPECT(ranges[2].begin == 5 && ranges[2].end == 7); /* c, and not what is below it */
    touched_clear(&touched);
}

TAP_MAIN()
