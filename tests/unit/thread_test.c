#include "base/thread.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "tests/tap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

/* --- threads and locks -------------------------------------------------------------------------------------
 */

struct seen {
    sigset_t blocked;
    char name[16];
};

static void *look_around(void *context)
{
    struct seen *seen = context;

    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    (void)pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
    return seen;
}

TEST(a_thread_starts_with_every_signal_blocked_and_its_starter_keeps_its_mask)
{
    struct seen seen = {0};
    sigset_t before, after;
    pthread_t thread;
    void *result = NULL;
    struct err err = {0};

    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    REQUIRE_OK(thread_start(&thread, "looker", look_around, &seen, &err), &err);
    pthread_join(thread, &result);
    EXPECT(result == &seen);
    EXPECT(sigismember(&seen.blocked, SIGTERM) == 1 && sigismember(&seen.blocked, SIGCHLD) == 1 &&
           sigismember(&seen.blocked, SIGUSR1) == 1);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    EXPECT_INT(sigismember(&after, SIGUSR2), 1);
    EXPECT_INT(sigismember(&after, SIGTERM), 0);
}

static void *wait_for_event(void *context)
{
    (void)event_wait(*(int *)context, -1);
    return NULL;
}

TEST(a_thread_carries_its_name)
{
    CLEANUP(close_fdp) int event = -1;
    pthread_t thread;
    char name[16] = "";
    struct err err = {0};

    REQUIRE_OK(event_open(&event, &err), &err);
    REQUIRE_OK(thread_start(&thread, "ship", wait_for_event, &event, &err), &err);
    EXPECT_INT(pthread_getname_np(thread, name, sizeof(name)), 0);
    EXPECT_STR(name, "ship");
    event_raise(event);
    pthread_join(thread, NULL);
}

TEST(a_guard_holds_its_lock_to_the_end_of_the_scope)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

    {
        MUTEX_GUARD(&mutex);
        EXPECT_INT(pthread_mutex_trylock(&mutex), EBUSY);
    }
    EXPECT_INT(pthread_mutex_trylock(&mutex), 0);
    pthread_mutex_unlock(&mutex);
}

/* --- events ------------------------------------------------------------------------------------------------
 */

TEST(an_event_is_taken_once_however_often_it_was_raised)
{
    CLEANUP(close_fdp) int event = -1;
    struct err err = {0};

    REQUIRE_OK(event_open(&event, &err), &err);
    EXPECT(!event_take(event));
    event_raise(event);
    event_raise(event);
    event_raise(event);
    EXPECT(event_take(event));
    EXPECT(!event_take(event));
}

TEST(a_raised_event_can_be_polled)
{
    CLEANUP(close_fdp) int event = -1;
    struct err err = {0};

    REQUIRE_OK(event_open(&event, &err), &err);
    struct pollfd polled = {.fd = event, .events = POLLIN};
    EXPECT_INT(poll(&polled, 1, 0), 0);
    event_raise(event);
    EXPECT_INT(poll(&polled, 1, 0), 1);
    EXPECT_INT(poll(&polled, 1, 0), 1);
    EXPECT(event_take(event));
    EXPECT_INT(poll(&polled, 1, 0), 0);
}

TEST(waiting_ends_at_the_time_limit)
{
    CLEANUP(close_fdp) int event = -1;
    struct err err = {0};
    uint64_t started_ms = clock_monotonic_ms();

    REQUIRE_OK(event_open(&event, &err), &err);
    EXPECT(!event_wait(event, 0));
    EXPECT(!event_wait(event, 30));
    EXPECT(clock_monotonic_ms() - started_ms >= 29);
    event_raise(event);
    EXPECT(event_wait(event, 0));
    EXPECT(!event_wait(event, 0));
}

struct interruption {
    pthread_t sleeper;
    int event;
    atomic_int handled; /* how many signals the sleeper has taken */
    atomic_bool raised;
};

static struct interruption interruption;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&interruption.handled, 1);
}

/* Each signal is seen to have been handled before the next is sent, so the sleeper really was woken so often.
 */
static void *interrupt_then_raise(void *context)
{
    (void)context;
    for (int sent = 1; sent <= 20; sent++) {
        pthread_kill(interruption.sleeper, SIGUSR1);
        while (atomic_load(&interruption.handled) < sent)
            (void)sched_yield();
    }
    atomic_store(&interruption.raised, true);
    event_raise(interruption.event);
    return NULL;
}

TEST(signals_do_not_end_a_wait)
{
    struct sigaction action = {.sa_handler = count_signal};
    pthread_t thread;
    struct err err = {0};

    REQUIRE_OK(event_open(&interruption.event, &err), &err);
    interruption.sleeper = pthread_self();
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    REQUIRE_OK(thread_start(&thread, "nuisance", interrupt_then_raise, NULL, &err), &err);
    EXPECT(event_wait(interruption.event, -1));
    EXPECT(atomic_load(&interruption.raised));
    EXPECT_INT(atomic_load(&interruption.handled), 20);
    pthread_join(thread, NULL);
    (void)close(interruption.event);
}

/* --- pools and groups --------------------------------------------------------------------------------------
 */

struct crew {
    struct pool *pool;
    struct task_group group;
};

static void crew_close(struct crew *crew)
{
    pool_free(crew->pool);
}

