/* Scanning at the limits: long paths, what may not be read, what is attached, what changes meanwhile, and
 * many. */
#include "tests/double/scanning.h"
#include "tests/double/stale_clock.h"

#include "base/clock.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* Directories named "d" whose whole path has `length` bytes (an odd number). */
static void make_chain(int top_fd, size_t length)
{
    int fd = dup(top_fd);

    for (size_t at = 1; at <= length; at += 2) {
        int next;
        if (mkdirat(fd, "d", 0755) != 0 || (next = openat(fd, "d", O_RDONLY | O_DIRECTORY)) < 0)
            abort();
        (void)close(fd);
        fd = next;
    }
    (void)close(fd);
}

TEST(a_path_of_4095_bytes_is_scanned)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(scan_result_clearp) struct scan_result result = {0};
    struct err err;

    scratch_open(&scratch);
    make_chain(scratch.fd, TREE_PATH_MAX);
    REQUIRE_OK(scan(scratch.fd, "", "*", &result, &err), &err);
    REQUIRE(tree_count(result.tree) == 2048);
    EXPECT_INT(strlen(tree_path(result.tree, tree_at(result.tree, 2047))), TREE_PATH_MAX);
}

TEST(a_longer_path_is_an_error_that_says_so)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    struct scan_result result = {0};
    struct err err = {0};
    int fd;

    scratch_open(&scratch);
    make_chain(scratch.fd, TREE_PATH_MAX);
    fd = dup(scratch.fd);
    for (int level = 0; level < 2048; level++) {
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY);
        (void)close(fd);
        fd = next;
    }
    scratch_write(fd, "f", "");
    EXPECT(!scan(scratch.fd, "", "*", &result, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT_SCAN(scratch.fd, "d", "*", "|");
    REQUIRE(unlinkat(fd, "f", 0) == 0);
    (void)close(fd);
}

/* Times of files move in ticks. A file of pages that got its first one within the tick of the look would keep
 * its time, and be taken for a plain file for ever. So the look waits for the next tick. */
TEST(a_file_is_looked_into_when_a_later_write_would_have_another_time)
{
    static const char zeros[sizeof(sqlite_bytes)];
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    scratch_write_bytes(scratch.fd, "db", zeros, sizeof(zeros));
    stale_stamps = 5;
    EXPECT_SCAN(scratch.fd, "", "*", "db |");
    EXPECT_INT(stale_stamps, 0);
    stale_stamps = 1000;
    EXPECT_SCAN(scratch.fd, "", "*", "db |");
    EXPECT(stale_stamps > 900); /* a clock that was set back holds nothing up */
    stale_stamps = 0;
}

TEST(an_unreadable_file_or_directory_is_an_error_that_names_it)
{
    static const char *const patterns[] = {"*", "*.db"};
    CLEANUP(scratch_closep) struct scratch scratch;
    struct scan_result result = {0};
    struct err err = {0};

    scratch_open(&scratch);
    scratch_write(scratch.fd, "a/closed", "");
    REQUIRE(fchmodat(scratch.fd, "a/closed", 0, 0) == 0);
    REQUIRE(fchmod(scratch.fd, 0755) == 0);
    REQUIRE(geteuid() != 0 || seteuid(65534) == 0);
    for (size_t at = 0; at < 2; at++) {
        EXPECT(!scan(scratch.fd, "", patterns[at], &result, &err));
        EXPECT_INT(err.code, ERR_DENIED);
        EXPECT(strstr(err.text, "a/closed") != NULL);
    }
    REQUIRE(getuid() != 0 || seteuid(0) == 0);
    REQUIRE(fchmodat(scratch.fd, "a", 0, 0) == 0);
    REQUIRE(geteuid() != 0 || seteuid(65534) == 0);
    EXPECT(!scan(scratch.fd, "", "*", &result, &err));
    EXPECT_INT(err.code, ERR_DENIED);
    REQUIRE(getuid() != 0 || seteuid(0) == 0);
    REQUIRE(fchmodat(scratch.fd, "a", 0700, 0) == 0);
}

struct attached {
    uint64_t inode;
    int asked;
};

static bool is_attached(void *context, uint64_t device, uint64_t inode)
{
    struct attached *attached = context;

    attached->asked += device != 0;
    return inode == attached->inode;
}

TEST(an_attached_database_is_known_without_being_opened)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(globs_freep) struct globs *none = globs("");
    CLEANUP(globs_freep) struct globs *all = globs("*");
    CLEANUP(scan_result_clearp) struct scan_result result = {0};
    struct attached attached = {0};
    struct scan_options options = {
        .exclude = none, .databases = all, .is_attached = is_attached, .context = &attached};
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1}, seen = lock;
    CLEANUP(close_fdp) int fd = -1;
    struct err err;
    int status = -1;

    scratch_open(&scratch);
    write_database(scratch.fd, "db");
    REQUIRE(linkat(scratch.fd, "db", scratch.fd, "hard", 0) == 0);
    attached.inode = scratch_stat(scratch.fd, "db").st_ino;
    fd = openat(scratch.fd, "db", O_RDWR);
    REQUIRE(fcntl(fd, F_SETLK, &lock) == 0);
    REQUIRE_OK(scan_directory(scratch.fd, &options, &result, &err), &err);
    EXPECT_INT(result.databases_count, 2);
    EXPECT_INT(attached.asked, 2);
    /* Another process still meets the lock: nothing of that inode was closed here. */
    if (fork() == 0)
        _exit(fcntl(fd, F_GETLK, &seen) == 0 && seen.l_type == F_WRLCK ? 0 : 1);
    (void)wait(&status);
    EXPECT_INT(status, 0);
}

