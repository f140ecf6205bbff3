#include "base/walk.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/resource.h>

/* Every path below the top, in the order met, with a newline behind each. */
static bool collect(int top_fd, struct buf *paths, struct err *err)
{
    CLEANUP(walk_clearp) struct walk walk = {0};

    walk_begin(&walk, top_fd);
    while (walk_next(&walk, err)) {
        if (!walk_list(&walk, err))
            return false;
        for (size_t at = 0; at < walk.count; at++) {
            const char *path = walk_join(&walk, walk_name(&walk, at));
            buf_printf(paths, "%s\n", path);
            if (walk_is_directory(&walk, at))
                walk_enter(&walk, path);
        }
    }
    return !walk.failed;
}

/* A chain of directories named "d", so deep that its path has about `length` bytes; returns the levels. */
static int make_chain(int top_fd, size_t length)
{
    int levels = 0, fd = dup(top_fd);

    for (size_t at = 2; at <= length; at += 2, levels++) {
        int next;
        if (mkdirat(fd, "d", 0755) != 0 || (next = openat(fd, "d", O_RDONLY | O_DIRECTORY)) < 0)
            abort();
        (void)close(fd);
        fd = next;
    }
    (void)close(fd);
    return levels;
}

TEST(names_come_in_ascending_order_and_parents_before_children)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(buf_clearp) struct buf paths = BUF_INIT(4096);
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "b/2", "");
    scratch_write(scratch.fd, "b/10", "");
    scratch_write(scratch.fd, "a", "");
    scratch_mkdir(scratch.fd, "c");
    REQUIRE_OK(collect(scratch.fd, &paths, &err), &err);
    EXPECT_STR(buf_text(&paths), "a\nb\nc\nb/10\nb/2\n");
}

TEST(an_empty_directory_has_nothing)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(buf_clearp) struct buf paths = BUF_INIT(4096);
    struct err err;

    scratch_open(&scratch);
    REQUIRE_OK(collect(scratch.fd, &paths, &err), &err);
    EXPECT_STR(buf_text(&paths), "");
}

TEST(a_walk_may_begin_below_the_top)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(walk_clearp) struct walk walk = {0};
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "a/b/c", "");
    walk_begin_at(&walk, scratch.fd, "a/b");
    REQUIRE(walk_next(&walk, &err));
    REQUIRE_OK(walk_list(&walk, &err), &err);
    EXPECT_STR(walk.path, "a/b");
    EXPECT_STR(walk_join(&walk, walk_name(&walk, 0)), "a/b/c");
    EXPECT(!walk_next(&walk, &err) && !walk.failed);
}

TEST(a_symlink_to_a_directory_is_not_a_directory)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(buf_clearp) struct buf paths = BUF_INIT(4096);
    struct err err;

    scratch_open(&scratch);
    scratch_symlink(scratch.fd, "/etc", "link");
    REQUIRE_OK(collect(scratch.fd, &paths, &err), &err);
    EXPECT_STR(buf_text(&paths), "link\n");
}

TEST(a_directory_replaced_by_a_symlink_leads_nowhere)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(walk_clearp) struct walk walk = {0};
    struct err err;

    scratch_open(&scratch);
    scratch_mkdir(scratch.fd, "a/b");
    walk_begin(&walk, scratch.fd);
    REQUIRE(walk_next(&walk, &err));
    walk_enter(&walk, "a/b");
    walk_enter(&walk, "a");
    REQUIRE(renameat(scratch.fd, "a", scratch.fd, "z") == 0);
    scratch_symlink(scratch.fd, "z", "a");
    EXPECT(!walk_next(&walk, &err));
    EXPECT(!walk.failed);
}

TEST(a_directory_that_vanishes_or_becomes_a_file_is_passed_over)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(walk_clearp) struct walk walk = {0};
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "file", "");
    scratch_mkdir(scratch.fd, "there");
    walk_begin(&walk, scratch.fd);
    REQUIRE(walk_next(&walk, &err));
    walk_enter(&walk, "there");
    walk_enter(&walk, "file");
    walk_enter(&walk, "file/below");
    walk_enter(&walk, "gone");
    REQUIRE(walk_next(&walk, &err));
    EXPECT_STR(walk.path, "there");
    REQUIRE(unlinkat(scratch.fd, "there", AT_REMOVEDIR) == 0);
    REQUIRE_OK(walk_list(&walk, &err), &err);
    EXPECT_INT(walk.count, 0);
    EXPECT(!walk_next(&walk, &err));
    EXPECT(!walk.failed);
}

TEST(names_are_any_bytes)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(walk_clearp) struct walk walk = {0};
    struct err err;
    char longest[WALK_NAME_MAX + 1];

    scratch_open(&scratch);
    memset(longest, 'x', WALK_NAME_MAX);
    longest[WALK_NAME_MAX] = '\0';
    scratch_write(scratch.fd, "\xff\xfe", "");
    scratch_write(scratch.fd, "new\nline", "");
    scratch_write(scratch.fd, longest, "");
    walk_begin(&walk, scratch.fd);
    REQUIRE(walk_next(&walk, &err));
    REQUIRE_OK(walk_list(&walk, &err), &err);
    EXPECT_INT(walk.count, 3);
    EXPECT(walk_has(&walk, "\xff\xfe") && walk_has(&walk, "new\nline") && walk_has(&walk, longest));
    EXPECT(!walk_has(&walk, "") && !walk_has(&walk, "\xff") && !walk_has(&walk, "zzz"));
}

