/* Looking at what was touched finds what looking at everything finds. */
#include "tests/double/looking.h"
#include "tests/double/scanning.h"
#include "tests/double/upheaval.h"

#include <sys/syscall.h>
#include <time.h>

enum { ROUNDS = 60, SEEDS = 40 };

/* No file is looked into before the tick in which it was written is over; here it always is. */
int hooked_clock_gettime(clockid_t clock, struct timespec *now) __asm__("clock_gettime");

int hooked_clock_gettime(clockid_t clock, struct timespec *now)
{
    int answer = (int)syscall(SYS_clock_gettime, clock, now);

    now->tv_sec += clock == CLOCK_REALTIME_COARSE;
    return answer;
}

static bool look_and_compare(struct looking *looking)
{
    return looking_look(looking) && looking_is_right(looking);
}

static void run(const char *exclude, const char *databases, unsigned seed)
{
    CLEANUP(looking_close) struct looking looking;
    CLEANUP(scratch_closep) struct scratch outside;
    struct upheaval upheaval;

    looking_open(&looking, exclude, databases);
    scratch_open(&outside);
    upheaval_begin(&upheaval, looking.disk.fd, outside.fd, seed);
    for (unsigned round = 0; round < ROUNDS; round++) {
        upheaval_go_on(&upheaval, 1 + round % 12);
        if (look_and_compare(&looking))
            continue;
        printf("# seed %u, round %u\n", seed, round);
        tap_failures++;
        return;
    }
}

TEST(whatever_happens_a_look_at_what_was_touched_finds_what_a_whole_scan_finds)
{
    for (unsigned seed = 1; seed <= SEEDS && tap_failures == 0; seed++)
        run(seed % 2 ? "" : "tmp:b/a", seed % 3 ? "*" : "x*", seed);
}

TAP_MAIN()
