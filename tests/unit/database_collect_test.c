/* Every commit is collected, and is what it was: an oracle applies each to a copy and compares the copy with
 * the database at every frozen moment. The application is a process of its own that commits, is killed, and
 * comes back. */
#include "snapshot/database.h"

#include "base/clock.h"
#include "snapshot/wal_index.h"
#include "tests/double/oracle.h"
#include "tests/double/scene.h"
#include "tests/tap.h"

#include <poll.h>
#include <pthread.h>

static atomic_bool never;

/* Commits a second; 0 is as fast as it can. The oracle checks and copies every page, so it must be left the
 * time for that: what it falls behind is a log that grows, and with a sanitizer it would never come up. */
#if defined(__SANITIZE_THREAD__)
enum { PAGES_RATE = 30, LARGE_RATE = 30, HIGH_RATE = 100, FULL_RATE = 100 };
#elif defined(__SANITIZE_ADDRESS__)
enum { PAGES_RATE = 100, LARGE_RATE = 60, HIGH_RATE = 300, FULL_RATE = 500 };
#else
enum { PAGES_RATE = 200, LARGE_RATE = 150, HIGH_RATE = 500, FULL_RATE = 0 };
#endif

struct story {
    struct scene scene;
    struct oracle oracle;
};

static bool begin(struct story *story, uint64_t rate, uint64_t bytes)
{
    return scene_begin(&story->scene, rate, bytes) &&
           scene_freeze(story->scene.database, &story->scene.err) &&
           oracle_begin(&story->oracle, story->scene.database);
}

/* The copy has what the application has committed. */
static bool end(struct story *story)
{
    bool ended = writer_stop(&story->scene.writer) && oracle_agrees_now(&story->oracle);

    oracle_end(&story->oracle);
    database_detach(story->scene.database);
    return ended;
}

/* What an engine does: it collects often, and tends now and then. */
static bool follow(struct story *story, uint64_t commits)
{
    struct scene *scene = &story->scene;
    uint64_t goal = atomic_load(&scene->writer.stats->commits) + commits;

    for (unsigned turn = 0; atomic_load(&scene->writer.stats->commits) < goal; turn++) {
        if (!writer_is_alive(&scene->writer) || !database_collect(scene->database, NULL, &scene->err))
            return false;
        if (turn % 8 == 0 && !database_tend(scene->database, &scene->err) && scene->err.code != ERR_TRANSIENT)
            return false;
        (void)poll(NULL, 0, 1);
    }
    return true;
}

static void follow_and_compare(uint64_t rate, uint64_t bytes, unsigned rounds, uint64_t commits)
{
    struct story story;
    struct database_mark mark;
    unsigned restarts = 0;
    uint32_t salt = 0;

    REQUIRE(begin(&story, rate, bytes));
    for (unsigned round = 0; round < rounds; round++) {
        REQUIRE_OK(follow(&story, commits), &story.scene.err); /* while it is still frozen */
        database_thaw(story.scene.database);
        REQUIRE_OK(follow(&story, commits), &story.scene.err);
        REQUIRE_OK(scene_freeze(story.scene.database, &story.scene.err), &story.scene.err);
        REQUIRE(oracle_agrees(&story.oracle));
        database_mark(story.scene.database, &mark);
        restarts += mark.salt[1] != salt;
        salt = mark.salt[1];
    }
    printf("# %u commits, the log restarted at least %u times\n", story.oracle.commits, restarts - 1);
    EXPECT(restarts > rounds / 2);
    EXPECT(story.oracle.commits >= 2 * rounds * commits);
    EXPECT(end(&story));
}

TEST(every_commit_is_collected_at_50_hz)
{
    follow_and_compare(50, 20000, 8, 12);
}

TEST(every_commit_is_collected_at_500_hz)
{
    follow_and_compare(HIGH_RATE, 20000, 15, 60);
}

TEST(every_commit_is_collected_from_an_application_that_never_pauses)
{
    follow_and_compare(FULL_RATE, 3000, 15, 200);
}

TEST(every_commit_is_collected_from_one_that_commits_as_much_as_convex)
{
    follow_and_compare(LARGE_RATE, 70000, 10, 60);
}

TEST(an_application_that_is_killed_and_comes_back_loses_nothing)
{
    struct story story;

    REQUIRE(begin(&story, FULL_RATE, 6000));
    for (unsigned round = 0; round < 15; round++) {
        REQUIRE_OK(follow(&story, 40), &story.scene.err);
        writer_kill(&story.scene.writer);
        if (round % 3 == 0)
            REQUIRE(oracle_agrees_now(&story.oracle));
        REQUIRE(writer_start(&story.scene.writer, &story.scene.plan));
        REQUIRE_OK(follow(&story, 40), &story.scene.err);
        REQUIRE(oracle_agrees_now(&story.oracle));
    }
    EXPECT(end(&story));
}

