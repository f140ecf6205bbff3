/* Files that were seen stay readable until they are shipped (protocol.md, H10). */
#include "snapshot/pending.h"

#include "base/fs.h"
#include "snapshot/guarded_file.h"
#include "snapshot/watch.h"
#include "tests/double/placing.h"
#include "tests/unit/pending_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

/* What link(2) answers; 0: what the kernel does. */
static int link_answer;
static unsigned links;
int hooked_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) __asm__("linkat");

int hooked_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    links++;
    if (link_answer != 0) {
        errno = link_answer;
        return -1;
    }
    return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

TEST(a_file_that_was_seen_is_read_after_it_was_unlinked)
{
    CLEANUP(tear_down) struct bench bench;

    set_up(&bench);
    scratch_write(bench.scratch.fd, "files/new", "named by a commit");
    see(&bench);
    REQUIRE(unlinkat(bench.scratch.fd, "files/new", 0) == 0);
    REQUIRE(unlinkat(bench.scratch.fd, "files", AT_REMOVEDIR) == 0);
    EXPECT_STR(reads(&bench, "files/new"), "named by a commit");
    EXPECT(pending_has(bench.pending, "files/new") && !pending_has(bench.pending, "files"));
    EXPECT_INT(count_links(&bench), 1);
}

TEST(a_file_that_was_replaced_is_read_as_it_was_seen)
{
    CLEANUP(tear_down) struct bench bench;

    set_up(&bench);
    scratch_write(bench.scratch.fd, "file", "seen");
    see(&bench);
    scratch_write(bench.scratch.fd, "other", "later");
    REQUIRE(renameat(bench.scratch.fd, "other", bench.scratch.fd, "file") == 0);
    EXPECT_STR(reads(&bench, "file"), "seen");
    see(&bench); /* what is there now is what counts */
    EXPECT_STR(reads(&bench, "file"), "later");
    EXPECT_INT(count_links(&bench), 1);
}

TEST(a_replaced_file_that_was_shipped_before_is_held_too)
{
    CLEANUP(tear_down) struct bench bench;

    set_up(&bench);
    scratch_write(bench.scratch.fd, "file", "old");
    scratch_write(bench.scratch.fd, "same", "as before");
    ship(&bench);
    see(&bench);
    EXPECT_INT(pending_count(bench.pending), 0);
    scratch_write(bench.scratch.fd, "other", "new");
    REQUIRE(renameat(bench.scratch.fd, "other", bench.scratch.fd, "file") == 0);
    see(&bench);
    EXPECT_INT(pending_count(bench.pending), 1);
    REQUIRE(unlinkat(bench.scratch.fd, "file", 0) == 0);
    EXPECT_STR(reads(&bench, "file"), "new");
}

/* The file that is there now has the inode of the one that was shipped, and another one was held in between:
 * that one would have been shipped in its place, and taken for the newest. */
TEST(a_file_that_gets_the_inode_of_the_shipped_one_is_not_taken_for_the_one_that_was_held)
{
    CLEANUP(tear_down) struct bench bench;

    set_up(&bench);
    scratch_write(bench.scratch.fd, "file", "shipped");
    ship(&bench);
    EXPECT_INT(renameat(bench.scratch.fd, "file", bench.scratch.fd, "spare"), 0);
    scratch_write(bench.scratch.fd, "file", "held");
    see(&bench);
    EXPECT_STR(reads(&bench, "file"), "held");
    scratch_write(bench.scratch.fd, "spare", "newest");
    EXPECT_INT(renameat(bench.scratch.fd, "spare", bench.scratch.fd, "file"), 0);
    see(&bench);
    EXPECT_STR(reads(&bench, "file"), "newest");
}

TEST(what_is_not_held_is_read_from_its_path)
{
    CLEANUP(tear_down) struct bench bench;

    set_up(&bench);
    EXPECT_STR(reads(&bench, "absent"), "gone");
    scratch_write(bench.scratch.fd, "file", "content");
    ship(&bench);
    EXPECT_STR(reads(&bench, "file"), "content");
    scratch_mkdir(bench.scratch.fd, "directory");
    scratch_symlink(bench.scratch.fd, "directory", "symlink");
    scratch_write(bench.scratch.fd, "empty", "");
    see(&bench);
    EXPECT_INT(pending_count(bench.pending), 0); /* an empty file needs no holding */
    EXPECT_INT(links, 0);
}

