/* What restoring refuses, and that it leads nowhere and changes nothing then. */
#include "base/thread.h"
#include "tests/double/placing.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>

TEST(a_file_in_the_place_of_a_directory_with_excluded_paths_is_refused)
{
    static const struct placed state[] = {{"a", "a file", 'f', 0644, 0}};
    CLEANUP(scratch_closep) struct scratch scratch;
    size_t set_aside;
    struct err err = {0};

    scratch_open(&scratch);
    scratch_write(scratch.fd, "a/tmp/x", "excluded");
    EXPECT(!placing_restore(scratch.fd, "2026", "tmp", state, COUNT(state), &set_aside, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT(scratch_exists(scratch.fd, "a/tmp/x"));
}

TEST(hostile_paths_are_refused)
{
    static const char *const paths[] = {"../x", "/etc/x", "a/../../x", ".holdfast/state", ".holdfast",
                                        "a//b", "",       ".",         "lost+found/x"};
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(place_freep) struct place *place = NULL;
    struct err err;
    int fd = -1;

    scratch_open(&scratch);
    REQUIRE_OK(place_begin(scratch.fd, NULL, "", &place, &err), &err);
    for (size_t at = 0; at < COUNT(paths); at++) {
        EXPECT(!place_file(place, paths[at], 1, &fd, &err) && err.code == ERR_CORRUPT);
        EXPECT(!place_directory(place, paths[at], &err) && err.code == ERR_CORRUPT);
        EXPECT(!place_symlink(place, paths[at], "x", &err) && err.code == ERR_CORRUPT);
    }
    EXPECT_INT(fd, -1);
    EXPECT_LISTING(scratch.fd, "");
}

TEST(a_restored_symlink_is_never_followed)
{
    static const char *const asides[] = {NULL, "2026"};
    CLEANUP(scratch_closep) struct scratch outside;

    scratch_open(&outside);
    for (size_t at = 0; at < 2; at++) {
        CLEANUP(scratch_closep) struct scratch scratch;
        CLEANUP(place_freep) struct place *place = NULL;
        struct err err;
        int fd = -1;
        scratch_open(&scratch);
        REQUIRE_OK(place_begin(scratch.fd, asides[at], "", &place, &err), &err);
        REQUIRE_OK(place_symlink(place, "way", outside.path, &err), &err);
        REQUIRE_OK(place_symlink(place, "file", "../outside-file", &err), &err);
        EXPECT(!place_file(place, "way/out", 1, &fd, &err));
        EXPECT(!place_directory(place, "way", &err));
        EXPECT(!place_directory(place, "way/out", &err));
        EXPECT(!place_symlink(place, "way/out", "x", &err));
        EXPECT(!place_file(place, "file", 1, &fd, &err));
        EXPECT_LISTING(outside.fd, "");
    }
}

TEST(a_symlink_in_the_place_of_our_folder_is_refused)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(scratch_closep) struct scratch outside;
    struct place *place = NULL;
    struct err err;

    scratch_open(&scratch);
    scratch_open(&outside);
    scratch_symlink(scratch.fd, outside.path, ".holdfast");
    EXPECT(!place_begin(scratch.fd, "2026", "", &place, &err));
    EXPECT(place == NULL);
}

TEST(a_read_only_directory_is_refused_before_anything_changes)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    struct place *place = NULL;
    struct err err = {0};

    scratch_open(&scratch);
    scratch_write(scratch.fd, "a/closed/file", "old");
    scratch_write(scratch.fd, "b", "old");
    REQUIRE(fchmodat(scratch.fd, "a/closed", 0555, 0) == 0);
    REQUIRE(fchmodat(scratch.fd, "a", 0777, 0) == 0);
    REQUIRE(fchmod(scratch.fd, 0777) == 0);
    REQUIRE(geteuid() != 0 || seteuid(65534) == 0);
    EXPECT(!place_begin(scratch.fd, "2026", "", &place, &err));
    EXPECT_INT(err.code, ERR_DENIED);
    EXPECT(strstr(err.text, "a/closed") != NULL);
    REQUIRE(getuid() != 0 || seteuid(0) == 0);
    EXPECT_LISTING(scratch.fd, "a/\nb = old\na/closed/\na/closed/file = old\n");
}

/* A mount namespace of this test's own, with the scratch directory as the place to be; false if that isn't
 * allowed. */
static bool enter_namespace(const struct scratch *scratch)
{
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        chdir(scratch->path) == 0)
        return true;
    printf("# not allowed to mount here: %s\n", strerror(errno));
    return false;
}

static int syncs;

static void count_sync(void)
{
    syncs++;
}

