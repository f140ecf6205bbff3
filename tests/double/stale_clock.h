/* The clock that files are stamped with, standing still for a while. Included by one file of a program. */
#ifndef TESTS_DOUBLE_STALE_CLOCK_H
#define TESTS_DOUBLE_STALE_CLOCK_H

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* So many times it says the same, which is long ago. */
static int stale_stamps;
int hooked_clock_gettime(clockid_t clock, struct timespec *now) __asm__("clock_gettime");

int hooked_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock != CLOCK_REALTIME_COARSE || stale_stamps == 0)
        return (int)syscall(SYS_clock_gettime, clock, now);
    stale_stamps--;
    *now = (struct timespec){.tv_sec = 1};
    return 0;
}

#endif
