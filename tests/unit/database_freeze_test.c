/* One moment of one or several databases, while their application goes on. */
#include "base/clock.h"
#include "snapshot/database.h"
#include "tests/double/scene.h"
#include "tests/double/script.h"
#include "tests/tap.h"

static atomic_bool never;

static void freeze_and_compare(uint64_t rate, unsigned rounds)
{
    struct scene scene;
    int64_t before = 0;
    uint64_t longest_us = 0;

    REQUIRE(scene_begin(&scene, rate, 20000));
    for (unsigned round = 0; round < rounds; round++) {
        int64_t acknowledged = (int64_t)atomic_load(&scene.writer.stats->commits), value;
        uint64_t begun_ns = clock_monotonic_ns(), us, hash;
        REQUIRE_OK(scene_freeze(scene.database, &scene.err), &scene.err);
        us = (clock_monotonic_ns() - begun_ns) / 1000;
        longest_us = us > longest_us ? us : longest_us;
        hash = sample_hash_frozen(scene.database);
        REQUIRE(writer_wait(&scene.writer, 3));
        REQUIRE_OK(sample_copy_frozen(scene.database, sample_path("copy"), &scene.err), &scene.err);
        EXPECT(sample_hash_frozen(scene.database) == hash);
        EXPECT(database_position(scene.database) > database_frozen(scene.database)->position);
        database_thaw(scene.database);
        value = sample_value(sample_path("copy"));
        EXPECT(value >= acknowledged && value >= before);
        before = value;
        EXPECT(database_tend(scene.database, &scene.err) || scene.err.code == ERR_TRANSIENT);
    }
    printf("# the longest freeze took %.1f ms, the longest commit %.1f ms\n", (double)longest_us / 1e3,
           (double)atomic_load(&scene.writer.stats->worst_us) / 1e3);
    EXPECT(scene_end(&scene, 0));
}

TEST(a_frozen_file_is_the_state_of_one_moment_at_50_hz)
{
    freeze_and_compare(50, 40);
}

TEST(a_frozen_file_is_the_state_of_one_moment_at_500_hz)
{
    freeze_and_compare(500, 40);
}

TEST(a_frozen_file_is_the_state_of_one_moment_under_an_application_that_never_pauses)
{
    freeze_and_compare(0, 25);
}

TEST(freezing_without_a_writer_is_immediate_and_repeatable)
{
    struct scene scene;
    uint64_t position;

    REQUIRE(scene_begin(&scene, 0, 3000));
    REQUIRE(writer_wait(&scene.writer, 30));
    REQUIRE(writer_stop(&scene.writer));
    REQUIRE_OK(scene_freeze(scene.database, &scene.err), &scene.err);
    position = database_frozen(scene.database)->position;
    for (unsigned round = 0; round < 10; round++) {
        database_thaw(scene.database);
        EXPECT_OK(database_tend(scene.database, &scene.err), &scene.err);
        REQUIRE_OK(scene_freeze(scene.database, &scene.err), &scene.err);
        EXPECT_INT(database_frozen(scene.database)->position, position);
        EXPECT_INT(database_position(scene.database), position);
    }
    database_detach(scene.database);
}

/* An application that commits n to "a" before it commits n to "b". */
struct pair {
    struct writer writer;
    struct writer_plan plan;
    struct database *databases[2];
    struct err err;
};

static bool pair_begin(struct pair *pair, uint64_t rate)
{
    *pair = (struct pair){.plan = writer_plan_for(sample_path("a"), rate)};
    pair->plan.bytes = 300; /* so that the copies stay small */
    (void)snprintf(pair->plan.paths[1], sizeof(pair->plan.paths[1]), "%s", sample_path("b"));
    return writer_start(&pair->writer, &pair->plan) &&
           scene_attach(sample_path("a"), &pair->databases[0], &pair->err) &&
           scene_attach(sample_path("b"), &pair->databases[1], &pair->err);
}

static bool pair_freeze(struct pair *pair)
{
    return database_freeze(pair->databases, 2, clock_monotonic_ms() + SCENE_GENEROUS_MS, &never, &pair->err);
}

