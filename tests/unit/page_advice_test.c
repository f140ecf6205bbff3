#include "snapshot/page_advice.h"

#include "base/clock.h"
#include "base/thread.h"
#include "tests/tap.h"

#include <fcntl.h>

enum { FD = 77, MANY = 20000, STEP = 4096, LIMIT_S = 20 };

/* What the kernel was told, in that order; nobody gets beyond `held`. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    uint64_t count;
    uint64_t held;
    bool in_order;
} told = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, MANY, true};

int hooked_fadvise(int fd, off_t offset, off_t size, int advice) __asm__("posix_fadvise64");

int hooked_fadvise(int fd, off_t offset, off_t size, int advice)
{
    MUTEX_GUARD(&told.mutex);
    while (told.count >= told.held)
        (void)pthread_cond_wait(&told.moved, &told.mutex);
    told.in_order = told.in_order && fd == FD && advice == POSIX_FADV_WILLNEED &&
                    offset == (off_t)(told.count * STEP) && size == (off_t)(told.count + 1);
    told.count++;
    (void)pthread_cond_broadcast(&told.moved);
    return 0;
}

static void hold(uint64_t wanted)
{
    MUTEX_GUARD(&told.mutex);
    told.held = wanted;
    (void)pthread_cond_broadcast(&told.moved);
}

static uint64_t count(void)
{
    MUTEX_GUARD(&told.mutex);
    return told.count;
}

static bool await(uint64_t wanted)
{
    struct timespec until;
    int late = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LIMIT_S;
    MUTEX_GUARD(&told.mutex);
    while (told.count < wanted && !late)
        late = pthread_cond_timedwait(&told.moved, &told.mutex, &until);
    return told.count >= wanted;
}

static void add(struct page_advice *advice, uint64_t from, uint64_t end)
{
    for (uint64_t at = from; at < end; at++)
        page_advice_add(advice, FD, at * STEP, at + 1);
}

TEST(everything_is_told_once_and_in_order)
{
    CLEANUP(page_advice_freep) struct page_advice *advice = page_advice_new();

    add(advice, 0, 3);
    page_advice_send(advice);
    EXPECT(await(3));
    add(advice, 3, MANY); /* more than wait at once */
    for (uint64_t until_ms = clock_monotonic_ms() + LIMIT_S * 1000;
         count() < MANY && clock_monotonic_ms() < until_ms;)
        page_advice_send(advice); /* it may be busy still */
    EXPECT(told.in_order);
    EXPECT_INT(count(), MANY);
}

TEST(who_adds_does_not_wait_for_the_disk)
{
    CLEANUP(page_advice_freep) struct page_advice *advice = page_advice_new();

    hold(1);
    add(advice, 0, 5);
    page_advice_send(advice);
    EXPECT(await(1)); /* and no more */
    add(advice, 5, 100);
    page_advice_send(advice);
    EXPECT_INT(count(), 1);
    hold(MANY);
    EXPECT(await(5));
    EXPECT(told.in_order);
}

TEST(after_settling_no_descriptor_is_used)
{
    CLEANUP(page_advice_freep) struct page_advice *advice = page_advice_new();

    add(advice, 0, 50);
    page_advice_send(advice);
    add(advice, 50, 100);
    page_advice_settle(advice);
    EXPECT_INT(count(), 50); /* what was begun with is done, the rest is forgotten */
    page_advice_send(advice);
    page_advice_free(MOVE(advice));
    EXPECT_INT(count(), 50);
}

TAP_MAIN()
