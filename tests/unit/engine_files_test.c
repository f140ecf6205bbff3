/* Whatever happens to files, anywhere in the directory, is restored: by records of what was touched alone,
 * and in the end. */
#include "base/fs.h"
#include "snapshot/reader.h"
#include "tests/double/life.h"
#include "tests/double/replica.h"
#include "tests/double/upheaval.h"
#include "tests/tap.h"

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

TAP_MAIN()
