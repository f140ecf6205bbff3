/* Copies on a disk that is too small for them: said in one sentence, and nothing is left of the attempt. */
#include "snapshot/reader.h"

#include "tests/double/following.h"
#include "tests/double/reading.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/mount.h>

enum { SMALL_BYTES = 1 << 20, LARGE_BYTES = 6 << 20, HOLE_BYTES = 64 << 20 };

/* A disk of its own, and a directory in it that is not there yet. */
struct small_disk {
    struct scratch mount;
    char copy[96];
};

static bool small_disk_open(struct small_disk *disk, const char *size)
{
    scratch_open(&disk->mount);
    (void)snprintf(disk->copy, sizeof(disk->copy), "%s/copy", disk->mount.path);
    if (scratch_mount(disk->mount.path, size))
        return true;
    printf("# no mount here\n");
    scratch_close(&disk->mount);
    return false;
}

static void small_disk_close(struct small_disk *disk)
{
    EXPECT_INT(umount2(disk->mount.path, 0), 0);
    scratch_close(&disk->mount);
}

/* False: there is no such disk to be had here. */
static bool begin(struct small_disk *disk, struct life *life, const char *size)
{
    if (!small_disk_open(disk, size))
        return false;
    life_set_up(life);
    return true;
}

static void end(struct small_disk *disk, struct life *life)
{
    life_tear_down(life);
    small_disk_close(disk);
}

/* Ships a file that zstd can't make smaller. */
static bool ship(struct life *life, const char *name, size_t size)
{
    CLEANUP(freep) uint8_t *bytes = xmalloc(size);
    uint64_t random = 88172645463325252;

    for (size_t at = 0; at < size; at++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        bytes[at] = (uint8_t)random;
    }
    scratch_write_bytes(life->disk.fd, name, bytes, size);
    if (!life->engine && !life_begin(life))
        return false;
    engine_answered(life->engine);
    return life_commit(life, 1) && life_settle(life);
}

static bool restores(struct store *store, const char *directory, struct err *err)
{
    struct reader_result result;

    return reader_restore(store, directory, READER_LATEST, NULL, NULL, &result, err);
}

/* The one sentence, which says where, and what to do. */
static void expect_refusal(const struct err *err, const char *directory, const char *sizes)
{
    EXPECT_INT(err->code, ERR_CONFIG);
    if (!EXPECT(strncmp(err->text, "not enough disk: the restore needs ", 35) == 0) ||
        !EXPECT(strstr(err->text, directory) && strstr(err->text, sizes)) ||
        !EXPECT(strstr(err->text, "; name a directory on a larger disk")))
        printf("# %s\n", err->text);
}