static void follow_page_size(unsigned page_size)
{
    struct story story;
    char sql[WRITER_SQL_MAX];

    (void)snprintf(sql, sizeof(sql), "PRAGMA page_size=%u", page_size);
    REQUIRE(writer_make(sample_path("db"), 1, sql));
    REQUIRE(begin(&story, PAGES_RATE, 20000));
    EXPECT_INT(story.oracle.page_size, page_size);
    for (unsigned round = 0; round < 3; round++) {
        REQUIRE_OK(follow(&story, 40), &story.scene.err);
        REQUIRE(oracle_agrees_now(&story.oracle));
    }
    EXPECT(end(&story));
}

TEST(pages_of_512_bytes_are_collected)
{
    follow_page_size(512);
}

TEST(pages_of_1024_bytes_are_collected)
{
    follow_page_size(1024);
}

TEST(pages_of_16384_bytes_are_collected)
{
    follow_page_size(16384);
}

TEST(pages_of_65536_bytes_are_collected)
{
    follow_page_size(65536);
}

/* Nothing is handed over twice, and nothing beyond the limit, which is a moment that the caller knows. */
TEST(what_is_collected_ends_where_the_caller_says)
{
    struct story story;
    struct wal_index_header limit = {0};
    uint64_t position = 0;
    unsigned commits;

    REQUIRE(begin(&story, FULL_RATE, 3000));
    REQUIRE(writer_wait(&story.scene.writer, 5));
    while (!database_position_at(story.scene.database, &limit, &position))
        ;
    REQUIRE(writer_wait(&story.scene.writer, 5));
    REQUIRE_OK(database_collect(story.scene.database, &limit, &story.scene.err), &story.scene.err);
    EXPECT_INT(database_collected_position(story.scene.database), position);
    commits = story.oracle.commits;
    EXPECT(commits >= 4);
    REQUIRE_OK(database_collect(story.scene.database, &limit, &story.scene.err), &story.scene.err);
    EXPECT_INT(story.oracle.commits, commits);
    REQUIRE_OK(database_collect(story.scene.database, NULL, &story.scene.err), &story.scene.err);
    EXPECT(story.oracle.commits >= commits + 4);
    EXPECT(database_collected_position(story.scene.database) > position);
    /* Long past: that log does not even exist any more. */
    commits = story.oracle.commits;
    for (unsigned round = 0; round < 3; round++) {
        REQUIRE_OK(follow(&story, 50), &story.scene.err);
        REQUIRE(oracle_agrees_now(&story.oracle));
    }
    EXPECT_OK(database_collect(story.scene.database, &limit, &story.scene.err), &story.scene.err);
    EXPECT(end(&story));
}

struct asker {
    struct database *database;
    atomic_bool stops;
    uint64_t answers;
};

static void *ask(void *context)
{
    struct asker *asker = context;
    uint64_t last = 0;

    while (!atomic_load(&asker->stops)) {
        uint64_t position = database_position(asker->database);
        asker->answers += position >= last;
        last = position;
    }
    return NULL;
}

/* A position that was seen before is contained afterwards: what a response may be released by. */
TEST(positions_that_others_ask_for_are_contained_in_what_is_collected)
{
    struct story story;
    struct asker asker = {0};
    pthread_t thread;

    REQUIRE(begin(&story, FULL_RATE, 3000));
    asker.database = story.scene.database;
    REQUIRE(pthread_create(&thread, NULL, ask, &asker) == 0);
    for (unsigned round = 0; round < 300; round++) {
        uint64_t position = database_position(story.scene.database);
        REQUIRE_OK(database_collect(story.scene.database, NULL, &story.scene.err), &story.scene.err);
        EXPECT(database_collected_position(story.scene.database) >= position);
        if (round % 10 == 0)
            database_thaw(story.scene.database);
        if (round % 50 == 49)
            EXPECT(oracle_agrees_now(&story.oracle));
        REQUIRE(writer_wait(&story.scene.writer, 1));
    }
    atomic_store(&asker.stops, true);
    REQUIRE(pthread_join(thread, NULL) == 0);
    EXPECT(asker.answers > 300);
    EXPECT(end(&story));
}

TEST(without_a_commit_nothing_is_handed_over)
{
    struct story story;

    REQUIRE(begin(&story, FULL_RATE, 3000));
    REQUIRE(writer_wait(&story.scene.writer, 5));
    REQUIRE(writer_stop(&story.scene.writer));
    REQUIRE(oracle_agrees_now(&story.oracle));
    story.oracle.is_full = true; /* would refuse */
    for (unsigned round = 0; round < 20; round++) {
        EXPECT_OK(database_collect(story.scene.database, NULL, &story.scene.err), &story.scene.err);
        EXPECT_OK(database_tend(story.scene.database, &story.scene.err), &story.scene.err);
        EXPECT(oracle_agrees_now(&story.oracle));
    }
    EXPECT_INT(database_collected_position(story.scene.database), database_position(story.scene.database));
    EXPECT_INT(story.oracle.refused, 0);
    oracle_end(&story.oracle);
    database_detach(story.scene.database);
}

