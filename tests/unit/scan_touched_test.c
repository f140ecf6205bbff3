/* Looking at what was touched finds what looking at everything finds. */
#include "tests/double/looking.h"
#include "tests/double/scanning.h"
#include "tests/double/upheaval.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>

enum { ROUNDS = 60, SEEDS = 40 };

/* No file is looked into before the tick in which it was written is over; here it always is. */
int hooked_clock_gettime(clockid_t clock, struct timespec *now) __asm__("clock_gettime");

int hooked_clock_gettime(clockid_t clock, struct timespec *now)
{
    int answer = (int)syscall(SYS_clock_gettime, clock, now);

    now->tv_sec += clock == CLOCK_REALTIME_COARSE;
    return answer;
}

static bool look_and_compare(struct looking *looking)
{
    return looking_look(looking) && looking_is_right(looking);
}

static void run(const char *exclude, const char *databases, unsigned seed)
{
    CLEANUP(looking_close) struct looking looking;
    CLEANUP(scratch_closep) struct scratch outside;
    struct upheaval upheaval;

    looking_open(&looking, exclude, databases);
    scratch_open(&outside);
    upheaval_begin(&upheaval, looking.disk.fd, outside.fd, seed);
    for (unsigned round = 0; round < ROUNDS; round++) {
        upheaval_go_on(&upheaval, 1 + round % 12);
        if (look_and_compare(&looking))
            continue;
        printf("# seed %u, round %u\n", seed, round);
        tap_failures++;
        return;
    }
}

TEST(whatever_happens_a_look_at_what_was_touched_finds_what_a_whole_scan_finds)
{
    for (unsigned seed = 1; seed <= SEEDS && tap_failures == 0; seed++)
        run(seed % 2 ? "" : "tmp:b/a", seed % 3 ? "*" : "x*", seed);
}

/* --- the rules, one by one --------------------------------------------------------------------------- */

struct scene {
    struct looking looking;
    int top;
};

static void scene_close(struct scene *scene)
{
    looking_close(&scene->looking);
}

static void scene_open(struct scene *scene)
{
    looking_open(&scene->looking, "", "*");
    scene->top = scene->looking.disk.fd;
    scratch_write(scene->top, "a/file", "old");
    scratch_write(scene->top, "b/file", "old");
    REQUIRE(linkat(scene->top, "a/file", scene->top, "b/linked", 0) == 0);
    REQUIRE(look_and_compare(&scene->looking));
    scene->looking.wholes = 0;
}

#define EXPECT_RIGHT_BY_PARTS(scene)                 \
    do {                                             \
        EXPECT(look_and_compare(&(scene)->looking)); \
        EXPECT_INT((scene)->looking.wholes, 0);      \
    } while (0)

TEST(a_directory_that_was_away_is_not_what_it_was)
{
    CLEANUP(scene_close) struct scene scene;

    scene_open(&scene);
    REQUIRE(renameat(scene.top, "a", scene.top, "c") == 0);
    scratch_write(scene.top, "c/file", "new and longer");
    (void)watch_drain(scene.looking.watch); /* so that it is told by that name */
    REQUIRE(renameat(scene.top, "c", scene.top, "a") == 0);
    EXPECT_RIGHT_BY_PARTS(&scene);
}

TEST(directories_that_change_places_take_their_files_along)
{
    CLEANUP(scene_close) struct scene scene;

    scene_open(&scene);
    REQUIRE(renameat2(scene.top, "a", scene.top, "b", RENAME_EXCHANGE) == 0);
    scratch_write(scene.top, "a/new", "");
    EXPECT_RIGHT_BY_PARTS(&scene);
    REQUIRE(renameat(scene.top, "a/file", scene.top, "b/file") == 0);
    scratch_mkdir(scene.top, "b/deep/er");
    REQUIRE(renameat(scene.top, "b", scene.top, "a/b") == 0);
    EXPECT_RIGHT_BY_PARTS(&scene);
}

