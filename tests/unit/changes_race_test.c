/* The files of a record while an application goes on with them: what a test changes between the look and the
 * reading, and in the middle of each read(2). */
#include "base/fs.h"
#include "snapshot/guarded_file.h"
#include "tests/double/changing.h"
#include "tests/double/replica.h"
#include "tests/double/scanning.h"
#include "tests/double/stale_clock.h"
#include "tests/double/store_fault.h"
#include "tests/double/store_mem.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <time.h>

enum { LARGE = 40000 };

/* Called around each read of a file's content. */
static void (*before_read)(void);
static void (*after_read)(void);
static int disk;

/* Named by the linker's symbol only: <bits/unistd.h> may declare pread inline, and clang then takes this for
 * it. */
ssize_t hooked_pread(int fd, void *bytes, size_t size, off_t offset) __asm__("pread64");

ssize_t hooked_pread(int fd, void *bytes, size_t size, off_t offset)
{
    ssize_t got;

    if (before_read)
        before_read();
    got = syscall(SYS_pread64, fd, bytes, size, offset);
    if (after_read)
        after_read();
    return got;
}

static bool read_early;

static void open_disk(struct changing *changing)
{
    changing_open(changing);
    disk = changing->disk.fd;
}

/* Rewrites in place. */
static void rewrite(const char *path, const char *text, off_t offset)
{
    CLEANUP(close_fdp) int fd = openat(disk, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    EXPECT(pwrite(fd, text, strlen(text), offset) == (ssize_t)strlen(text));
}

static bool copy_has(const struct changing *changing, const char *path, const char *text)
{
    CLEANUP(freep) char *found = scratch_read(changing->copy.fd, path);

    return found && strcmp(found, text) == 0;
}

static void append_to_file(void)
{
    CLEANUP(close_fdp) int fd = openat(disk, "file", O_WRONLY | O_APPEND | O_CLOEXEC);

    EXPECT(write(fd, "+", 1) == 1);
}

TEST(a_file_that_keeps_moving_stays_as_it_was)
{
    CLEANUP(changing_close) struct changing changing;

    open_disk(&changing);
    scratch_write(disk, "file", "before");
    SHIP(&changing);
    scratch_write(disk, "file", "after");
    scratch_write(disk, "other", "in the same record");
    before_read = append_to_file;
    SHIP(&changing);
    EXPECT_INT(changing.changes.left, 1);
    EXPECT(copy_has(&changing, "file", "before") && copy_has(&changing, "other", "in the same record"));
    EXPECT(replica_is_listed(changing.copy.fd, changing.previous));
    before_read = NULL;
    SHIP(&changing); /* it stands still now */
    EXPECT_INT(changing.changes.left, 0);
    EXPECT(changing_is_equal(&changing));
}

static void note_early_read(void)
{
    read_early = read_early || stale_stamps > 0;
}

TEST(a_file_is_read_when_a_later_write_would_have_another_time)
{
    CLEANUP(changing_close) struct changing changing;

    open_disk(&changing);
    before_read = note_early_read;
    scratch_write(disk, "file", "of this tick");
    stale_stamps = 5;
    SHIP(&changing);
    EXPECT(!read_early && stale_stamps == 0);
    scratch_write(disk, "file", "of a time to come");
    stale_stamps = 1000;
    SHIP(&changing);
    EXPECT(stale_stamps > 900); /* a clock that was set back holds nothing up */
    EXPECT(changing_is_equal(&changing));
}

static int rewrites_left;

static void rewrite_once(void)
{
    if (rewrites_left-- > 0)
        rewrite("file", "second", 0);
}

/* The second write comes when the first was read, and within the tick of it if nobody had waited for the
 * next. */
TEST(a_write_in_the_same_tick_is_not_missed)
{
    for (int at = 0; at < 20; at++) {
        CLEANUP(changing_close) struct changing changing;
        open_disk(&changing);
        after_read = rewrite_once;
        rewrites_left = 1;
        rewrite("file", "first!", 0);
        SHIP(&changing);
        after_read = NULL;
        SHIP(&changing);
        REQUIRE(changing_is_equal(&changing));
    }
}

TEST(a_new_file_that_keeps_moving_is_not_there_yet)
{
    CLEANUP(changing_close) struct changing changing;

    open_disk(&changing);
    rewrite("file", "large", LARGE);
    before_read = append_to_file;
    SHIP(&changing);
    EXPECT_INT(changing.changes.left, 1);
    EXPECT(!scratch_exists(changing.copy.fd, "file") && tree_count(changing.previous) == 0);
    before_read = NULL;
    SHIP(&changing);
    EXPECT(changing_is_equal(&changing));
}

TEST(a_directory_whose_place_a_moving_file_took_stays_whole)
{
    CLEANUP(changing_close) struct changing changing;
    struct err err;

    open_disk(&changing);
    scratch_write(disk, "file/deep/in", "x");
    scratch_write(disk, "file/beside", "x");
    SHIP(&changing);
    REQUIRE_OK(fs_remove_tree(disk, "file", &err), &err);
    scratch_write(disk, "file", "a file now");
    before_read = append_to_file;
    SHIP(&changing);
    EXPECT_INT(changing.changes.sections.size, 0);
    EXPECT(scratch_exists(changing.copy.fd, "file/deep/in"));
    EXPECT(replica_is_listed(changing.copy.fd, changing.previous));
    before_read = NULL;
    SHIP(&changing);
    EXPECT(changing_is_equal(&changing));
}

TEST(a_file_that_was_seen_and_is_gone_is_in_the_record)
{
    CLEANUP(changing_close) struct changing changing;
    struct tree *seen;
    struct err err;

    open_disk(&changing);
    changing.final = false;
    scratch_write(disk, "named", "by a commit");
    rewrite("large", "by a commit", LARGE);
    seen = changing_look(&changing);
    pending_hold(changing.pending, seen, changing.previous);
    REQUIRE(unlinkat(disk, "named", 0) == 0 && unlinkat(disk, "large", 0) == 0);
    REQUIRE_OK(changing_ship_seen(&changing, seen, &err), &err);
    EXPECT_INT(changing.changes.left, 0);
    EXPECT(copy_has(&changing, "named", "by a commit"));
    EXPECT_INT(scratch_stat(changing.copy.fd, "large").st_size, LARGE + 11);
    EXPECT_INT(pending_count(changing.pending), 0);
    SHIP(&changing); /* the deletion waits from here on */
    EXPECT(copy_has(&changing, "named", "by a commit"));
    changing.moment.now_ms += 60000;
    SHIP(&changing);
    EXPECT(changing_is_equal(&changing));
}

TEST(a_file_that_was_seen_is_in_a_later_record_if_the_first_fails)
{
    CLEANUP(changing_close) struct changing changing;
    struct err err;

    open_disk(&changing);
    changing.final = false;
    store_fault_add(changing.faulty,
                    &(struct store_fault){.operation = "put", .times = 1, .code = ERR_TRANSIENT});
    scratch_write(disk, "a/named", "by a commit");
    rewrite("large", "fails", LARGE);
    EXPECT(!changing_ship(&changing, &err));
    REQUIRE_OK(fs_remove_tree(disk, "a", &err), &err);
    SHIP(&changing);
    EXPECT_INT(changing.changes.left, 0);
    EXPECT(copy_has(&changing, "a/named", "by a commit"));
    EXPECT_INT(pending_count(changing.pending), 0);
}

TEST(a_file_that_was_seen_in_vain_waits_as_long_as_any_deletion)
{
    CLEANUP(changing_close) struct changing changing;
    struct err err;

    open_disk(&changing);
    changing.final = false;
    changing.body_max = 10; /* nothing can be shipped */
    scratch_write(disk, "named", "by a commit");
    EXPECT(!changing_ship(&changing, &err));
    REQUIRE(unlinkat(disk, "named", 0) == 0);
    EXPECT(!changing_ship(&changing, &err));
    changing.moment.now_ms += 59999;
    EXPECT(!changing_ship(&changing, &err));
    EXPECT_INT(pending_count(changing.pending), 1);
    changing.moment.now_ms += 1;
    SHIP(&changing);
    EXPECT_INT(changing.changes.sections.size, 0);
    EXPECT_INT(pending_count(changing.pending), 0);
}

TEST(a_file_that_vanished_before_it_was_held_is_left)
{
    CLEANUP(changing_close) struct changing changing;
    struct tree *seen;
    struct err err;

    open_disk(&changing);
    scratch_write(disk, "known", "before");
    SHIP(&changing);
    scratch_write(disk, "known", "changed in place");
    scratch_write(disk, "new", "never held");
    seen = changing_look(&changing);
    REQUIRE(unlinkat(disk, "known", 0) == 0 && unlinkat(disk, "new", 0) == 0);
    REQUIRE_OK(changing_ship_seen(&changing, seen, &err), &err);
    EXPECT_INT(changing.changes.left, 2);
    EXPECT(copy_has(&changing, "known", "before") && !scratch_exists(changing.copy.fd, "new"));
    SHIP(&changing);
    EXPECT(changing_is_equal(&changing));
}

TEST(a_file_changes_sides_between_the_look_and_the_reading)
{
    CLEANUP(changing_close) struct changing changing;
    struct tree *seen;
    struct err err;

    open_disk(&changing);
    scratch_write(disk, "small", "x");
    rewrite("large", "x", LARGE);
    seen = changing_look(&changing);
    rewrite("small", "x", LARGE);
    scratch_write(disk, "large", "small now");
    REQUIRE_OK(changing_ship_seen(&changing, seen, &err), &err);
    EXPECT_INT(changing.changes.left, 0);
    EXPECT(changing_is_equal(&changing));
}

TEST(a_file_that_may_not_be_read_is_left_by_name)
{
    CLEANUP(changing_close) struct changing changing;
    struct tree *seen;
    struct err err;
    bool shipped;

    open_disk(&changing);
    REQUIRE(fchmod(changing.disk.fd, 0777) == 0);
    REQUIRE(fchmod(changing.copy.fd, 0777) == 0);
    scratch_write(disk, "closed", "secret");
    scratch_write(disk, "open", "content");
    seen = changing_look(&changing);
    REQUIRE(fchmodat(disk, "closed", 0, 0) == 0 && fchmodat(disk, "open", 0644, 0) == 0);
    REQUIRE(fchmodat(disk, ".holdfast", 0777, 0) == 0 && fchmodat(disk, ".holdfast/pending", 0777, 0) == 0);
    REQUIRE(geteuid() != 0 || seteuid(65534) == 0);
    shipped = changing_ship_seen(&changing, seen, &err);
    REQUIRE(getuid() != 0 || seteuid(0) == 0);
    REQUIRE_OK(shipped, &err);
    EXPECT_STR(changing.changes.failed, "closed");
    EXPECT_INT(changing.changes.failed_why.code, ERR_DENIED);
    EXPECT(scratch_exists(changing.copy.fd, "open") && !scratch_exists(changing.copy.fd, "closed"));
}

TEST(a_file_that_is_attached_by_now_is_left_unopened)
{
    CLEANUP(changing_close) struct changing changing;
    struct guarded_claim claim = GUARDED_CLAIM_INIT;
    struct tree *seen;
    struct err err;

    open_disk(&changing);
    scratch_write(disk, "db", "plain when it was seen");
    seen = changing_look(&changing);
    REQUIRE_OK(guarded_file_claim(disk, "db", &claim, &err), &err);
    REQUIRE_OK(changing_ship_seen(&changing, seen, &err), &err);
    EXPECT_INT(changing.changes.left, 1);
    EXPECT_INT(changing.changes.sections.size, 0);
    EXPECT_INT(scratch_stat(disk, "db").st_nlink, 1);
    guarded_file_release(&claim);
}

/* What was no database when it was looked into may be one when it is read. */
TEST(a_file_that_moved_since_the_look_is_looked_into_again)
{
    CLEANUP(changing_close) struct changing changing;
    struct tree *seen;
    struct err err;

    open_disk(&changing);
    scratch_write(disk, "file", "no pages yet");
    seen = changing_look(&changing);
    scratch_write(disk, "file", "SQLite format 3");
    REQUIRE_OK(changing_ship_seen(&changing, seen, &err), &err);
    EXPECT(changing_is_equal(&changing));
    REQUIRE(tree_find(changing.previous, "file"));
    EXPECT_INT(tree_find(changing.previous, "file")->inode, 0);
    SHIP(&changing);
    EXPECT(tree_find(changing.previous, "file")->inode != 0);
}

/* Whoever writes to it may have stopped in the middle of a commit. */
TEST(a_file_that_begins_like_a_database_since_the_look_is_left)
{
    static const char pages[LARGE] = MAGIC;
    CLEANUP(globs_freep) struct globs *names = globs("*");

    for (size_t size = 512; size <= LARGE; size += LARGE - 512) {
        CLEANUP(changing_close) struct changing changing;
        struct tree *seen;
        struct err err;
        open_disk(&changing);
        changing.database_names = size == LARGE ? names : NULL;
        scratch_write(disk, "db", size == LARGE ? "no pages" : "");
        seen = changing_look(&changing);
        scratch_write_bytes(disk, "db", pages, size);
        REQUIRE_OK(changing_ship_seen(&changing, seen, &err), &err);
        EXPECT_INT(changing.changes.left, 1);
        EXPECT(!scratch_exists(changing.copy.fd, "db"));
    }
}

TEST(a_file_that_is_a_database_by_now_is_no_file)
{
    static const struct base_database databases[] = {{.path = "a/db"}};
    CLEANUP(changing_close) struct changing changing;

    open_disk(&changing);
    scratch_write(disk, "a/db", "");
    scratch_write(disk, "a/db-wal", "plain");
    SHIP(&changing);
    scratch_write(disk, "a/db", "with pages");
    changing.databases = databases;
    changing.databases_count = 1;
    SHIP(&changing);
    EXPECT_INT(changing.changes.gones, 2);
    EXPECT_INT(changing.changes.puts, 0);
    EXPECT_INT(tree_count(changing.previous), 1);
}

/* A restore would refuse a record that takes the directory away from above a database. */
TEST(a_directory_above_a_database_stays_whatever_became_of_it)
{
    static const struct base_database databases[] = {{.path = "a/b/db"}, {.path = "c/db"}};
    CLEANUP(changing_close) struct changing changing;
    struct err err;

    open_disk(&changing);
    scratch_write(disk, "a/b/file", "x");
    scratch_write(disk, "c/file", "x");
    SHIP(&changing);
    changing.databases = databases;
    changing.databases_count = 2;
    REQUIRE_OK(fs_remove_tree(disk, "a", &err) && fs_remove_tree(disk, "c", &err), &err);
    scratch_write(disk, "c", "a file now");
    SHIP(&changing);
    EXPECT_INT(changing.changes.gones, 1); /* a/b/file */
    EXPECT_INT(changing.changes.puts, 0);
    EXPECT_INT(changing.changes.left, 1); /* c */
    EXPECT(replica_is_listed(changing.copy.fd, changing.previous));
    EXPECT_INT(tree_count(changing.previous), 4);
    changing.databases_count = 0; /* they are gone too */
    SHIP(&changing);
    EXPECT(changing_is_equal(&changing));
}

TAP_MAIN()
