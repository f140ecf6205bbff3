/* Which paths the watch tells. */
#include "tests/double/watching.h"
#include "tests/tap.h"

#include <fcntl.h>

static const struct touched_path *taken(struct fixture *fixture, struct touched *touched, const char *path)
{
    touched_clear(touched);
    fixture->counter = watch_take(fixture->watch, touched);
    return touched_find(touched, path);
}

TEST(what_was_touched_is_taken_once)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    struct touched touched = {0};
    const struct touched_path *path;

    fixture_open(&fixture);
    EXPECT(!taken(&fixture, &touched, "file") && touched.all); /* at first nothing is known */
    scratch_write(fixture.scratch.fd, "a/b/file", "new");
    scratch_write(fixture.scratch.fd, "tmp/x", "");
    path = taken(&fixture, &touched, "a/b/file");
    REQUIRE(path && !touched.all && touched.count == 1);
    EXPECT_INT(path->directory_inode, scratch_stat(fixture.scratch.fd, "a/b").st_ino);
    EXPECT(!path->below && path->written);
    EXPECT(!taken(&fixture, &touched, "a/b/file") && !touched.all && touched.count == 0);
}

TEST(what_was_read_by_another_look_is_still_to_be_taken)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    struct touched touched = {0};

    fixture_open(&fixture);
    (void)taken(&fixture, &touched, "");
    scratch_write(fixture.scratch.fd, "file", "new");
    EXPECT(moved(&fixture));
    EXPECT(taken(&fixture, &touched, "file"));
    touched_clear(&touched);
}

TEST(of_a_directory_that_comes_nothing_below_is_known)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    struct touched touched = {0};
    int top;

    fixture_open(&fixture);
    top = fixture.scratch.fd;
    (void)taken(&fixture, &touched, "");
    REQUIRE(fchmodat(top, "a", 0700, 0) == 0);
    EXPECT(taken(&fixture, &touched, "a") && !touched.list[0].below && !touched.list[0].written);
    REQUIRE(renameat(top, "a/b", top, "b") == 0);
    EXPECT(taken(&fixture, &touched, "b") && touched_find(&touched, "b")->below);
    EXPECT(touched_find(&touched, "a/b") && !touched_find(&touched, "a/b")->below);
    scratch_mkdir(top, "new");
    EXPECT(taken(&fixture, &touched, "new") && touched.list[0].below);
    scratch_write(top, "b/file", "new");
    EXPECT(taken(&fixture, &touched, "b/file")); /* by its new name */
    touched_clear(&touched);
}

TEST(a_directory_that_has_left_for_nowhere_in_the_tree_may_be_anywhere)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    CLEANUP(scratch_closep) struct scratch outside;
    struct touched touched = {0};

    fixture_open(&fixture);
    scratch_open(&outside);
    (void)taken(&fixture, &touched, "");
    REQUIRE(renameat(fixture.scratch.fd, "a", outside.fd, "a") == 0);
    (void)taken(&fixture, &touched, "");
    EXPECT(touched.all);
    (void)taken(&fixture, &touched, "");
    EXPECT(!touched.all);
    REQUIRE(renameat(fixture.scratch.fd, "file", outside.fd, "file") == 0);
    EXPECT(taken(&fixture, &touched, "file") && !touched.all); /* of a file its name says all */
    touched_clear(&touched);
}

TEST(a_database_is_touched_when_it_is_ignored_and_when_it_is_forgotten)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    struct touched touched = {0};

    fixture_open(&fixture);
    (void)taken(&fixture, &touched, "");
    watch_ignore_database(fixture.watch, "a/db");
    EXPECT(taken(&fixture, &touched, "a/db"));
    scratch_write(fixture.scratch.fd, "a/db-wal", "frames");
    EXPECT(!taken(&fixture, &touched, "a/db-wal") && touched.count == 0);
    watch_forget_database(fixture.watch, "a/db");
    EXPECT(taken(&fixture, &touched, "a/db"));
    touched_clear(&touched);
}

TEST(where_not_all_is_watched_everything_may_be_touched)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    struct touched touched = {0};

    fixture_open(&fixture);
    (void)taken(&fixture, &touched, "");
    watches_left = 0;
    scratch_mkdir(fixture.scratch.fd, "new");
    for (int look = 0; look < 2; look++) {
        (void)taken(&fixture, &touched, "");
        EXPECT(touched.all);
    }
}

TAP_MAIN()
