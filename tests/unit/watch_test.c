#include "snapshot/watch.h"

#include "base/buf.h"
#include "base/clock.h"
#include "tests/double/watching.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <poll.h>

/* Writes again and again until what has left the tree is no longer watched. */
static bool becomes_still(struct fixture *fixture, const char *path)
{
    uint64_t deadline_ms = clock_monotonic_ms() + 10000;

    while (clock_monotonic_ms() < deadline_ms) {
        (void)moved(fixture);
        scratch_write(fixture->scratch.fd, path, "again");
        if (!moved(fixture))
            return true;
    }
    return false;
}

TEST(a_new_watch_has_seen_nothing)
{
    CLEANUP(fixture_closep) struct fixture fixture;

    fixture_open(&fixture);
    EXPECT_INT(fixture.counter, 0);
    EXPECT(!moved(&fixture));
    EXPECT(!watch_is_partial(fixture.watch));
}

TEST(every_kind_of_change_counts)
{
    const struct timespec times[2] = {{1, 0}, {2, 0}};
    CLEANUP(fixture_closep) struct fixture fixture;
    CLEANUP(close_fdp) int fd = -1;
    int top;

    fixture_open(&fixture);
    top = fixture.scratch.fd;
    EXPECT((fd = openat(top, "a/b/new", O_RDWR | O_CREAT, 0600)) >= 0 && moved(&fixture));
    EXPECT(write(fd, "x", 1) == 1 && moved(&fixture));
    EXPECT(pwrite(fd, "y", 1, 100) == 1 && moved(&fixture));
    EXPECT(ftruncate(fd, 3) == 0 && moved(&fixture));
    EXPECT(fchmod(fd, 0640) == 0 && moved(&fixture));
    EXPECT(futimens(fd, times) == 0 && moved(&fixture));
    EXPECT(linkat(top, "a/b/new", top, "a/link", 0) == 0 && moved(&fixture));
    EXPECT(renameat(top, "a/b/new", top, "a/newer") == 0 && moved(&fixture));
    EXPECT(symlinkat("x", top, "a/b/symlink") == 0 && moved(&fixture));
    EXPECT(mkdirat(top, "a/b/c", 0700) == 0 && moved(&fixture));
    EXPECT(fchmodat(top, "a/b/c", 0750, 0) == 0 && moved(&fixture));
    EXPECT(utimensat(top, "a/b", times, 0) == 0 && moved(&fixture));
    EXPECT(renameat(top, "a/newer", top, "file") == 0 && moved(&fixture));
    EXPECT(unlinkat(top, "a/link", 0) == 0 && moved(&fixture));
    EXPECT(unlinkat(top, "a/b/c", AT_REMOVEDIR) == 0 && moved(&fixture));
}

TEST(looking_does_not_count)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    CLEANUP(freep) char *content = NULL;

    fixture_open(&fixture);
    content = scratch_read(fixture.scratch.fd, "a/b/file");
    (void)scratch_stat(fixture.scratch.fd, "a/b/file");
    EXPECT(!moved(&fixture));
}

TEST(what_is_left_alone_does_not_count)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    int top;

    fixture_open(&fixture);
    top = fixture.scratch.fd;
    scratch_write(top, "tmp/x", "");
    scratch_write(top, "tmp/below/x", "");
    scratch_write(top, "a/b/copy.bak", "");
    scratch_write(top, "a/tmp", "");
    scratch_write(top, ".holdfast/state", "");
    scratch_write(top, ".holdfast/pending/1", "");
    scratch_write(top, "lost+found/1", "");
    EXPECT(!moved(&fixture));
    /* What the engine does itself to each new file: no event, or every change would cause the next one. */
    REQUIRE(linkat(top, "a/b/file", top, ".holdfast/pending/2", 0) == 0);
    REQUIRE(unlinkat(top, ".holdfast/pending/2", 0) == 0);
    EXPECT(!moved(&fixture));
    scratch_write(top, "a/tmpx", "");
    EXPECT(moved(&fixture));
}

TEST(commits_of_databases_do_not_count_but_their_coming_and_going_does)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    int top;

    fixture_open(&fixture);
    top = fixture.scratch.fd;
    scratch_write(top, "a/db", "pages");
    EXPECT(moved(&fixture));
    watch_ignore_database(fixture.watch, "a/db");
    watch_ignore_database(fixture.watch, "a/other");
    scratch_write(top, "a/db", "other pages");
    scratch_write(top, "a/db-wal", "frames");
    scratch_write(top, "a/db-shm", "index");
    scratch_write(top, "a/db-journal", "");
    REQUIRE(unlinkat(top, "a/db-journal", 0) == 0);
    EXPECT(!moved(&fixture));
    scratch_write(top, "a/db-backup", "");
    EXPECT(moved(&fixture));
    scratch_write(top, "a/b/db-wal", "");
    EXPECT(moved(&fixture));
    REQUIRE(renameat(top, "a/db-backup", top, "a/db") == 0);
    EXPECT(moved(&fixture));
    REQUIRE(unlinkat(top, "a/db", 0) == 0);
    EXPECT(moved(&fixture));
    watch_forget_database(fixture.watch, "a/db");
    scratch_write(top, "a/db-wal", "frames");
    EXPECT(moved(&fixture));
}

