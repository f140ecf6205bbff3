#include "sidecar/events.h"

#include "base/clock.h"
#include "base/thread.h"

#include "tests/tap.h"

#include <signal.h>

TEST(a_signal_is_an_event)
{
    struct events events;
    struct err err = {0};
    struct event event;

    events_block_signals();
    REQUIRE_OK(events_open(&events, &err), &err);
    REQUIRE(kill(getpid(), SIGTERM) == 0);
    event = events_wait(&events, EVENTS_NO_DEADLINE);
    EXPECT_INT(event.kind, EVENT_SIGNAL);
    EXPECT_INT(event.signal, SIGTERM);
    events_clear(&events);
}

TEST(the_end_of_a_child_is_an_event_even_if_the_parent_ignored_it)
{
    struct events events;
    struct err err = {0};
    pid_t child;

    (void)signal(SIGCHLD, SIG_IGN);
    events_block_signals();
    REQUIRE_OK(events_open(&events, &err), &err);
    child = fork();
    if (child == 0)
        _exit(5);
    EXPECT_INT(events_wait(&events, EVENTS_NO_DEADLINE).kind, EVENT_CHILD);
    EXPECT(waitpid(child, NULL, 0) == child);
    events_clear(&events);
}

TEST(a_deadline_is_an_event_and_never_comes_early)
{
    struct events events;
    struct err err = {0};
    uint64_t deadline_ms;

    events_block_signals();
    REQUIRE_OK(events_open(&events, &err), &err);
    deadline_ms = clock_monotonic_ms() + 30;
    EXPECT_INT(events_wait(&events, deadline_ms).kind, EVENT_TIME);
    EXPECT(clock_monotonic_ms() >= deadline_ms);
    EXPECT_INT(events_wait(&events, 1).kind, EVENT_TIME); /* long past */
    events_clear(&events);
}

TEST(signals_come_before_news_and_news_once)
{
    struct events events;
    struct err err = {0};
    int engine_fd = -1;

    events_block_signals();
    REQUIRE_OK(events_open(&events, &err), &err);
    REQUIRE_OK(event_open(&engine_fd, &err), &err);
    events_watch(&events, EVENT_ENGINE, engine_fd);
    event_raise(engine_fd);
    event_raise(engine_fd);
    REQUIRE(kill(getpid(), SIGINT) == 0);
    EXPECT_INT(events_wait(&events, EVENTS_NO_DEADLINE).kind, EVENT_SIGNAL);
    EXPECT_INT(events_wait(&events, EVENTS_NO_DEADLINE).kind, EVENT_ENGINE);
    EXPECT_INT(events_wait(&events, 1).kind, EVENT_TIME);
    events_clear(&events);
    (void)close(engine_fd);
}

TAP_MAIN()
