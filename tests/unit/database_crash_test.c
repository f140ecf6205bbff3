/* The follower is killed or stopped at any moment, the application is not to notice. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/thread.h"
#include "snapshot/database.h"
#include "tests/double/scene.h"
#include "tests/tap.h"

#include <poll.h>
#include <signal.h>
#include <sys/random.h>

enum { ROUNDS = 40, LIFE_MAX_US = 60000 };

static atomic_bool never;

static int attached_fd = -1; /* a follower raises it when it has attached; -1: nobody wants to know */

/* Follows for ever, in a process of its own: attaches, tends, and if it should freezes, reads and thaws. */
static pid_t start_follower(const char *path, bool freezes)
{
    pid_t child = fork();

    if (child == 0) {
        struct database *database = NULL;
        struct err err = {0};
        if (!scene_attach(path, &database, &err))
            _exit(1);
        if (attached_fd >= 0)
            event_raise(attached_fd);
        for (;;) {
            if (freezes && scene_freeze(database, &err))
                (void)sample_hash_frozen(database);
            database_thaw(database);
            for (unsigned tend = 0; tend < 5; tend++)
                if (!database_tend(database, &err) && err.code != ERR_TRANSIENT)
                    _exit(2);
        }
    }
    return child;
}

static void pause_at_random(void)
{
    uint32_t random = 0;
    struct timespec delay = {0};

    EXPECT(getrandom(&random, sizeof(random), 0) == sizeof(random));
    delay.tv_nsec = (long)(random % LIFE_MAX_US) * 1000;
    (void)ppoll(NULL, 0, &delay, NULL);
}

static void end_follower(pid_t follower)
{
    int status = 0;

    EXPECT(kill(follower, SIGKILL) == 0);
    EXPECT(waitpid(follower, &status, 0) == follower);
    EXPECT(WIFSIGNALED(status)); /* it had not ended by itself */
}

static void kill_followers(uint64_t rate)
{
    const char *path = sample_path("db");
    struct writer writer = {0};
    struct writer_plan plan = writer_plan_for(path, rate);

    REQUIRE(writer_start(&writer, &plan));
    for (unsigned round = 0; round < ROUNDS; round++) {
        pid_t follower = start_follower(path, true);
        pause_at_random();
        end_follower(follower);
        REQUIRE(writer_wait(&writer, 1));
    }
    EXPECT(atomic_load(&writer.stats->worst_us) < WRITER_STALL_MAX_US);
    EXPECT(writer_stop(&writer));
    EXPECT_INT(sample_value(path), atomic_load(&writer.stats->commits));
}

TEST(an_application_at_50_hz_survives_followers_that_are_killed)
{
    kill_followers(50);
}

TEST(an_application_that_never_pauses_survives_followers_that_are_killed)
{
    kill_followers(0);
}

TEST(both_are_killed_in_turn_and_nothing_acknowledged_is_lost)
{
    const char *path = sample_path("db");
    struct writer writer = {0};
    struct writer_plan plan = writer_plan_for(path, 0);
    uint64_t acknowledged = 0;

    for (unsigned round = 0; round < ROUNDS / 2; round++) {
        pid_t follower;
        int64_t value;
        REQUIRE(writer_start(&writer, &plan));
        follower = start_follower(path, true);
        REQUIRE(writer_wait(&writer, 20));
        pause_at_random();
        acknowledged += atomic_load(&writer.stats->commits);
        writer_kill(&writer);
        end_follower(follower);
        value = sample_value(path);
        EXPECT(value >= (int64_t)acknowledged);
        acknowledged = (uint64_t)value;
    }
}

TEST(a_stopped_follower_keeps_nobody_waiting)
{
    const char *path = sample_path("db");
    struct writer writer = {0};
    struct writer_plan plan = writer_plan_for(path, 50);
    struct err err = {0};
    pid_t follower;

    REQUIRE(writer_start(&writer, &plan));
    /* Converting needs the file for one transaction, and whoever attaches first has to recover the log: a
     * stop in these moments is felt. */
    REQUIRE_OK(database_convert(path, clock_monotonic_ms() + SCENE_GENEROUS_MS, &never, &err), &err);
    REQUIRE_OK(event_open(&attached_fd, &err), &err);
    follower = start_follower(path, false);
    EXPECT(event_wait(attached_fd, SCENE_GENEROUS_MS));
    close_fdp(&attached_fd);
    for (unsigned round = 0; round < 10; round++) {
        pause_at_random();
        EXPECT(kill(follower, SIGSTOP) == 0);
        EXPECT(writer_wait(&writer, 10));
        EXPECT(kill(follower, SIGCONT) == 0);
        EXPECT(writer_wait(&writer, 5));
    }
    end_follower(follower);
    EXPECT(atomic_load(&writer.stats->worst_us) < WRITER_STALL_MAX_US);
    EXPECT(writer_stop(&writer));
    EXPECT_INT(sample_value(path), atomic_load(&writer.stats->commits));
}

TAP_MAIN()
