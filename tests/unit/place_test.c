#include "snapshot/place.h"

#include "base/fs.h"
#include "tests/double/placing.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"

#include <fcntl.h>

#define SECONDS INT64_C(1000000000)

static const struct placed new_state[] = {
    {"app.db", "new database", 'b', 0640, 1600000001 * SECONDS + 5},
    {"files", NULL, 'd', 0750, 1600000002 * SECONDS + 6},
    {"files/a", "new a", 'f', 0644, 1600000003 * SECONDS + 7},
    {"files/empty", "", 'f', 0600, 1600000004 * SECONDS},
    {"files/link", "a", 'l', 0777, 1600000005 * SECONDS + 8},
    {"hollow", NULL, 'd', 0500, -1500000000},
};

static const char new_listing[] =
    "app.db = new database\nfiles/\nhollow/\nfiles/a = new a\nfiles/empty = \n"
    "files/link -> a\n";

static bool restore(int fd, const char *aside, const char *exclude, size_t *ret_set_aside, struct err *err)
{
    return placing_restore(fd, aside, exclude, new_state, COUNT(new_state), ret_set_aside, err);
}

static int64_t mtime_ns(int fd, const char *path)
{
    struct stat status = scratch_stat(fd, path);

    return status.st_mtim.tv_sec * SECONDS + status.st_mtim.tv_nsec;
}

static void expect_metadata(int fd)
{
    for (size_t at = 0; at < COUNT(new_state); at++) {
        struct stat status = scratch_stat(fd, new_state[at].path);
        if (!EXPECT(mtime_ns(fd, new_state[at].path) == new_state[at].mtime_ns))
            printf("#   %s\n", new_state[at].path);
        if (new_state[at].kind != 'l')
            EXPECT_INT(status.st_mode & 07777, new_state[at].mode);
    }
}

TEST(a_tree_comes_to_be_in_an_empty_directory)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    size_t set_aside = 99;
    struct err err;

    scratch_open(&scratch);
    REQUIRE_OK(restore(scratch.fd, NULL, "tmp", &set_aside, &err), &err);
    EXPECT_LISTING(scratch.fd, new_listing);
    expect_metadata(scratch.fd);
    EXPECT_INT(set_aside, 0);
    EXPECT(!scratch_exists(scratch.fd, ".holdfast/staging"));
    EXPECT(!scratch_exists(scratch.fd, ".holdfast/aside"));
}

TEST(in_place_what_a_former_attempt_left_is_removed)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    size_t set_aside;
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "files/half", "written");
    scratch_write(scratch.fd, "app.db-wal", "stale");
    scratch_write(scratch.fd, "files/tmp/scratch", "excluded");
    scratch_write(scratch.fd, "lost+found/1", "");
    scratch_write(scratch.fd, ".holdfast/state", "ours");
    REQUIRE_OK(restore(scratch.fd, NULL, "tmp", &set_aside, &err), &err);
    EXPECT_LISTING(scratch.fd,
                   "app.db = new database\nfiles/\nhollow/\nlost+found/\nlost+found/1 = \n"
                   "files/a = new a\nfiles/empty = \nfiles/link -> a\nfiles/tmp/\n"
                   "files/tmp/scratch = excluded\n");
    EXPECT(scratch_exists(scratch.fd, ".holdfast/state"));
}

TEST(a_stale_wal_never_stays_beside_a_restored_database)
{
    static const char *const asides[] = {NULL, "2026"};

    for (size_t at = 0; at < 2; at++) {
        CLEANUP(scratch_closep) struct scratch scratch;
        size_t set_aside;
        struct err err;
        scratch_open(&scratch);
        scratch_write(scratch.fd, "app.db-wal", "stale");
        scratch_write(scratch.fd, "app.db-shm", "stale");
        scratch_write(scratch.fd, "app.db-journal", "stale");
        REQUIRE_OK(restore(scratch.fd, asides[at], "*-wal:*-shm:*-journal", &set_aside, &err), &err);
        EXPECT_LISTING(scratch.fd, new_listing);
        EXPECT_INT(set_aside, asides[at] ? 3 : 0);
    }
}