static void pair_thaw(struct pair *pair)
{
    for (unsigned at = 0; at < 2; at++) {
        database_thaw(pair->databases[at]);
        EXPECT(database_tend(pair->databases[at], &pair->err) || pair->err.code == ERR_TRANSIENT);
    }
}

static int64_t value_of(struct database *database, const char *copy)
{
    struct err err = {0};

    EXPECT_OK(sample_copy_frozen(database, copy, &err), &err);
    return sample_value(copy);
}

/* reads: who keeps an old state of the first in use meanwhile; NULL: nobody. */
static void freeze_pairs(uint64_t rate, unsigned rounds, const char *reads)
{
    struct script reader;
    struct pair pair;
    unsigned moved = 0;

    REQUIRE_OK(pair_begin(&pair, rate), &pair.err);
    if (reads) {
        script_start(&reader, sample_path("a"));
        REQUIRE(writer_wait(&pair.writer, 5) && script_run(&reader, reads));
    }
    for (unsigned round = 0; round < rounds; round++) {
        int64_t acknowledged = (int64_t)atomic_load(&pair.writer.stats->commits), first, second;
        REQUIRE_OK(pair_freeze(&pair), &pair.err);
        first = value_of(pair.databases[0], sample_path("copy-a"));
        second = value_of(pair.databases[1], sample_path("copy-b"));
        EXPECT(second <= first && first <= second + 1 && second >= acknowledged);
        moved += first != second;
        pair_thaw(&pair);
        REQUIRE(writer_wait(&pair.writer, 1));
    }
    printf("# %u of %u between two commits\n", moved, rounds);
    EXPECT_INT(atomic_load(&pair.writer.stats->failed), 0);
    EXPECT(atomic_load(&pair.writer.stats->worst_us) < WRITER_STALL_MAX_US);
    EXPECT(writer_stop(&pair.writer));
    if (reads)
        script_stop(&reader);
    database_detach(pair.databases[0]);
    database_detach(pair.databases[1]);
}

TEST(no_pair_shows_the_second_database_ahead_at_300_hz)
{
    freeze_pairs(300, 150, NULL);
}

TEST(no_pair_shows_the_second_database_ahead_of_an_application_that_never_pauses)
{
    freeze_pairs(0, 40, NULL);
}

/* One of the two is frozen at a mark, then, and the other one in its file. */
TEST(no_pair_shows_the_second_database_ahead_while_a_reader_holds_the_first)
{
    freeze_pairs(300, 25, "BEGIN; SELECT count(*) FROM entry");
}

/* The control: frozen one after the other, in the order that goes wrong. */
TEST(databases_frozen_one_by_one_are_not_one_moment)
{
    struct pair pair;
    unsigned ahead = 0;

    REQUIRE_OK(pair_begin(&pair, 0), &pair.err);
    for (unsigned round = 0; round < 30; round++) {
        REQUIRE_OK(scene_freeze(pair.databases[0], &pair.err), &pair.err);
        REQUIRE(writer_wait(&pair.writer, 2));
        REQUIRE_OK(scene_freeze(pair.databases[1], &pair.err), &pair.err);
        ahead += value_of(pair.databases[1], sample_path("copy-b")) >
                 value_of(pair.databases[0], sample_path("copy-a"));
        pair_thaw(&pair);
    }
    EXPECT(ahead > 0);
    EXPECT(writer_stop(&pair.writer));
    database_detach(pair.databases[0]);
    database_detach(pair.databases[1]);
}

TEST(a_stop_ends_the_freeze)
{
    struct scene scene;
    atomic_bool canceled = true;

    REQUIRE(scene_begin(&scene, 0, 3000));
    while (
        database_freeze(&scene.database, 1, clock_monotonic_ms() + SCENE_GENEROUS_MS, &canceled, &scene.err))
        database_thaw(scene.database);
    EXPECT_INT(scene.err.code, ERR_CANCELED);
    EXPECT(scene_end(&scene, 0));
}

TAP_MAIN()
