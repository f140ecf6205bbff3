/* Two lists that change places: one is filled while the other is told. Where no thread is to be had nothing
 * is told: waiting for the disk here would be no better than there. */
#include "snapshot/page_advice.h"

#include "base/buf.h"
#include "base/thread.h"

#include <assert.h>
#include <fcntl.h>

enum { RANGES_MAX = 4096 };

struct range {
    int fd;
    uint64_t offset, size;
};

struct ranges {
    struct range list[RANGES_MAX];
    size_t count;
};

struct page_advice {
    struct pool *pool; /* one worker; NULL: none */
    struct task_group group;
    struct ranges lists[2];
    struct ranges *filled, *told;
};

struct page_advice *page_advice_new(void)
{
    struct page_advice *advice = xcalloc(1, sizeof(*advice));
    struct err ignored = {0};

    if (!pool_open(1, "advise", &advice->pool, &ignored))
        advice->pool = NULL;
    if (advice->pool)
        group_init(&advice->group, advice->pool, 1);
    advice->filled = &advice->lists[0];
    advice->told = &advice->lists[1];
    return advice;
}

void page_advice_free(struct page_advice *advice)
{
    if (!advice)
        return;
    pool_free(advice->pool);
    free(advice);
}

static bool tell(void *context, struct err *err)
{
    const struct ranges *told = context;

    (void)err;
    for (size_t at = 0; at < told->count; at++)
        (void)posix_fadvise(told->list[at].fd, (off_t)told->list[at].offset, (off_t)told->list[at].size,
                            POSIX_FADV_WILLNEED);
    return true;
}

static void wait(struct page_advice *advice)
{
    struct err ignored = {0};

    if (advice->pool)
        (void)!group_wait(&advice->group, &ignored); /* tell() can't fail */
}

/* The one before is done. */
static void begin(struct page_advice *advice)
{
    struct ranges *told = advice->filled;

    advice->filled = advice->told;
    advice->told = told;
    advice->filled->count = 0;
    if (advice->pool)
        group_submit(&advice->group, tell, told);
}

void page_advice_add(struct page_advice *advice, int fd, uint64_t offset, uint64_t size)
{
    struct ranges *filled = advice->filled;

    assert(fd >= 0 && size > 0);
    filled->list[filled->count++] = (struct range){fd, offset, size};
    if (filled->count < RANGES_MAX)
        return;
    wait(advice);
    begin(advice);
}

void page_advice_send(struct page_advice *advice)
{
    if (advice->filled->count > 0 && (!advice->pool || group_wait_for(&advice->group, 0)))
        begin(advice);
}

void page_advice_settle(struct page_advice *advice)
{
    advice->filled->count = 0;
    wait(advice);
}