TEST(a_journal_from_the_store_never_gets_beside_a_restored_database)
{
    static const struct placed state[] = {
        {"app.db", "new database", 'b', 0600, 0},
        {"app.db-journal", "of its first moments", 'f', 0600, 0},
        {"app.db-wal", "elsewhere", 'l', 0777, 0},
        {"other-journal", "a file", 'f', 0600, 0},
        {"plain.db", "SQLite format 3", 's', 0600, 0}, /* is a database by content */
        {"plain.db-journal", "of an earlier one", 'f', 0600, 0},
        {"text", "SQLite format 3", 'f', 0600, 0},
        {"text-journal", "a file", 'f', 0600, 0},
        {"sub", NULL, 'd', 0700, 0},
        {"sub/app.db-wal", "a file too", 'f', 0600, 0},
    };
    static const char *const asides[] = {NULL, "2026"};

    for (size_t at = 0; at < 2; at++) {
        CLEANUP(scratch_closep) struct scratch scratch;
        size_t set_aside;
        struct err err;
        scratch_open(&scratch);
        scratch_write(scratch.fd, "plain.db-wal", "stale");
        REQUIRE_OK(
            placing_restore(scratch.fd, asides[at], "plain.db-wal", state, COUNT(state), &set_aside, &err),
            &err);
        EXPECT_LISTING(scratch.fd,
                       "app.db = new database\nother-journal = a file\nplain.db = SQLite format 3\nsub/\n"
                       "text = SQLite format 3\ntext-journal = a file\nsub/app.db-wal = a file too\n");
    }
}

TEST(what_was_there_is_set_aside)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    size_t set_aside = 0;
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "app.db", "old database");
    scratch_write(scratch.fd, "app.db-wal", "old frames");
    scratch_write(scratch.fd, "files/a", "old a");
    scratch_write(scratch.fd, "files/deep/down", "old");
    scratch_symlink(scratch.fd, "/etc/passwd", "files/empty");
    scratch_mkdir(scratch.fd, "vacant/below");
    scratch_mkdir(scratch.fd, "hollow");
    REQUIRE_OK(restore(scratch.fd, "2026", "tmp", &set_aside, &err), &err);
    EXPECT_LISTING(scratch.fd, new_listing);
    expect_metadata(scratch.fd);
    EXPECT_INT(set_aside, 6);
    {
        CLEANUP(close_fdp) int fd = openat(scratch.fd, ".holdfast/aside/2026", O_RDONLY | O_DIRECTORY);
        EXPECT_LISTING(fd,
                       "app.db = old database\napp.db-wal = old frames\nfiles/\nvacant/\nvacant/below/\n"
                       "files/a = old a\nfiles/deep/\nfiles/empty -> /etc/passwd\nfiles/deep/down = old\n");
    }
    EXPECT(!scratch_exists(scratch.fd, ".holdfast/staging"));
    EXPECT(!scratch_exists(scratch.fd, ".holdfast/aside/2026.unfinished"));
}

TEST(what_is_kept_or_excluded_stays)
{
    static const struct placed state[] = {
        {"files", NULL, 'd', 0755, 5 * SECONDS},
        {"files/a", "old a", 'k', 0644, 5 * SECONDS},
        {"files/b", "new b", 'f', 0644, 5 * SECONDS},
    };
    CLEANUP(scratch_closep) struct scratch scratch;
    size_t set_aside = 0;
    struct err err;
    ino_t inode;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "files/a", "old a");
    scratch_write(scratch.fd, "files/b", "old b");
    scratch_write(scratch.fd, "gone/tmp/x", "excluded");
    inode = scratch_stat(scratch.fd, "files/a").st_ino;
    REQUIRE_OK(placing_restore(scratch.fd, "2026", "tmp", state, COUNT(state), &set_aside, &err), &err);
    EXPECT_LISTING(scratch.fd,
                   "files/\ngone/\ngone/tmp/\ngone/tmp/x = excluded\nfiles/a = old a\n"
                   "files/b = new b\n");
    EXPECT_INT(scratch_stat(scratch.fd, "files/a").st_ino, inode);
    EXPECT_INT(set_aside, 1);
    EXPECT(scratch_exists(scratch.fd, ".holdfast/aside/2026/files/b"));
    EXPECT(!scratch_exists(scratch.fd, ".holdfast/aside/2026/gone"));
}

