#include "tests/backend/pause.h"

#include "base/clock.h"

#include <time.h>

void pause_until(uint64_t due_ns)
{
    struct timespec due = {.tv_sec = (time_t)(due_ns / NS_PER_SECOND),
                           .tv_nsec = (long)(due_ns % NS_PER_SECOND)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) != 0)
        continue;
}

void pause_ms(uint64_t ms)
{
    if (ms > 0)
        pause_until(clock_monotonic_ns() + ms * NS_PER_MS);
}

void pause_pace(uint64_t *due_ns, uint64_t interval_ns)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (now_ns < *due_ns)
        pause_until(*due_ns);
    else
        *due_ns = now_ns;
    *due_ns += interval_ns;
}