TEST(where_links_fail_a_descriptor_does_it)
{
    static const int answers[] = {EXDEV, EPERM, EMLINK, EACCES, EROFS, ENOSPC};
    CLEANUP(tear_down) struct bench bench;

    set_up(&bench);
    for (size_t at = 0; at < COUNT(answers); at++) {
        char path[16];
        (void)snprintf(path, sizeof(path), "file%zu", at);
        link_answer = answers[at];
        scratch_write(bench.scratch.fd, path, path);
        see(&bench);
        REQUIRE(unlinkat(bench.scratch.fd, path, 0) == 0);
        EXPECT_STR(reads(&bench, path), path);
    }
    EXPECT_INT(count_links(&bench), 0);
    EXPECT_INT(links, COUNT(answers));
}

TEST(descriptors_run_out_and_links_go_on)
{
    CLEANUP(tear_down) struct bench bench;
    char path[16];

    set_up(&bench);
    for (int at = 0; at < 300; at++) {
        (void)snprintf(path, sizeof(path), "f%03d", at);
        scratch_write(bench.scratch.fd, path, path);
    }
    link_answer = EMLINK;
    see(&bench);
    EXPECT_INT(pending_count(bench.pending), 256);
    EXPECT_STR(reads(&bench, "f299"), "f299"); /* from its path */
    link_answer = 0;
    see(&bench); /* what has none gets a link now */
    EXPECT_INT(pending_count(bench.pending), 300);
    EXPECT_INT(count_links(&bench), 44);
    ship(&bench);
    EXPECT_INT(pending_count(bench.pending), 0);
    link_answer = EMLINK;
    scratch_write(bench.scratch.fd, "late", "late");
    see(&bench);
    EXPECT(pending_has(bench.pending, "late")); /* the descriptors came back */
}

TEST(an_attached_database_is_neither_linked_nor_opened)
{
    CLEANUP(tear_down) struct bench bench;
    struct guarded_claim claim = GUARDED_CLAIM_INIT, late = GUARDED_CLAIM_INIT;
    struct err err;

    set_up(&bench);
    scratch_write(bench.scratch.fd, "plain at the scan", "a database by now");
    scratch_write(bench.scratch.fd, "attached later", "a database soon");
    REQUIRE_OK(guarded_file_claim(bench.scratch.fd, "plain at the scan", &claim, &err), &err);
    see(&bench);
    EXPECT_INT(links, 1);
    EXPECT(!pending_has(bench.pending, "plain at the scan"));
    EXPECT_STR(reads(&bench, "plain at the scan"), "conflict");
    REQUIRE_OK(guarded_file_claim(bench.scratch.fd, "attached later", &late, &err), &err);
    EXPECT_STR(reads(&bench, "attached later"), "conflict");
    guarded_file_release(&claim);
    guarded_file_release(&late);
}

TEST(a_link_to_what_was_attached_since_goes_with_the_next_look)
{
    CLEANUP(tear_down) struct bench bench;
    struct guarded_claim claim = GUARDED_CLAIM_INIT;
    struct err err;

    set_up(&bench);
    scratch_write(bench.scratch.fd, "file", "a database soon");
    see(&bench);
    REQUIRE_OK(guarded_file_claim(bench.scratch.fd, "file", &claim, &err), &err);
    EXPECT_INT(claim.status.st_nlink, 2);
    see(&bench);
    EXPECT_INT(scratch_stat(bench.scratch.fd, "file").st_nlink, 1);
    EXPECT_INT(pending_count(bench.pending), 0);
    guarded_file_release(&claim);
}

TEST(what_could_be_a_side_file_of_a_database_is_not_linked)
{
    CLEANUP(tear_down) struct bench bench;

    set_up(&bench);
    scratch_write(bench.scratch.fd, "x-wal", "of nobody yet");
    scratch_write(bench.scratch.fd, "x-shm", "of nobody yet");
    scratch_write(bench.scratch.fd, "x-journal", "of nobody yet");
    see(&bench);
    EXPECT_INT(links, 0);
    EXPECT_INT(pending_count(bench.pending), 3);
    EXPECT_STR(reads(&bench, "x-journal"), "of nobody yet");
}

TEST(what_was_shipped_does_not_look_changed)
{
    CLEANUP(tear_down) struct bench bench;
    struct stat status;
    struct tree_entry *entry;

    set_up(&bench);
    scratch_write(bench.scratch.fd, "file", "content");
    see(&bench);
    EXPECT_INT(scratch_stat(bench.scratch.fd, "file").st_nlink, 2);
    ship(&bench);
    status = scratch_stat(bench.scratch.fd, "file");
    EXPECT_INT(status.st_nlink, 1);
    entry = tree_find(bench.previous, "file");
    EXPECT_INT(entry->ctime_ns, (int64_t)status.st_ctim.tv_sec * 1000000000 + status.st_ctim.tv_nsec);
    EXPECT_INT(count_links(&bench), 0);
}