TEST(kinds_may_change)
{
    static const struct placed state[] = {
        {"was_directory", "now a file", 'f', 0644, 0}, {"was_file", NULL, 'd', 0755, 0},
        {"was_file/below", "new", 'f', 0644, 0},       {"was_symlink", NULL, 'd', 0755, 0},
        {"was_symlink/below", "new", 'f', 0644, 0},
    };
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(scratch_closep) struct scratch outside;
    size_t set_aside = 0;
    struct err err;

    scratch_open(&scratch);
    scratch_open(&outside);
    scratch_write(scratch.fd, "was_directory/x", "old");
    scratch_write(scratch.fd, "was_file", "old");
    scratch_symlink(scratch.fd, outside.path, "was_symlink");
    REQUIRE_OK(placing_restore(scratch.fd, "2026", "", state, COUNT(state), &set_aside, &err), &err);
    EXPECT_LISTING(scratch.fd,
                   "was_directory = now a file\nwas_file/\nwas_symlink/\nwas_symlink/below = new\n"
                   "was_file/below = new\n");
    EXPECT_LISTING(outside.fd, "");
    EXPECT_INT(set_aside, 3);
}

TEST(nothing_to_set_aside_leaves_no_folder)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    size_t set_aside = 99;
    struct err err;

    scratch_open(&scratch);
    scratch_mkdir(scratch.fd, "files");
    REQUIRE_OK(restore(scratch.fd, "2026", "", &set_aside, &err), &err);
    EXPECT_LISTING(scratch.fd, new_listing);
    EXPECT_INT(set_aside, 0);
    EXPECT(!scratch_exists(scratch.fd, ".holdfast/aside/2026"));
}

TEST(the_newest_three_folders_remain)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    size_t set_aside;
    struct err err;

    scratch_open(&scratch);
    for (int year = 2020; year < 2025; year++) {
        char path[64];
        (void)snprintf(path, sizeof(path), ".holdfast/aside/%d/some/file", year);
        scratch_write(scratch.fd, path, "");
    }
    scratch_write(scratch.fd, "old", "");
    REQUIRE_OK(restore(scratch.fd, "1970", "", &set_aside, &err), &err);
    EXPECT(scratch_exists(scratch.fd, ".holdfast/aside/1970/old"));
    EXPECT(scratch_exists(scratch.fd, ".holdfast/aside/2024"));
    EXPECT(scratch_exists(scratch.fd, ".holdfast/aside/2023"));
    EXPECT(!scratch_exists(scratch.fd, ".holdfast/aside/2022"));
    EXPECT(!scratch_exists(scratch.fd, ".holdfast/aside/2020"));
}

TEST(a_second_restore_of_the_same_name_loses_nothing_of_the_first)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(freep) char *first = NULL, *second = NULL;
    size_t set_aside;
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "local", "one");
    REQUIRE_OK(restore(scratch.fd, "2026", "", &set_aside, &err), &err);
    scratch_write(scratch.fd, "local", "two");
    REQUIRE_OK(restore(scratch.fd, "2026", "", &set_aside, &err), &err);
    first = scratch_read(scratch.fd, ".holdfast/aside/2026/local");
    second = scratch_read(scratch.fd, ".holdfast/aside/2026-2/local");
    REQUIRE(first && second);
    EXPECT_STR(first, "one");
    EXPECT_STR(second, "two");
}

TEST(paths_that_are_excluded_here_are_dropped)
{
    static const struct placed state[] = {
        {"kept", "x", 'f', 0644, 0},
        {"tmp", NULL, 'd', 0700, 0},
        {"tmp/file", "from the store", 'f', 0644, 0},
        {"tmp/link", "file", 'l', 0777, 0},
        {"tmp/db", "pages", 'b', 0644, 0},
    };
    static const char *const asides[] = {NULL, "2026"};

    for (size_t at = 0; at < 2; at++) {
        CLEANUP(scratch_closep) struct scratch scratch;
        size_t set_aside;
        struct err err;
        scratch_open(&scratch);
        scratch_write(scratch.fd, "tmp/file", "local");
        REQUIRE_OK(placing_restore(scratch.fd, asides[at], "tmp", state, COUNT(state), &set_aside, &err),
                   &err);
        EXPECT_LISTING(scratch.fd, "kept = x\ntmp/\ntmp/file = local\n");
        EXPECT_INT(scratch_stat(scratch.fd, "tmp").st_mode & 07777, 0755);
    }
}