/* The scan that doesn't know what is attached drops the lock: what the test above tests can fail. */
TEST(opening_an_attached_database_would_drop_its_locks)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1}, seen = lock;
    CLEANUP(close_fdp) int fd = -1;
    int status = -1;

    scratch_open(&scratch);
    write_database(scratch.fd, "db");
    fd = openat(scratch.fd, "db", O_RDWR);
    REQUIRE(fcntl(fd, F_SETLK, &lock) == 0);
    EXPECT_SCAN(scratch.fd, "", "*", "| db");
    if (fork() == 0)
        _exit(fcntl(fd, F_GETLK, &seen) == 0 && seen.l_type == F_WRLCK ? 0 : 1);
    (void)wait(&status);
    EXPECT(status != 0);
}

TEST(files_known_from_before_are_not_opened_again)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(globs_freep) struct globs *none = globs("");
    CLEANUP(globs_freep) struct globs *all = globs("*");
    CLEANUP(scan_result_clearp) struct scan_result first = {0}, second = {0}, third = {0};
    struct attached attached = {0};
    struct scan_options options = {
        .exclude = none, .databases = all, .is_attached = is_attached, .context = &attached};
    struct err err;

    scratch_open(&scratch);
    scratch_write_bytes(scratch.fd, "a", (char[512]){"1"}, 512);
    scratch_write_bytes(scratch.fd, "b", (char[512]){"1"}, 512);
    REQUIRE_OK(scan_directory(scratch.fd, &options, &first, &err), &err);
    EXPECT_INT(attached.asked, 2);
    options.before = first.tree;
    REQUIRE_OK(scan_directory(scratch.fd, &options, &second, &err), &err);
    EXPECT_INT(attached.asked, 2);
    scratch_write(scratch.fd, "c", "not the size of a database");
    write_database(scratch.fd, "b");
    options.before = second.tree;
    REQUIRE_OK(scan_directory(scratch.fd, &options, &third, &err), &err);
    EXPECT_INT(attached.asked, 3);
    EXPECT_INT(third.databases_count, 1);
}

struct churn {
    int fd;
    atomic_bool stop;
};