TEST(a_new_directory_is_watched_at_once_with_all_that_is_in_it)
{
    CLEANUP(fixture_closep) struct fixture fixture;

    fixture_open(&fixture);
    scratch_write(fixture.scratch.fd, "new/with/depth/file", "one");
    EXPECT(moved(&fixture));
    scratch_write(fixture.scratch.fd, "new/with/depth/file", "two");
    EXPECT(moved(&fixture));
    scratch_mkdir(fixture.scratch.fd, "new/with/tmp");
    EXPECT(!moved(&fixture));
    scratch_write(fixture.scratch.fd, "new/with/tmp/x", "");
    EXPECT(!moved(&fixture));
}

TEST(a_renamed_directory_is_known_by_its_new_name)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    int top;

    fixture_open(&fixture);
    top = fixture.scratch.fd;
    watch_ignore_database(fixture.watch, "z/b/db");
    REQUIRE(renameat(top, "a", top, "z") == 0);
    EXPECT(moved(&fixture));
    scratch_write(top, "z/b/file", "new");
    EXPECT(moved(&fixture));
    scratch_write(top, "z/b/db-wal", "frames"); /* only the new name is a database's */
    EXPECT(!moved(&fixture));
    scratch_mkdir(top, "a/b"); /* the old name is free for another */
    EXPECT(moved(&fixture));
    scratch_write(top, "a/b/db-wal", "");
    EXPECT(moved(&fixture));
    REQUIRE(renameat(top, "z/b", top, "a/b/b") == 0);
    EXPECT(moved(&fixture));
    scratch_write(top, "a/b/b/file", "newer");
    EXPECT(moved(&fixture));
}

TEST(a_directory_renamed_again_and_again_is_not_lost)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    int top;

    fixture_open(&fixture);
    top = fixture.scratch.fd;
    REQUIRE(renameat(top, "a", top, "x") == 0 && renameat(top, "x", top, "y") == 0);
    REQUIRE(mkdirat(top, "a", 0700) == 0 && renameat(top, "y", top, "a/y") == 0);
    REQUIRE(mkdirat(top, "x", 0700) == 0 && renameat(top, "a", top, "x/a") == 0);
    EXPECT(moved(&fixture));
    scratch_write(top, "x/a/y/b/file", "new");
    EXPECT(moved(&fixture));
    REQUIRE(renameat(top, "x/a/y", top, "y") == 0 && renameat(top, "x", top, "y/x") == 0);
    EXPECT(moved(&fixture));
    scratch_write(top, "y/b/file", "new");
    EXPECT(moved(&fixture));
    scratch_write(top, "y/x/a/file", "new");
    EXPECT(moved(&fixture));
}

TEST(a_directory_that_leaves_the_tree_is_dropped_and_one_that_comes_back_is_watched)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    CLEANUP(scratch_closep) struct scratch outside;
    int top;

    fixture_open(&fixture);
    scratch_open(&outside);
    top = fixture.scratch.fd;
    REQUIRE(renameat(top, "a/b", outside.fd, "b") == 0);
    EXPECT(moved(&fixture));
    scratch_mkdir(outside.fd, "b/new");
    REQUIRE(renameat(outside.fd, "b", top, "tmp/b") == 0);
    EXPECT(becomes_still(&fixture, "tmp/b/file"));
    EXPECT(becomes_still(&fixture, "tmp/b/new/file"));
    REQUIRE(renameat(top, "tmp/b", top, "a/c") == 0);
    EXPECT(moved(&fixture));
    scratch_write(top, "a/c/new/file", "new");
    EXPECT(moved(&fixture));
}

TEST(a_directory_renamed_to_an_excluded_name_no_longer_counts)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    int top;

    fixture_open(&fixture);
    top = fixture.scratch.fd;
    REQUIRE(renameat(top, "a", top, "a.bak") == 0);
    EXPECT(moved(&fixture));
    EXPECT(becomes_still(&fixture, "a.bak/b/file"));
    REQUIRE(renameat(top, "a.bak", top, "a") == 0);
    EXPECT(moved(&fixture));
    scratch_write(top, "a/b/file", "new");
    EXPECT(moved(&fixture));
}

