/* Points restored and judged: what only SQLite can see is seen, and the scratch directory is gone. */
#include "snapshot/reader.h"

#include "tests/double/reading.h"
#include "tests/tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096 };

static bool fits_twice; /* asked for by the test */

/* What one call said. */
struct trial {
    struct scratch place;
    struct damages damages;
    char reason[1024]; /* of the last fault */
    struct reader_points points;
    struct err err;
};

static void note(void *context, const char *key, const char *reason)
{
    struct trial *trial = context;

    (void)snprintf(trial->damages.keys[trial->damages.count++ % 32], STORE_KEY_MAX + 1, "%s", key);
    (void)snprintf(trial->reason, sizeof(trial->reason), "%s", reason);
}

static bool is_empty(const char *path)
{
    DIR *directory = opendir(path);
    int entries = 0;

    if (!EXPECT(directory != NULL))
        return false;
    while (readdir(directory))
        entries++;
    (void)closedir(directory);
    return entries == 2; /* "." and ".." */
}

static bool try_in(struct store *store, struct trial *trial, const char *directory,
                   const atomic_bool *canceled)
{
    struct reader_damage damage = {note, trial};
    struct reader_trial how = {
        .directory = directory, .remedy = "set TMPDIR", .fits_twice = fits_twice, .damage = &damage};

    trial->damages.count = 0;
    trial->points.count = 0;
    trial->err = (struct err){0};
    return reader_try(store, &how, NULL, canceled, &trial->points, &trial->err);
}

/* In a scratch directory, which is empty again afterwards. */
static bool try_all(struct store *store, struct trial *trial)
{
    bool sound;

    scratch_open(&trial->place);
    sound = try_in(store, trial, trial->place.path, NULL);
    EXPECT(is_empty(trial->place.path));
    scratch_close(&trial->place);
    return sound;
}

static bool keep_last(void *context, const struct reader_point *point)
{
    *(uint64_t *)context = point->record;
    return true;
}

static void expect_same_as_restore(struct store *store, uint64_t at, const struct reader_result *tried)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result restored = {0};
    struct err err = {0};

    scratch_open(&copy);
    EXPECT_OK(reader_restore(store, copy.path, at, NULL, NULL, &restored, &err), &err);
    EXPECT_INT(tried->record, restored.record);
    EXPECT_INT(tried->bytes, restored.bytes);
}

TEST(the_newest_and_the_oldest_point_of_a_sound_store_are_restored_and_removed)
{
    struct life life;
    struct trial trial;
    struct err err = {0};
    uint64_t oldest = 0;

    life_set_up(&life);
    REQUIRE(reading_fill(&life));
    EXPECT_OK(try_all(life.mem, &trial), &trial.err);
    EXPECT_INT(trial.damages.count, 0);
    REQUIRE(trial.points.count == 2);
    EXPECT(trial.points.list[0].record > trial.points.list[1].record);
    EXPECT_INT(trial.points.list[0].databases, 1);
    expect_same_as_restore(life.mem, READER_LATEST, &trial.points.list[0]);
    REQUIRE_OK(reader_list(life.mem, keep_last, &oldest, &err), &err);
    expect_same_as_restore(life.mem, oldest, &trial.points.list[1]);
    life_tear_down(&life);
}

TEST(a_store_with_one_state_is_restored_once)
{
    struct life life;
    struct trial trial;

    life_set_up(&life);
    scratch_write(life.disk.fd, "text", "alone");
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    REQUIRE(life_settle(&life));
    REQUIRE(life_end(&life) == ENGINE_DONE);
    EXPECT_OK(try_all(life.mem, &trial), &trial.err);
    EXPECT_INT(trial.points.count, 1);
    EXPECT_INT(trial.points.list[0].files, 1);
    life_tear_down(&life);
}

/* The newest object of a kind is needed by the newest point; of records, the one before the head. */
TEST(a_damaged_object_that_a_point_needs_is_named)
{
    static const char *const prefixes[] = {"base/", "part/", "blob/", "log/"};
    struct trial trial;

    for (int kind = 0; kind < 4; kind++) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 26);
        struct life life;
        struct some_key key;
        struct err err = {0};

        life_set_up(&life);
        REQUIRE(reading_fill(&life));
        key = key_below(life.mem, prefixes[kind], kind == 3);
        REQUIRE_OK(store_get(life.mem, key.text, &bytes, &err), &err);
        bytes.bytes[bytes.size / 2] ^= 16;
        REQUIRE_OK(store_put(life.mem, key.text, bytes.bytes, bytes.size, &err), &err);
        EXPECT(!try_all(life.mem, &trial));
        EXPECT_INT(trial.err.code, ERR_CORRUPT);
        EXPECT(damages_name(&trial.damages, key.text));
        life_tear_down(&life);
    }
}