TEST(in_place_a_volume_mounted_inside_is_filled_and_made_durable)
{
    static const struct placed state[] = {
        {"files", NULL, 'd', 0750, 0},
        {"files/a", "new", 'f', 0600, 0},
        {"files/deep", NULL, 'd', 0700, 0},
    };
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(close_fdp) int fd = -1;
    size_t set_aside;
    struct err err;

    scratch_open(&scratch);
    scratch_mkdir(scratch.fd, "files");
    if (!enter_namespace(&scratch))
        return;
    REQUIRE(mount("none", "files", "tmpfs", 0, NULL) == 0);
    fd = open(".", O_RDONLY | O_DIRECTORY); /* of this namespace */
    scratch_write(fd, "files/half", "left behind");
    placing_on_sync = count_sync;
    REQUIRE_OK(placing_restore(fd, NULL, "", state, COUNT(state), &set_aside, &err), &err);
    EXPECT_LISTING(fd, "files/\nfiles/a = new\nfiles/deep/\n");
    EXPECT_INT(syncs, 2);
    REQUIRE(umount("files") == 0 && chdir("/") == 0);
}

TEST(a_mount_inside_is_refused_before_anything_changes)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(close_fdp) int fd = -1;
    struct place *place = NULL;
    struct err err = {0};

    scratch_open(&scratch);
    scratch_mkdir(scratch.fd, "a/mounted");
    scratch_write(scratch.fd, "bound", "old");
    scratch_write(scratch.fd, "other", "old");
    if (!enter_namespace(&scratch))
        return;
    fd = open(".", O_RDONLY | O_DIRECTORY); /* of this namespace */
    REQUIRE(mount("none", "a/mounted", "tmpfs", 0, NULL) == 0);
    EXPECT(!place_begin(fd, "2026", "", &place, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT(strstr(err.text, "a/mounted") != NULL);
    REQUIRE_OK(place_begin(fd, "2026", "a", &place, &err), &err);
    place_free(MOVE(place));
    REQUIRE(umount("a/mounted") == 0);
    REQUIRE(mount("other", "bound", NULL, MS_BIND, NULL) == 0);
    EXPECT(!place_begin(fd, "2026", "", &place, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT(strstr(err.text, "bound") != NULL);
    REQUIRE(umount("bound") == 0);
    REQUIRE(mount("none", ".holdfast", "tmpfs", 0, NULL) == 0);
    EXPECT(!place_begin(fd, "2026", "", &place, &err));
    EXPECT(strstr(err.text, ".holdfast") != NULL);
    REQUIRE(umount(".holdfast") == 0 && chdir("/") == 0);
}

struct swapper {
    int directory_fd;
    const char *outside;
    atomic_bool stop;
};

/* Exchanges directories of the data directory for symlinks that lead out, and back. */
static void *swap_about(void *context)
{
    struct swapper *swapper = context;
    int fd = swapper->directory_fd;

    while (!atomic_load(&swapper->stop)) {
        if (symlinkat(swapper->outside, fd, "way out") != 0 && errno != EEXIST)
            abort();
        (void)renameat2(fd, "files", fd, "way out", RENAME_EXCHANGE);
        (void)renameat2(fd, "files/deep", fd, "way out", RENAME_EXCHANGE);
        (void)renameat2(fd, ".holdfast/staging", fd, "way out", RENAME_EXCHANGE);
        (void)renameat2(fd, ".holdfast/aside", fd, "way out", RENAME_EXCHANGE);
    }
    return NULL;
}

TEST(a_directory_exchanged_for_a_symlink_meanwhile_leads_nowhere)
{
    static const struct placed state[] = {
        {"app.db", "new database", 'b', 0600, 0},   {"files", NULL, 'd', 0700, 0},
        {"files/deep", NULL, 'd', 0700, 0},         {"files/deep/link", "x", 'l', 0777, 0},
        {"files/deep/victim", "new", 'f', 0600, 0}, {"files/victim", "new", 'f', 0600, 0},
        {"files/victims", NULL, 'd', 0700, 0},
    };
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(scratch_closep) struct scratch outside;
    struct swapper swapper = {0};
    pthread_t thread;
    struct err err;
    int finished = 0;

    scratch_open(&scratch);
    scratch_open(&outside);
    scratch_write(outside.fd, "victim", "untouched");
    scratch_write(outside.fd, "victims/one", "untouched");
    swapper.directory_fd = scratch.fd;
    swapper.outside = outside.path;
    REQUIRE_OK(thread_start(&thread, "swapper", swap_about, &swapper, &err), &err);
    for (int round = 0; round < 400; round++) {
        char aside[32];
        size_t set_aside;
        (void)snprintf(aside, sizeof(aside), "%d", round);
        finished +=
            placing_restore(scratch.fd, round % 2 ? aside : NULL, "", state, COUNT(state), &set_aside, &err);
    }
    atomic_store(&swapper.stop, true);
    (void)pthread_join(thread, NULL);
    printf("# %d of 400 came to their end\n", finished);
    EXPECT_LISTING(outside.fd, "victim = untouched\nvictims/\nvictims/one = untouched\n");
    EXPECT_INT(scratch_stat(outside.fd, "victim").st_mode & 0777, 0644);
    EXPECT_INT(scratch_stat(outside.fd, "victims").st_mode & 0777, 0755);
    EXPECT_INT(scratch_stat(outside.fd, ".").st_mode & 0777, 0700);
}

TAP_MAIN()