TEST(the_depth_of_a_tree_costs_no_descriptors)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(buf_clearp) struct buf paths = BUF_INIT(16 << 20);
    const struct rlimit few = {24, 24};
    struct err err;
    int levels, seen = 0;

    scratch_open(&scratch);
    levels = make_chain(scratch.fd, WALK_PATH_MAX);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    REQUIRE_OK(collect(scratch.fd, &paths, &err), &err);
    for (const char *at = buf_text(&paths); *at; at++)
        seen += *at == '\n';
    EXPECT_INT(seen, levels);
    REQUIRE_OK(fs_remove_tree(scratch.fd, "d", &err), &err);
    EXPECT(!scratch_exists(scratch.fd, "d"));
}

TEST(a_directory_that_may_not_be_read_is_an_error_that_names_it)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(buf_clearp) struct buf paths = BUF_INIT(4096);
    struct err err = {0};

    scratch_open(&scratch);
    scratch_mkdir(scratch.fd, "open/closed");
    REQUIRE(fchmodat(scratch.fd, "open/closed", 0, 0) == 0);
    REQUIRE(fchmod(scratch.fd, 0777) == 0);
    REQUIRE(geteuid() != 0 || seteuid(65534) == 0);
    EXPECT(!collect(scratch.fd, &paths, &err));
    EXPECT_INT(err.code, ERR_DENIED);
    EXPECT(strstr(err.text, "open/closed") != NULL);
    REQUIRE(getuid() != 0 || seteuid(0) == 0);
    REQUIRE(fchmodat(scratch.fd, "open/closed", 0700, 0) == 0);
}

static bool is_kept(void *context, const char *path)
{
    return strcmp(path, context) == 0;
}

TEST(removing_leaves_what_is_kept_and_the_way_to_it)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(buf_clearp) struct buf paths = BUF_INIT(4096);
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "a/b/keep/inside", "");
    scratch_write(scratch.fd, "a/b/other", "");
    scratch_write(scratch.fd, "a/c/d/e", "");
    scratch_symlink(scratch.fd, ".", "a/b/link");
    REQUIRE_OK(walk_remove(scratch.fd, is_kept, (char[]){"a/b/keep"}, &err), &err);
    REQUIRE_OK(collect(scratch.fd, &paths, &err), &err);
    EXPECT_STR(buf_text(&paths), "a\na/b\na/b/keep\na/b/keep/inside\n");
}

TEST(removing_never_follows_a_symlink)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "outside/file", "");
    scratch_mkdir(scratch.fd, "tree/below");
    scratch_symlink(scratch.fd, "../../outside", "tree/below/link");
    REQUIRE_OK(fs_remove_tree(scratch.fd, "tree", &err), &err);
    EXPECT(!scratch_exists(scratch.fd, "tree"));
    EXPECT(scratch_exists(scratch.fd, "outside/file"));
    REQUIRE_OK(fs_remove_tree(scratch.fd, "tree", &err), &err);
}

TEST(names_that_are_there_are_picked)
{
    char *names[] = {(char[]){"b"}, (char[]){"absent"}, (char[]){"a"}, (char[]){"b"}, (char[]){"link"}};
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(walk_clearp) struct walk walk = {0};
    char longer[WALK_NAME_MAX + 2];
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "d/a", "");
    scratch_write(scratch.fd, "d/b/c", "");
    scratch_write(scratch.fd, "d/e", "");
    scratch_symlink(scratch.fd, "nowhere", "d/link");
    walk_begin(&walk, scratch.fd);
    REQUIRE_OK(walk_open(&walk, "d", &err), &err);
    EXPECT_INT(walk.count, 0);
    walk_pick(&walk, names, 5);
    REQUIRE(walk.count == 3);
    EXPECT_STR(walk_name(&walk, 0), "a");
    EXPECT_STR(walk_name(&walk, 1), "b");
    EXPECT_STR(walk_name(&walk, 2), "link");
    EXPECT(!walk_is_directory(&walk, 0) && walk_is_directory(&walk, 1));
    EXPECT_STR(walk_join(&walk, "a"), "d/a");
    memset(longer, 'n', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    names[0] = longer;
    walk_pick(&walk, names, 1);
    EXPECT_INT(walk.count, 0);
}

TEST(a_directory_is_opened_by_its_path_and_what_was_to_be_visited_still_is)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(walk_clearp) struct walk walk = {0};
    struct err err = {0};

    scratch_open(&scratch);
    scratch_mkdir(scratch.fd, "a/b");
    scratch_write(scratch.fd, "file", "");
    walk_begin(&walk, scratch.fd);
    REQUIRE_OK(walk_open(&walk, "", &err), &err);
    EXPECT_STR(walk.path, "");
    walk_enter(&walk, "a");
    REQUIRE_OK(walk_open(&walk, "a/b", &err), &err);
    EXPECT(!walk_open(&walk, "absent", &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT(!walk_open(&walk, "file", &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT_STR(walk.path, "a/b");
    REQUIRE(walk_next(&walk, &err));
    EXPECT_STR(walk.path, "a");
    EXPECT(!walk_next(&walk, &err) && !walk.failed);
}

TAP_MAIN()
