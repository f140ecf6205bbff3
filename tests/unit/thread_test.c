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

TAP_MAIN()