TEST(a_copy_that_does_not_fit_is_refused_before_anything_is_written)
{
    struct small_disk disk;
    struct life life;
    struct stat before, after;
    struct err err = {0};

    if (!begin(&disk, &life, "size=4m"))
        return;
    REQUIRE(ship(&life, "large", LARGE_BYTES) && life_end(&life) == ENGINE_DONE);
    EXPECT(!restores(life.faulty, disk.copy, &err));
    expect_refusal(&err, disk.copy, "needs 7 MiB and --to ");
    EXPECT(!scratch_exists(disk.mount.fd, "copy"));
    REQUIRE(mkdir(disk.copy, 0700) == 0 && stat(disk.copy, &before) == 0);
    EXPECT(!restores(life.faulty, disk.copy, &err));
    REQUIRE(stat(disk.copy, &after) == 0);
    EXPECT(before.st_mtim.tv_sec == after.st_mtim.tv_sec && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    EXPECT_INT(store_fault_count(life.faulty, "get", "part/"), 0);
    EXPECT_INT(store_fault_count(life.faulty, "get", "blob/"), 0);
    end(&disk, &life);
}

TEST(a_disk_that_is_filled_by_what_came_after_the_base_is_too_small_and_empty_again)
{
    struct small_disk disk;
    struct life life;
    struct err err = {0};

    if (!begin(&disk, &life, "size=4m"))
        return;
    REQUIRE(ship(&life, "small", SMALL_BYTES) && ship(&life, "large", LARGE_BYTES));
    REQUIRE(life_end(&life) == ENGINE_DONE);
    EXPECT(!restores(life.mem, disk.copy, &err));
    expect_refusal(&err, disk.copy, " had free, 2 MiB for the newest base");
    EXPECT(!scratch_exists(disk.mount.fd, "copy"));
    end(&disk, &life);
}

/* Holes are known by pieces of 8 MiB: all but the first are one. */
TEST(a_file_that_is_mostly_a_hole_fits_where_its_bytes_do)
{
    struct small_disk disk;
    struct life life;
    char path[128];
    struct err err = {0};

    if (!begin(&disk, &life, "size=16m"))
        return;
    scratch_write(life.disk.fd, "sparse", "begins, and then nothing comes");
    (void)snprintf(path, sizeof(path), "%s/sparse", life.disk.path);
    REQUIRE(truncate(path, HOLE_BYTES) == 0);
    REQUIRE(ship(&life, "small", SMALL_BYTES) && life_end(&life) == ENGINE_DONE);
    REQUIRE_OK(restores(life.mem, disk.copy, &err), &err);
    (void)snprintf(path, sizeof(path), "%s/sparse", disk.copy);
    EXPECT_INT(scratch_stat(AT_FDCWD, path).st_size, HOLE_BYTES);
    end(&disk, &life);
}

/* --- a follower -------------------------------------------------------------------------------------- */

/* Follows to the head of the log, and stops. */
static bool follows(struct store *store, const char *directory, struct err *err)
{
    struct standby_config config = {.store = store, .directory = directory};
    CLEANUP(standby_freep) struct standby *standby = NULL;
    bool moved = true;

    if (!standby_open(&config, &standby, err))
        return false;
    while (moved)
        if (!standby_advance(standby, &moved, err))
            return false;
    return true;
}

TEST(a_follower_that_finds_no_room_leaves_nothing)
{
    struct small_disk disk;
    struct life life;
    struct err err = {0};

    if (!begin(&disk, &life, "size=4m"))
        return;
    REQUIRE(ship(&life, "large", LARGE_BYTES) && life_end(&life) == ENGINE_DONE);
    EXPECT(!follows(life.faulty, disk.copy, &err));
    expect_refusal(&err, disk.copy, "needs 7 MiB and --to ");
    EXPECT(!scratch_exists(disk.mount.fd, "copy"));
    REQUIRE(mkdir(disk.copy, 0700) == 0);
    EXPECT(!follows(life.faulty, disk.copy, &err));
    EXPECT_INT(rmdir(disk.copy), 0); /* and so it is empty */
    EXPECT_INT(store_fault_count(life.faulty, "get", "blob/"), 0);
    end(&disk, &life);
}

TEST(a_follower_whose_disk_becomes_full_keeps_its_copy_and_goes_on_when_there_is_room)
{
    struct small_disk disk;
    struct life life;
    char path[128];
    struct err err = {0};

    if (!begin(&disk, &life, "size=4m"))
        return;
    REQUIRE(ship(&life, "small", SMALL_BYTES));
    EXPECT_OK(follows(life.mem, disk.copy, &err), &err);
    REQUIRE(ship(&life, "large", LARGE_BYTES) && life_end(&life) == ENGINE_DONE);
    EXPECT(!follows(life.mem, disk.copy, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    if (!EXPECT(strstr(err.text, "not enough disk: --to ") && strstr(err.text, "became full; make room")))
        printf("# %s\n", err.text);
    (void)snprintf(path, sizeof(path), "%s/small", disk.copy);
    EXPECT_INT(scratch_stat(AT_FDCWD, path).st_size, SMALL_BYTES);
    REQUIRE(mount("none", disk.mount.path, NULL, MS_REMOUNT, "size=32m") == 0);
    EXPECT_OK(follows(life.mem, disk.copy, &err), &err);
    (void)snprintf(path, sizeof(path), "%s/large", disk.copy);
    EXPECT_INT(scratch_stat(AT_FDCWD, path).st_size, LARGE_BYTES);
    end(&disk, &life);
}

TAP_MAIN()
