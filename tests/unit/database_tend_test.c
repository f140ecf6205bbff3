/* The regular care: a short log, and everything an application may do to a database that we follow. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/database.h"
#include "tests/double/scene.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <poll.h>

/* Some 4 MB where a checkpoint fits between two commits. The bound that holds on a busy machine too is the
 * one from which on the write lock is taken, and what is committed while the follower is late. */
TEST(the_log_stays_short_at_50_hz_with_commits_as_large_as_convex_s)
{
    enum { BOUND_BYTES = 6000 * 4120, COMMIT_BYTES = 90000, RATE = 50, PAUSE_MS = 100 };
    struct scene scene;
    uint64_t longest = 0, latest_ms = 0;

    REQUIRE(scene_begin(&scene, RATE, 70000));
    while (atomic_load(&scene.writer.stats->commits) < 300) {
        uint64_t begun_ms = clock_monotonic_ms(), late_ms;
        EXPECT_OK(scene_tend(scene.database, 1, &scene.err), &scene.err);
        late_ms = clock_monotonic_ms() - begun_ms - PAUSE_MS;
        latest_ms = late_ms > latest_ms ? late_ms : latest_ms;
        if (sample_size(sample_path("db-wal")) > longest)
            longest = sample_size(sample_path("db-wal"));
    }
    printf("# the log was at most %.1f MB\n", (double)longest / 1e6);
    EXPECT(longest <= BOUND_BYTES + 2 * latest_ms * RATE * COMMIT_BYTES / 1000);
    EXPECT(scene_end(&scene, 0));
}

TEST(a_follower_that_was_stopped_for_a_while_shortens_the_log_again)
{
    struct scene scene;
    uint64_t deadline_ms;

    REQUIRE(scene_begin(&scene, 0, 400000));
    while (sample_size(sample_path("db-wal")) < 40U << 20)
        REQUIRE(writer_wait(&scene.writer, 1));
    writer_kill(&scene.writer);
    scene.plan.rate = 50;
    scene.plan.bytes = 3000;
    REQUIRE(writer_start(&scene.writer, &scene.plan));
    deadline_ms = clock_monotonic_ms() + SCENE_GENEROUS_MS;
    while (sample_size(sample_path("db-wal")) > 8000000 && clock_monotonic_ms() < deadline_ms)
        EXPECT_OK(scene_tend(scene.database, 1, &scene.err), &scene.err);
    EXPECT(sample_size(sample_path("db-wal")) <= 8000000);
    EXPECT(writer_stop(&scene.writer));
    EXPECT(scene_copy(scene.database) > 0);
    database_detach(scene.database);
    EXPECT(sample_value(scene.path) > 0);
}

/* RESTART and TRUNCATE wait for readers, with the write lock in their hand: our mark must not stay in their
 * way. */
TEST(a_blocking_checkpoint_of_the_application_gets_through)
{
    struct scene scene;
    struct writer other = {0};
    struct writer_plan plan;
    uint64_t begun_ms;

    REQUIRE(scene_begin(&scene, 100, 3000));
    REQUIRE(writer_wait(&scene.writer, 20));
    EXPECT_OK(scene_tend(scene.database, 200, &scene.err), &scene.err);
    plan = scene.plan;
    plan.idle = true;
    (void)snprintf(plan.then, sizeof(plan.then), "PRAGMA wal_checkpoint(TRUNCATE)");
    for (unsigned round = 0; round < 5; round++) {
        begun_ms = clock_monotonic_ms();
        REQUIRE(writer_launch(&other, &plan));
        while (!atomic_load(&other.stats->is_open) && writer_is_alive(&other))
            EXPECT_OK(scene_tend(scene.database, 1, &scene.err), &scene.err);
        EXPECT(clock_monotonic_ms() - begun_ms < 4000);
        EXPECT(writer_stop(&other));
    }
    EXPECT(scene_end(&scene, 0));
}

TEST(an_application_that_leaves_finds_its_log_again)
{
    struct scene scene;
    struct writer second = {0};
    int64_t first;

    REQUIRE(scene_begin(&scene, 50, 3000));
    REQUIRE(writer_wait(&scene.writer, 10));
    REQUIRE(writer_stop(&scene.writer));
    first = (int64_t)atomic_load(&scene.writer.stats->commits);
    EXPECT(sample_exists(sample_path("db-wal")) && sample_exists(sample_path("db-shm")));
    REQUIRE(writer_start(&second, &scene.plan));
    EXPECT(writer_wait(&second, 10));
    EXPECT_OK(database_tend(scene.database, &scene.err), &scene.err);
    scene.writer = second;
    EXPECT(scene_end(&scene, (uint64_t)first));
}