TEST(the_descriptor_is_readable_when_something_happened)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    struct pollfd wait = {.events = POLLIN};

    fixture_open(&fixture);
    wait.fd = watch_fd(fixture.watch);
    EXPECT_INT(poll(&wait, 1, 0), 0);
    scratch_write(fixture.scratch.fd, "file", "new");
    EXPECT_INT(poll(&wait, 1, 0), 1);
    EXPECT(moved(&fixture));
    EXPECT_INT(poll(&wait, 1, 0), 0);
}

TEST(names_are_any_bytes)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    char path[600];

    fixture_open(&fixture);
    memset(path, 'n', sizeof(path));
    path[255] = '/';
    path[511] = '\0';
    scratch_write(fixture.scratch.fd, path, "");
    EXPECT(moved(&fixture));
    scratch_write(fixture.scratch.fd, path, "x");
    EXPECT(moved(&fixture));
    scratch_write(fixture.scratch.fd, "\xff\n/\xfe", "");
    EXPECT(moved(&fixture));
    scratch_write(fixture.scratch.fd, "\xff\n/\xfe", "x");
    EXPECT(moved(&fixture));
}

TEST(a_directory_that_goes_with_all_that_is_below_it_is_forgotten)
{
    CLEANUP(fixture_closep) struct fixture fixture;

    fixture_open(&fixture);
    for (int round = 0; round < 50; round++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "a/%d/x/y/z", round);
        scratch_write(fixture.scratch.fd, path, "");
        EXPECT(moved(&fixture));
        REQUIRE(unlinkat(fixture.scratch.fd, path, 0) == 0);
        for (char *slash; (slash = strrchr(path, '/')) && slash != path + 1;) {
            *slash = '\0';
            REQUIRE(unlinkat(fixture.scratch.fd, path, AT_REMOVEDIR) == 0);
        }
        EXPECT(moved(&fixture));
        EXPECT(!moved(&fixture));
    }
}

/* More events than the kernel keeps, and a directory made after it has stopped keeping them. */
TEST(when_the_queue_overflows_all_is_watched_again)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    CLEANUP(freep) char *limit = scratch_read(AT_FDCWD, "/proc/sys/fs/inotify/max_queued_events");
    long events = limit ? strtol(limit, NULL, 10) : 16384;
    struct touched touched = {0};
    int top;

    fixture_open(&fixture);
    top = fixture.scratch.fd;
    (void)watch_take(fixture.watch, &touched);
    for (long at = 0; at <= events / 2; at++)
        REQUIRE(renameat(top, at % 2 ? "other" : "file", top, at % 2 ? "file" : "other") == 0);
    scratch_mkdir(top, "made/meanwhile");
    REQUIRE(renameat(top, "a", top, "a.bak") == 0);
    EXPECT(moved(&fixture));
    EXPECT(!watch_is_partial(fixture.watch));
    (void)watch_take(fixture.watch, &touched);
    EXPECT(touched.all);
    scratch_write(top, "made/meanwhile/file", "");
    EXPECT(moved(&fixture));
    EXPECT(becomes_still(&fixture, "a.bak/b/file"));
}

TEST(where_watches_run_out_it_says_that_it_is_partial)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    struct watch *few = NULL;
    struct err err;

    fixture_open(&fixture);
    watches_left = 2;
    REQUIRE_OK(watch_open(fixture.scratch.fd, fixture.exclude, &few, &err), &err);
    EXPECT(watch_is_partial(few));
    scratch_write(fixture.scratch.fd, "file", "new");
    EXPECT(watch_drain(few) > 0);
    watch_free(few);
    watches_left = 0;
    scratch_mkdir(fixture.scratch.fd, "new");
    EXPECT(moved(&fixture));
    EXPECT(watch_is_partial(fixture.watch));
}

TEST(a_directory_that_may_not_be_read_is_an_error_that_names_it)
{
    CLEANUP(fixture_closep) struct fixture fixture;
    struct watch *watch = NULL;
    struct err err = {0};

    fixture_open(&fixture);
    REQUIRE(fchmod(fixture.scratch.fd, 0755) == 0);
    REQUIRE(fchmodat(fixture.scratch.fd, "a/b", 0, 0) == 0);
    REQUIRE(geteuid() != 0 || seteuid(65534) == 0);
    EXPECT(!watch_open(fixture.scratch.fd, fixture.exclude, &watch, &err));
    EXPECT_INT(err.code, ERR_DENIED);
    EXPECT(strstr(err.text, "a/b") != NULL);
    REQUIRE(getuid() != 0 || seteuid(0) == 0);
    REQUIRE(fchmodat(fixture.scratch.fd, "a/b", 0700, 0) == 0);
}

TAP_MAIN()