/* Creates, removes and exchanges names as fast as it can, a directory for a symlink out of the tree too. */
static void *churn_run(void *context)
{
    struct churn *churn = context;

    while (!atomic_load(&churn->stop)) {
        (void)mkdirat(churn->fd, "dir", 0755);
        (void)mkdirat(churn->fd, "dir/below", 0755);
        (void)close(openat(churn->fd, "dir/below/file", O_CREAT | O_WRONLY, 0644));
        (void)renameat(churn->fd, "dir", churn->fd, "away");
        if (symlinkat("../outside", churn->fd, "dir") != 0)
            continue;
        (void)unlinkat(churn->fd, "dir", 0);
        (void)unlinkat(churn->fd, "away/below/file", 0);
        (void)unlinkat(churn->fd, "away/below", AT_REMOVEDIR);
        (void)unlinkat(churn->fd, "away", AT_REMOVEDIR);
        (void)close(openat(churn->fd, "file", O_CREAT | O_WRONLY, 0644));
        (void)unlinkat(churn->fd, "file", 0);
    }
    return NULL;
}

TEST(a_tree_that_changes_while_it_is_scanned_neither_fails_nor_leads_out)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    struct churn churn = {0};
    pthread_t thread;
    struct err err;
    size_t seen = 0;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "outside/secret", "");
    scratch_write(scratch.fd, "data/constant", "");
    churn.fd = openat(scratch.fd, "data", O_RDONLY | O_DIRECTORY);
    REQUIRE(pthread_create(&thread, NULL, churn_run, &churn) == 0);
    for (int round = 0; round < 3000; round++) {
        CLEANUP(scan_result_clearp) struct scan_result result = {0};
        bool scanned = scan(churn.fd, "", "*", &result, &err);
        if (!tap_note(scanned, "the scan to succeed", __FILE__, __LINE__)) {
            printf("#   %s\n", err.text);
            break;
        }
        EXPECT(tree_find(result.tree, "constant") != NULL);
        for (size_t at = 0; at < tree_count(result.tree); at++)
            EXPECT(!strstr(tree_path(result.tree, tree_at(result.tree, at)), "secret"));
        seen += tree_count(result.tree) - 1;
    }
    atomic_store(&churn.stop, true);
    (void)pthread_join(thread, NULL);
    (void)close(churn.fd);
    EXPECT(seen > 0);
}

/* 100,000 files take about three seconds to make, so this runs only when asked for: HOLDFAST_TEST_LARGE=1. */
TEST(a_hundred_thousand_files_fit_in_150_bytes_each)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(scan_result_clearp) struct scan_result result = {0}, again = {0};
    CLEANUP(globs_freep) struct globs *exclude = globs("tmp");
    CLEANUP(globs_freep) struct globs *all = globs("*");
    struct scan_options options = {.exclude = exclude, .databases = all};
    int files = getenv("HOLDFAST_TEST_LARGE") ? 100000 : 2000;
    uint64_t begin_ms, first_ms, second_ms;
    size_t before;
    struct err err;

    scratch_open(&scratch);
    scratch_mkdir(scratch.fd, "storage/files");
    for (int at = 0; at < files; at++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "storage/files/%08x-0000-4000-8000-%012x.blob",
                       (unsigned)at * 2654435761U, (unsigned)at);
        (void)close(openat(scratch.fd, path, O_CREAT | O_WRONLY, 0644));
    }
    before = mallinfo2().uordblks + mallinfo2().hblkhd;
    begin_ms = clock_monotonic_ms();
    REQUIRE_OK(scan_directory(scratch.fd, &options, &result, &err), &err);
    first_ms = clock_monotonic_ms() - begin_ms;
    before = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    options.before = result.tree;
    begin_ms = clock_monotonic_ms();
    REQUIRE_OK(scan_directory(scratch.fd, &options, &again, &err), &err);
    second_ms = clock_monotonic_ms() - begin_ms;
    printf("# %d files: %" PRIu64 " ms, again %" PRIu64 " ms, %zu bytes each\n", files, first_ms, second_ms,
           before / (size_t)files);
    EXPECT_INT(tree_count(result.tree), files + 2);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT(before / (size_t)files < 150);
#endif
}

TAP_MAIN()