TEST(an_application_killed_and_restarted_is_followed_on)
{
    struct scene scene;

    REQUIRE(scene_begin(&scene, 0, 5000));
    for (unsigned round = 0; round < 15; round++) {
        REQUIRE(writer_wait(&scene.writer, 1 + round * 7 % 50));
        writer_kill(&scene.writer);
        EXPECT_OK(database_tend(scene.database, &scene.err), &scene.err);
        EXPECT(scene_copy(scene.database) > 0);
        REQUIRE(writer_start(&scene.writer, &scene.plan));
    }
    EXPECT(writer_wait(&scene.writer, 20));
    EXPECT_INT(atomic_load(&scene.writer.stats->failed), 0);
    EXPECT(writer_stop(&scene.writer));
    database_detach(scene.database);
    EXPECT(sample_value(scene.path) > 0);
}

TEST(a_database_that_was_deleted_or_replaced_is_noticed)
{
    static const char *const names[] = {"db", "db-wal", "db-shm"};

    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++) {
        CLEANUP(database_detachp) struct database *database = NULL;
        struct err err = {0};
        REQUIRE(writer_make(sample_path("db"), 3, NULL));
        REQUIRE_OK(scene_attach(sample_path("db"), &database, &err), &err);
        EXPECT(!database_is_stale(database));
        REQUIRE(unlink(sample_path(names[at])) == 0);
        EXPECT(database_is_stale(database));
        EXPECT(!database_tend(database, &err));
        EXPECT_INT(err.code, ERR_NOT_FOUND);
        REQUIRE_OK(fs_replace_file(AT_FDCWD, sample_path(names[at]), "", 0, 0600, &err), &err);
        EXPECT(database_is_stale(database));
        database_detach(MOVE(database));
        (void)unlink(sample_path("db"));
        (void)unlink(sample_path("db-wal"));
        (void)unlink(sample_path("db-shm"));
    }
}

TEST(an_application_that_wants_the_database_for_itself_gets_it)
{
    const char *path = sample_path("db");
    struct writer writer = {0};
    struct writer_plan plan = writer_plan_for(path, 50);
    CLEANUP(database_detachp) struct database *database = NULL;
    struct err err = {0};
    uint64_t deadline_ms = clock_monotonic_ms() + 4000;

    REQUIRE(writer_make(path, 3, NULL));
    REQUIRE_OK(scene_attach(path, &database, &err), &err);
    (void)snprintf(plan.sql, sizeof(plan.sql), "PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE; COMMIT");
    REQUIRE(writer_launch(&writer, &plan));
    while (database_tend(database, &err) && clock_monotonic_ms() < deadline_ms)
        (void)poll(NULL, 0, 10);
    EXPECT_INT(err.code, ERR_CONFLICT);
    database_detach(MOVE(database));
    EXPECT(writer_wait(&writer, 10));
    EXPECT_INT(atomic_load(&writer.stats->failed), 0);
    EXPECT(writer_stop(&writer));
}

TEST(a_torn_wal_index_is_repaired)
{
    struct scene scene;
    uint64_t position, torn;

    REQUIRE(scene_begin(&scene, 0, 3000));
    REQUIRE(writer_wait(&scene.writer, 30));
    writer_kill(&scene.writer);
    for (unsigned round = 0; round < 3; round++) {
        position = database_position(scene.database);
        sample_tear_index(scene.path);
        torn = database_position(scene.database);
        EXPECT(torn > position);
        EXPECT_INT(database_position(scene.database), torn);
        EXPECT_OK(database_tend(scene.database, &scene.err), &scene.err);
        EXPECT(database_position(scene.database) > torn);
        REQUIRE(writer_start(&scene.writer, &scene.plan));
        EXPECT(writer_wait(&scene.writer, 30));
        EXPECT_OK(database_tend(scene.database, &scene.err), &scene.err);
        writer_kill(&scene.writer);
    }
    EXPECT(scene_copy(scene.database) >= 90);
    database_detach(scene.database);
    /* A commit whose frames were written but not yet published when the application was killed is found by
     * recovery. */
    EXPECT(sample_value(scene.path) - sample_value(sample_path("copy")) <= 1);
}

TEST(an_application_that_starts_meets_no_delay_from_a_torn_wal_index)
{
    struct scene scene;
    uint64_t begun_ms;

    REQUIRE(scene_begin(&scene, 0, 3000));
    REQUIRE(writer_wait(&scene.writer, 30));
    writer_kill(&scene.writer);
    sample_tear_index(scene.path);
    begun_ms = clock_monotonic_ms();
    REQUIRE(writer_start(&scene.writer, &scene.plan));
    EXPECT(clock_monotonic_ms() - begun_ms < 5000); /* it would be 10 to 20 s */
    EXPECT(writer_stop(&scene.writer));
    database_detach(scene.database);
}

TAP_MAIN()