TEST(mode_comes_after_owner_so_that_setuid_survives)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(place_freep) struct place *place = NULL;
    CLEANUP(close_fdp) int fd = -1;
    struct err err;

    scratch_open(&scratch);
    REQUIRE_OK(place_begin(scratch.fd, NULL, "", &place, &err), &err);
    REQUIRE_OK(place_file(place, "tool", 3, &fd, &err), &err);
    EXPECT_INT(scratch_stat(scratch.fd, "tool").st_mode & 07777, 0600);
    REQUIRE_OK(place_write(fd, "abc", 3, 0, &err), &err);
    REQUIRE_OK(place_seal(fd, 06755, geteuid() == 0 ? 1234 : geteuid(), getegid(), 1, &err), &err);
    EXPECT_INT(scratch_stat(scratch.fd, "tool").st_mode & 07777, 06755);
    EXPECT_INT(scratch_stat(scratch.fd, "tool").st_uid, geteuid() == 0 ? 1234 : geteuid());
    EXPECT_INT(mtime_ns(scratch.fd, "tool"), 1);
}

/* What the file holds must be what was written, however it was cut; zeros take no room. */
TEST(blocks_of_zeros_are_holes)
{
    enum { SIZE = 1 << 20 };
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(place_freep) struct place *place = NULL;
    CLEANUP(close_fdp) int fd = -1;
    CLEANUP(freep) uint8_t *bytes = xcalloc(1, SIZE), *back = xcalloc(1, SIZE);
    struct err err;

    scratch_open(&scratch);
    REQUIRE_OK(place_begin(scratch.fd, NULL, "", &place, &err), &err);
    REQUIRE_OK(place_file(place, "sparse", SIZE, &fd, &err), &err);
    EXPECT_INT(scratch_stat(scratch.fd, "sparse").st_blocks, 0);
    bytes[0] = 1;
    bytes[300000] = 2;
    bytes[SIZE - 1] = 3;
    REQUIRE_OK(place_write(fd, bytes, 100001, 0, &err), &err);
    REQUIRE_OK(place_write(fd, bytes + 100001, SIZE - 100001, 100001, &err), &err);
    REQUIRE_OK(fs_read_at(fd, back, SIZE, 0, &err), &err);
    EXPECT(memcmp(bytes, back, SIZE) == 0);
    EXPECT_INT(scratch_stat(scratch.fd, "sparse").st_size, SIZE);
    EXPECT(scratch_stat(scratch.fd, "sparse").st_blocks <= 8 * 5);

    memset(bytes, 7, SIZE);
    REQUIRE_OK(place_write(fd, bytes, SIZE, 0, &err), &err);
    memset(bytes + 8192, 0, 100000);
    REQUIRE_OK(place_write(fd, bytes, SIZE, 0, &err), &err);
    REQUIRE_OK(fs_read_at(fd, back, SIZE, 0, &err), &err);
    EXPECT(memcmp(bytes, back, SIZE) == 0);
}

TEST(an_empty_directory_is_one_with_nothing_but_what_is_left_alone)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    bool empty = false;
    struct err err;

    scratch_open(&scratch);
    REQUIRE_OK(place_is_empty(scratch.fd, "tmp", &empty, &err), &err);
    EXPECT(empty);
    scratch_mkdir(scratch.fd, ".holdfast");
    scratch_mkdir(scratch.fd, "lost+found");
    scratch_write(scratch.fd, "tmp/x", "");
    REQUIRE_OK(place_is_empty(scratch.fd, "tmp", &empty, &err), &err);
    EXPECT(empty);
    scratch_symlink(scratch.fd, "nowhere", "x");
    REQUIRE_OK(place_is_empty(scratch.fd, "tmp", &empty, &err), &err);
    EXPECT(!empty);
}

static int sync_fd, syncs;

static void look_at_sync(void)
{
    CLEANUP(freep) char *content = scratch_read(sync_fd, "files/a");

    syncs++;
    EXPECT_STR(content ? content : "absent", syncs == 1 ? "old a" : "new a");
    EXPECT(syncs == 2 || scratch_exists(sync_fd, ".holdfast/staging/files/a"));
    EXPECT(syncs == 1 || !scratch_exists(sync_fd, ".holdfast/staging"));
}

TEST(all_is_made_durable_before_the_exchange_and_again_after_it)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    size_t set_aside;
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "files/a", "old a");
    sync_fd = scratch.fd;
    placing_on_sync = look_at_sync;
    REQUIRE_OK(restore(scratch.fd, "2026", "", &set_aside, &err), &err);
    EXPECT_INT(syncs, 2);
}

TAP_MAIN()
