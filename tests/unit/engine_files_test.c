/* Whatever happens to files, anywhere in the directory, is restored: by records of what was touched alone,
 * and in the end. */
#include "base/fs.h"
#include "snapshot/reader.h"
#include "tests/double/life.h"
#include "tests/double/replica.h"
#include "tests/double/upheaval.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/mman.h>

/* A deletion waits for a minute: what is only in the copy is right. */
static bool may_be_more(void *context, const char *path)
{
    (void)context;
    (void)path;
    return true;
}

static bool is_restored(struct life *life, const char *folder, bool may_have_more)
{
    CLEANUP(scratch_closep) struct scratch copy;
    CLEANUP(close_fdp) int wanted = -1;
    CLEANUP(close_fdp) int found = -1;
    struct reader_result result;
    struct err err = {0};

    scratch_open(&copy);
    if (!reader_restore(life->mem, copy.path, READER_LATEST, NULL, NULL, &result, &err) ||
        !fs_open_directory(life->disk.fd, folder, &wanted, &err) ||
        !fs_open_directory(copy.fd, folder, &found, &err)) {
        printf("# %s\n", err.text);
        return false;
    }
    return replica_equals(found, wanted, may_have_more ? may_be_more : NULL, NULL);
}

static void live_through(unsigned seed)
{
    CLEANUP(scratch_closep) struct scratch outside;
    CLEANUP(close_fdp) int folder = -1;
    struct upheaval upheaval;
    struct life life;
    struct err err;

    life_set_up(&life);
    life.config.exclude = "";
    scratch_open(&outside);
    scratch_mkdir(life.disk.fd, "files/a/b");
    REQUIRE(life_begin(&life) && life_commit(&life, 2));
    engine_answered(life.engine);
    REQUIRE_OK(fs_open_directory(life.disk.fd, "files", &folder, &err), &err);
    upheaval_begin(&upheaval, folder, outside.fd, seed);
    for (unsigned round = 0; round < 7 && tap_failures == 0; round++) {
        upheaval_go_on(&upheaval, 2 + round * 4);
        EXPECT(life_settle(&life) && is_restored(&life, "files", true));
    }
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    EXPECT(is_restored(&life, "files", false));
    life_tear_down(&life);
}

TEST(files_are_restored_as_they_are_after_every_record_and_in_the_end)
{
    for (unsigned seed = 1; seed <= 3 && tap_failures == 0; seed += 2) {
        live_through(seed);
        if (tap_failures > 0)
            printf("# seed %u\n", seed);
    }
}

static void close_for_writing(const struct life *life)
{
    CLEANUP(close_fdp) int fd = openat(life->disk.fd, "mapped", O_WRONLY | O_CLOEXEC);

    EXPECT(fd >= 0);
}

static bool is_filled(const struct life *life, char letter, size_t size)
{
    CLEANUP(freep) char *found = scratch_read(life->disk.fd, "mapped");

    return found && scratch_stat(life->disk.fd, "mapped").st_size == (off_t)size && found[0] == letter &&
           memcmp(found, found + 1, size - 1) == 0;
}

enum moment { AFTER_A_RECORD, WHILE_A_BASE_IS_CUT, BEFORE_THE_END, MOMENTS };

/* As by a write(2) that takes long, too: its times are those of its beginning, and its event that of its end.
 */
static void rewrite(const struct life *life, char *mapped, size_t size)
{
    struct stat before = scratch_stat(life->disk.fd, "mapped"), after;

    memset(mapped, 'b', size);
    after = scratch_stat(life->disk.fd, "mapped");
    if (memcmp(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim)) != 0)
        printf("# written back just then: this proves nothing\n");
    close_for_writing(life);
}

static void live_with_mapped(struct life *life, char *mapped, size_t size, enum moment moment)
{
    if (moment == WHILE_A_BASE_IS_CUT) {
        store_fault_add(life->faulty,
                        &(struct store_fault){.operation = "put", .key = "base/", .kind = FAULT_HOLD});
        engine_answered(life->engine);
        store_fault_await(life->faulty, "put", "base/", 1); /* which comes after all files were read */
        rewrite(life, mapped, size);
        store_fault_clear(life->faulty);
    } else {
        engine_answered(life->engine);
        REQUIRE(life_settle(life));
        rewrite(life, mapped, size);
    }
    if (moment == BEFORE_THE_END)
        EXPECT_INT(life_end(life), ENGINE_DONE);
    else
        REQUIRE(life_settle(life));
}

static void write_behind_the_times(size_t size, enum moment moment)
{
    CLEANUP(close_fdp) int fd = -1;
    struct life life;
    char *mapped;

    life_set_up(&life);
    REQUIRE(life_begin(&life));
    fd = openat(life.disk.fd, "mapped", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(mapped != MAP_FAILED);
    memset(mapped, 'a', size);
    live_with_mapped(&life, mapped, size, moment);
    (void)munmap(mapped, size);
    life_cut_off(&life);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT(is_filled(&life, 'b', size));
    life_tear_down(&life);
}

TEST(a_file_that_was_written_to_behind_its_times_is_read_again)
{
    for (enum moment moment = 0; moment < MOMENTS; moment++) {
        write_behind_the_times(4096, moment);
        write_behind_the_times(1 << 20, moment);
    }
}

TAP_MAIN()