TEST(what_changed_since_it_was_read_still_looks_changed)
{
    CLEANUP(tear_down) struct bench bench;
    struct stat status;

    set_up(&bench);
    scratch_write(bench.scratch.fd, "file", "content");
    see(&bench);
    tree_free(bench.previous);
    bench.previous = scanned(&bench);
    REQUIRE(fchmodat(bench.scratch.fd, "file", 0600, 0) == 0);
    pending_settle(bench.pending, bench.previous);
    status = scratch_stat(bench.scratch.fd, "file");
    EXPECT(tree_find(bench.previous, "file")->ctime_ns !=
           (int64_t)status.st_ctim.tv_sec * 1000000000 + status.st_ctim.tv_nsec);
    EXPECT_INT(count_links(&bench), 0);
}

TEST(what_was_not_shipped_stays_held)
{
    CLEANUP(tear_down) struct bench bench;
    CLEANUP(tree_freep) struct tree *shipped = tree_new();

    set_up(&bench);
    scratch_write(bench.scratch.fd, "moving", "all the time");
    see(&bench);
    pending_settle(bench.pending, shipped);
    EXPECT(pending_has(bench.pending, "moving"));
    REQUIRE(unlinkat(bench.scratch.fd, "moving", 0) == 0);
    EXPECT_STR(reads(&bench, "moving"), "all the time");
}

TEST(what_vanished_unshipped_is_told_until_it_is_forgotten)
{
    CLEANUP(tear_down) struct bench bench;
    CLEANUP(tree_freep) struct tree *with = NULL;

    set_up(&bench);
    scratch_write(bench.scratch.fd, "shipped", "x");
    ship(&bench);
    scratch_write(bench.scratch.fd, "a/file", "content");
    see(&bench);
    EXPECT(!pending_with_vanished(bench.pending, bench.now, bench.previous));
    REQUIRE(unlinkat(bench.scratch.fd, "a/file", 0) == 0);
    see(&bench);
    with = pending_with_vanished(bench.pending, bench.now, bench.previous);
    REQUIRE(with && tree_count(with) == 2 && tree_find(with, "a/file"));
    EXPECT_INT(tree_find(with, "a/file")->size, 7);
    EXPECT_INT(tree_find(with, "a/file")->inode, 0);
    pending_forget(bench.pending, bench.now);
    EXPECT_STR(reads(&bench, "a/file"), "gone");
    EXPECT_INT(count_links(&bench), 0);
}

TEST(what_an_earlier_process_left_is_removed)
{
    CLEANUP(tear_down) struct bench bench;
    struct pending *second = NULL;
    struct err err;

    set_up(&bench);
    scratch_write(bench.scratch.fd, "file", "content");
    see(&bench);
    EXPECT_INT(count_links(&bench), 1);
    REQUIRE_OK(pending_open(bench.scratch.fd, &second, &err), &err);
    EXPECT_INT(count_links(&bench), 0);
    pending_free(second);
    EXPECT_STR(reads(&bench, "file"), "gone"); /* that process had lost its links */
}

TEST(links_are_not_replicated_and_wake_nobody)
{
    CLEANUP(tear_down) struct bench bench;
    CLEANUP(globs_freep) struct globs *none = globs("");
    CLEANUP(watch_freep) struct watch *watch = NULL;
    uint64_t before;
    struct err err;

    set_up(&bench);
    scratch_write(bench.scratch.fd, "file", "content");
    REQUIRE_OK(watch_open(bench.scratch.fd, none, &watch, &err), &err);
    before = watch_drain(watch);
    see(&bench);
    EXPECT_INT(count_links(&bench), 1);
    EXPECT_SCAN(bench.scratch.fd, "", "", "file |");
    ship(&bench);
    EXPECT_INT(watch_drain(watch), before);
}

TEST(ten_thousand_files_are_held_without_descriptors)
{
    enum { FILES = 10000 };
    CLEANUP(tear_down) struct bench bench;
    struct rlimit few = {64, 64};
    char path[32];

    set_up(&bench);
    for (int at = 0; at < FILES && snprintf(path, sizeof(path), "d%d/f%d", at % 10, at) > 0; at++)
        scratch_write(bench.scratch.fd, path, path);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    see(&bench);
    EXPECT_INT(pending_count(bench.pending), FILES);
    for (int at = 0; at < FILES; at++) {
        (void)snprintf(path, sizeof(path), "d%d/f%d", at % 10, at);
        if (at % 2 == 0)
            REQUIRE(unlinkat(bench.scratch.fd, path, 0) == 0);
        REQUIRE(strcmp(reads(&bench, path), path) == 0);
    }
    ship(&bench);
    EXPECT_INT(pending_count(bench.pending), FILES / 2); /* those that are not in what was shipped */
    see(&bench);
    pending_forget(bench.pending, bench.now);
    EXPECT_INT(pending_count(bench.pending), 0);
    EXPECT_INT(count_links(&bench), 0);
}

TAP_MAIN()