#define CREW(name, workers, pending_max)                                \
    __attribute__((cleanup(crew_close))) struct crew name = {0};        \
    struct err err = {0};                                               \
    REQUIRE_OK(pool_open((workers), "worker", &name.pool, &err), &err); \
    group_init(&name.group, name.pool, (pending_max))

static bool count_run(void *context, struct err *err)
{
    (void)err;
    atomic_fetch_add((atomic_int *)context, 1);
    return true;
}

TEST(every_task_runs_once)
{
    static atomic_int runs;
    CREW(crew, 4, 8);

    EXPECT_OK(group_wait(&crew.group, &err), &err);
    for (int task = 0; task < 1000; task++)
        group_submit(&crew.group, count_run, &runs);
    EXPECT_OK(group_wait(&crew.group, &err), &err);
    EXPECT_INT(atomic_load(&runs), 1000);
}

static bool meet(void *context, struct err *err)
{
    (void)err;
    pthread_barrier_wait(context);
    return true;
}

TEST(workers_run_at_the_same_time)
{
    pthread_barrier_t barrier;
    CREW(crew, 3, 3);

    /* Fewer than three at once would never end. */
    pthread_barrier_init(&barrier, NULL, 3);
    for (int task = 0; task < 3; task++)
        group_submit(&crew.group, meet, &barrier);
    EXPECT_OK(group_wait(&crew.group, &err), &err);
    pthread_barrier_destroy(&barrier);
}

struct crowd {
    pthread_mutex_t mutex;
    int inside;
    int most;
};

static bool visit_crowd(void *context, struct err *err)
{
    struct crowd *crowd = context;

    (void)err;
    mutex_locked(&crowd->mutex);
    crowd->inside++;
    if (crowd->inside > crowd->most)
        crowd->most = crowd->inside;
    pthread_mutex_unlock(&crowd->mutex);
    (void)sched_yield();
    MUTEX_GUARD(&crowd->mutex);
    crowd->inside--;
    return true;
}

TEST(a_group_never_has_more_under_way_than_it_may)
{
    struct crowd crowd = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    CREW(crew, 4, 2);

    for (int task = 0; task < 2000; task++)
        group_submit(&crew.group, visit_crowd, &crowd);
    EXPECT_OK(group_wait(&crew.group, &err), &err);
    EXPECT(crowd.most >= 1 && crowd.most <= 2);
    EXPECT_INT(crowd.inside, 0);
}

static bool fail_with_context(void *context, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "%s", (const char *)context);
}

TEST(the_first_error_is_the_one_that_is_told)
{
    static char first[] = "first", second[] = "second";
    CREW(crew, 1, 8); /* one worker: the order is certain */

    EXPECT(!group_failed(&crew.group));
    group_submit(&crew.group, fail_with_context, first);
    group_submit(&crew.group, fail_with_context, second);
    EXPECT(!group_wait(&crew.group, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_STR(err.text, "first");
}

static bool note_failure(void *context, struct err *err)
{
    struct crew *crew = context;

    return group_failed(&crew->group) ? err_set(err, ERR_CANCELED, "seen")
                                      : err_set(err, ERR_SYSTEM, "not seen");
}

TEST(tasks_after_a_failure_still_run_and_see_it)
{
    static char first[] = "first";
    static atomic_int runs;
    CREW(crew, 1, 8);

    group_submit(&crew.group, fail_with_context, first);
    group_submit(&crew.group, note_failure, &crew);
    group_submit(&crew.group, count_run, &runs);
    EXPECT(!group_wait(&crew.group, &err));
    EXPECT_STR(err.text, "first");
    EXPECT_INT(atomic_load(&runs), 1);
}

TEST(a_group_can_be_used_again_after_a_failure)
{
    static char first[] = "first";
    static atomic_int runs;
    CREW(crew, 2, 4);

    group_submit(&crew.group, fail_with_context, first);
    EXPECT(!group_wait(&crew.group, &err));
    EXPECT(!group_failed(&crew.group));
    group_submit(&crew.group, count_run, &runs);
    err = (struct err){0};
    EXPECT_OK(group_wait(&crew.group, &err), &err);
    EXPECT_INT(err.code, ERR_NONE);
    EXPECT_INT(atomic_load(&runs), 1);
}

TEST(groups_of_one_pool_fail_apart)
{
    static char first[] = "first";
    static atomic_int runs;
    struct task_group other;
    CREW(crew, 2, 4);

    group_init(&other, crew.pool, 4);
    group_submit(&crew.group, fail_with_context, first);
    group_submit(&other, count_run, &runs);
    EXPECT_OK(group_wait(&other, &err), &err);
    EXPECT(!group_wait(&crew.group, &err));
    EXPECT_INT(atomic_load(&runs), 1);
}

TEST(freeing_a_pool_finishes_what_was_submitted)
{
    static atomic_int runs;
    struct pool *pool = NULL;
    struct task_group group;
    struct err err = {0};

    REQUIRE_OK(pool_open(2, "worker", &pool, &err), &err);
    group_init(&group, pool, 1000);
    for (int task = 0; task < 1000; task++)
        group_submit(&group, count_run, &runs);
    pool_free(pool);
    EXPECT_INT(atomic_load(&runs), 1000);
    pool_free(NULL);
}

TAP_MAIN()