/* A database that was malformed before anybody shipped it: a page of its tables is overwritten. */
static void make_malformed(const struct life *life, const char *name)
{
    static uint8_t noise[PAGE_BYTES];
    CLEANUP(freep) char *path = xasprintf("%s/%s", life->disk.path, name);
    CLEANUP(close_fdp) int fd = -1;

    REQUIRE(writer_make(path, 20, "PRAGMA journal_mode=DELETE"));
    memset(noise, 0xa5, sizeof(noise));
    fd = open(path, O_WRONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && lseek(fd, 0, SEEK_END) > 4 * PAGE_BYTES);
    REQUIRE(pwrite(fd, noise, sizeof(noise), 3 * PAGE_BYTES) == PAGE_BYTES);
}

TEST(a_malformed_database_whose_pages_are_those_that_were_shipped_is_named)
{
    struct life life;
    struct damages damages;
    struct trial trial;
    struct err err = {0};

    life_set_up(&life);
    make_malformed(&life, "bad.sqlite3");
    REQUIRE(reading_fill(&life));
    EXPECT_OK(damages_find(life.mem, &damages, &err), &err); /* every hash is right */
    EXPECT(!try_all(life.mem, &trial));
    EXPECT_INT(trial.err.code, ERR_CORRUPT);
    EXPECT_INT(trial.points.count, 2);
    EXPECT(damages_name(&trial.damages, "bad.sqlite3"));
    EXPECT(!damages_name(&trial.damages, "db.sqlite3"));
    EXPECT(strstr(trial.reason, "integrity_check") != NULL);
    life_tear_down(&life);
}

TEST(a_scratch_directory_that_can_not_be_used_is_the_operators_to_change)
{
    struct life life;
    struct trial trial;

    life_set_up(&life);
    REQUIRE(reading_fill(&life));
    EXPECT(!try_in(life.mem, &trial, "/nowhere/at/all", NULL));
    EXPECT_INT(trial.err.code, ERR_CONFIG);
    EXPECT(strstr(trial.err.text, "/nowhere/at/all") && strstr(trial.err.text, "TMPDIR"));
    life_tear_down(&life);
}

TEST(a_scratch_directory_without_room_is_told_before_anything_is_written)
{
    CLEANUP(scratch_closep) struct scratch place;
    struct life life;
    struct trial trial;

    life_set_up(&life);
    REQUIRE(reading_fill(&life));
    scratch_open(&place);
    if (scratch_mount(place.path, "size=40k")) {
        EXPECT(!try_in(life.mem, &trial, place.path, NULL));
        EXPECT_INT(trial.err.code, ERR_CONFIG);
        if (!EXPECT(strstr(trial.err.text, "MiB free") && strstr(trial.err.text, "set TMPDIR")))
            printf("# %s\n", trial.err.text);
        EXPECT(is_empty(place.path));
        EXPECT_INT(umount2(place.path, 0), 0);
    } else {
        printf("# no mount here\n");
    }
    life_tear_down(&life);
}

TEST(a_copy_that_has_to_fit_twice_is_not_made_where_one_fits)
{
    CLEANUP(scratch_closep) struct scratch place;
    struct life life;
    struct trial trial;
    char size[32];

    life_set_up(&life);
    REQUIRE(reading_fill(&life));
    scratch_open(&place);
    EXPECT_OK(try_in(life.mem, &trial, place.path, NULL), &trial.err);
    (void)snprintf(size, sizeof(size), "size=%" PRIu64, trial.points.list[0].bytes * 9 / 5);
    if (scratch_mount(place.path, size)) {
        EXPECT_OK(try_in(life.mem, &trial, place.path, NULL), &trial.err);
        fits_twice = true;
        EXPECT(!try_in(life.mem, &trial, place.path, NULL));
        EXPECT_INT(trial.err.code, ERR_CONFIG);
        if (!EXPECT(strstr(trial.err.text, "fit twice")))
            printf("# %s\n", trial.err.text);
        EXPECT(is_empty(place.path));
        EXPECT_INT(umount2(place.path, 0), 0);
    } else {
        printf("# no mount here\n");
    }
    life_tear_down(&life);
}

TEST(work_that_is_stopped_leaves_nothing)
{
    const atomic_bool canceled = true;
    CLEANUP(scratch_closep) struct scratch place;
    struct life life;
    struct trial trial;

    life_set_up(&life);
    REQUIRE(reading_fill(&life));
    scratch_open(&place);
    EXPECT(!try_in(life.mem, &trial, place.path, &canceled));
    EXPECT_INT(trial.err.code, ERR_CANCELED);
    EXPECT(is_empty(place.path));
    life_tear_down(&life);
}

TAP_MAIN()