/* The locks stay, so the log can't restart; all comes later, in order. */
TEST(a_full_sink_makes_the_log_grow_and_loses_nothing)
{
    struct story story;
    uint64_t before;

    REQUIRE(begin(&story, LARGE_RATE, 20000));
    REQUIRE_OK(follow(&story, 50), &story.scene.err);
    REQUIRE(oracle_agrees_now(&story.oracle));
    before = sample_size(sample_path("db-wal"));
    story.oracle.is_full = true;
    while (sample_size(sample_path("db-wal")) < before + (12 << 20)) {
        struct err err = {0};
        EXPECT(database_tend(story.scene.database, &err) || err.code == ERR_TRANSIENT);
        (void)poll(NULL, 0, 2);
    }
    EXPECT(!database_freeze(&story.scene.database, 1, clock_monotonic_ms() + 200, &never, &story.scene.err));
    EXPECT_INT(story.scene.err.code, ERR_TRANSIENT);
    EXPECT(story.oracle.refused > 2);
    EXPECT(atomic_load(&story.scene.writer.stats->worst_us) < WRITER_STALL_MAX_US);
    story.oracle.is_full = false;
    REQUIRE_OK(follow(&story, 50), &story.scene.err);
    REQUIRE(oracle_agrees_now(&story.oracle));
    REQUIRE_OK(follow(&story, 100), &story.scene.err);
    EXPECT(end(&story));
}

/* A sink that is slower than the application never comes to an end of what is committed. A freeze waits for
 * what was committed before it, and keeps nobody from writing. */
TEST(a_slow_sink_neither_keeps_the_application_from_writing_nor_a_freeze_away)
{
    enum { RATE = 300, SLOW_US = 4000 };
    struct story story;

    REQUIRE(begin(&story, RATE, 3000));
    database_thaw(story.scene.database);
    story.oracle.slow_us = SLOW_US;
    REQUIRE(writer_wait(&story.scene.writer, 60));
    EXPECT_OK(scene_freeze(story.scene.database, &story.scene.err), &story.scene.err);
    EXPECT(oracle_agrees(&story.oracle));
    database_thaw(story.scene.database);
    EXPECT(atomic_load(&story.scene.writer.stats->worst_us) < WRITER_STALL_MAX_US);
    printf("# %u commits, the longest took %.1f ms\n", story.oracle.commits,
           (double)atomic_load(&story.scene.writer.stats->worst_us) / 1e3);
    story.oracle.slow_us = 0;
    EXPECT(end(&story));
}

/* Refusals at random runs, also in the middle of a commit. */
TEST(a_sink_that_refuses_now_and_then_gets_whole_commits)
{
    struct story story;
    uint64_t seed = 4711;

    REQUIRE(begin(&story, LARGE_RATE, 20000));
    for (unsigned round = 0; round < 60; round++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        story.oracle.refuse_in = (unsigned)(seed >> 60) + 1;
        REQUIRE(writer_wait(&story.scene.writer, 20));
        if (!(round % 2 == 0 ? database_tend(story.scene.database, &story.scene.err)
                             : database_collect(story.scene.database, NULL, &story.scene.err)))
            EXPECT(story.scene.err.code == ERR_SYSTEM || story.scene.err.code == ERR_TRANSIENT);
        story.oracle.refuse_in = 0;
        if (round % 10 == 9)
            REQUIRE(oracle_agrees_now(&story.oracle));
    }
    EXPECT(story.oracle.refused > 10);
    EXPECT(end(&story));
}

TEST(after_the_end_the_database_is_followed_as_before)
{
    struct story story;

    REQUIRE(begin(&story, 500, 20000));
    REQUIRE_OK(follow(&story, 20), &story.scene.err);
    oracle_end(&story.oracle);
    oracle_end(&story.oracle);
    REQUIRE_OK(scene_tend(story.scene.database, 500, &story.scene.err), &story.scene.err);
    database_thaw(story.scene.database);
    REQUIRE_OK(scene_freeze(story.scene.database, &story.scene.err), &story.scene.err);
    REQUIRE(oracle_begin(&story.oracle, story.scene.database)); /* anew, from a later state */
    REQUIRE_OK(follow(&story, 100), &story.scene.err);
    EXPECT(end(&story));
}

TAP_MAIN()