TEST(what_was_written_through_one_name_shows_in_the_others)
{
    CLEANUP(scene_close) struct scene scene;

    scene_open(&scene);
    scratch_write(scene.top, "b/linked", "through a known name");
    EXPECT_RIGHT_BY_PARTS(&scene);
    REQUIRE(linkat(scene.top, "a/file", scene.top, "third", 0) == 0);
    scratch_write(scene.top, "third", "through a new one");
    EXPECT_RIGHT_BY_PARTS(&scene);
    scratch_write(scene.top, "b/linked", "through one that goes");
    REQUIRE(unlinkat(scene.top, "b/linked", 0) == 0);
    EXPECT_RIGHT_BY_PARTS(&scene);
    scratch_write(scene.top, "third", "through one that goes, too");
    scratch_write(scene.top, "other", "");
    REQUIRE(renameat(scene.top, "other", scene.top, "third") == 0);
    EXPECT_RIGHT_BY_PARTS(&scene);
}

TEST(side_files_come_and_go_with_their_database)
{
    CLEANUP(scene_close) struct scene scene;

    scene_open(&scene);
    scratch_write(scene.top, "a/db-wal", "frames");
    scratch_write(scene.top, "a/db-wal-shm", "of nothing");
    EXPECT_RIGHT_BY_PARTS(&scene);
    EXPECT(tree_find(scene.looking.found.tree, "a/db-wal"));
    write_database(scene.top, "a/db");
    EXPECT_RIGHT_BY_PARTS(&scene);
    EXPECT(!tree_find(scene.looking.found.tree, "a/db-wal"));
    EXPECT_INT(scene.looking.found.databases_count, 1);
    scratch_write(scene.top, "a/file", "something else");
    EXPECT_RIGHT_BY_PARTS(&scene);
    EXPECT_INT(scene.looking.found.databases_count, 1);
    REQUIRE(renameat(scene.top, "a", scene.top, "c") == 0);
    EXPECT_RIGHT_BY_PARTS(&scene);
    EXPECT_STR(scene.looking.found.databases[0].path, "c/db");
    REQUIRE(unlinkat(scene.top, "c/db", 0) == 0);
    EXPECT_RIGHT_BY_PARTS(&scene);
    EXPECT(tree_find(scene.looking.found.tree, "c/db-wal"));
}

/* What is said to be touched by hand, and not by the watch. */
static enum err_code scan_said(struct scene *scene, const char *path, uint64_t directory_inode)
{
    CLEANUP(scan_result_clearp) struct scan_result result = {0};
    struct touched touched = {0};
    struct scan_options options = {.exclude = scene->looking.exclude,
                                   .databases = scene->looking.databases,
                                   .before = scene->looking.found.tree};
    struct scan_known known = {NULL, 0, &touched};
    struct err err = {0};

    (void)touched_add(&touched, path, directory_inode, false);
    if (!scan_touched(scene->top, &options, &known, &result, &err))
        EXPECT(err.code != ERR_NONE);
    touched_clear(&touched);
    return err.code;
}

TEST(a_directory_that_moves_untold_is_noticed)
{
    CLEANUP(scene_close) struct scene scene;
    uint64_t a, b;

    scene_open(&scene);
    a = scratch_stat(scene.top, "a").st_ino;
    b = scratch_stat(scene.top, "b").st_ino;
    EXPECT_INT(scan_said(&scene, "a/file", a), ERR_NONE);
    EXPECT_INT(scan_said(&scene, "a/file", b), ERR_TRANSIENT); /* it happened somewhere else */
    REQUIRE(renameat2(scene.top, "a", scene.top, "b", RENAME_EXCHANGE) == 0);
    EXPECT_INT(scan_said(&scene, "a/file", 0), ERR_TRANSIENT); /* it isn't the directory of before */
    REQUIRE(renameat(scene.top, "a", scene.top, "c") == 0);
    EXPECT_INT(scan_said(&scene, "a/file", a), ERR_TRANSIENT);
    EXPECT_INT(scan_said(&scene, "c/file", b), ERR_TRANSIENT);
    EXPECT_INT(scan_said(&scene, "absent/file", 0), ERR_TRANSIENT);
    EXPECT_INT(scan_said(&scene, ".holdfast/state", 0), ERR_NONE);
}

TEST(a_file_that_may_not_be_read_is_an_error)
{
    CLEANUP(scene_close) struct scene scene;

    scene_open(&scene);
    REQUIRE(fchmodat(scene.top, "a/file", 0, 0) == 0 && fchmod(scene.top, 0755) == 0);
    REQUIRE(geteuid() != 0 || seteuid(65534) == 0);
    EXPECT_INT(scan_said(&scene, "a/file", 0), ERR_DENIED);
    REQUIRE(getuid() != 0 || seteuid(0) == 0);
}

TAP_MAIN()
