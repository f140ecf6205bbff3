#include "proxy/linger.h"

#include "base/cleanup.h"

#include <assert.h>

enum { LINGERS_MAX = 256, LINGER_MS = 30 * 1000, QUIET_MS = 5 * 1000 };

struct lingering {
    struct core *core;
    struct list link;
    struct stream stream;
    struct loop_timer timer;
    uint64_t end_ms;
};

static void linger_free(struct lingering *linger)
{
    assert(linger->core->lingers_count > 0);
    linger->core->lingers_count--;
    list_remove(&linger->link);
    loop_timer_clear(&linger->timer);
    stream_close(&linger->stream);
    free(linger);
}

static void drain(struct stream *stream)
{
    struct lingering *linger = LIST_ENTRY(stream, struct lingering, stream);
    struct core *core = linger->core;
    ssize_t got;

    while ((got = stream_receive(stream, core->scratch, sizeof(core->scratch))) > 0)
        ;
    if (got != STREAM_BLOCKED || core->loop.now_ms >= linger->end_ms)
        linger_free(linger);
    else
        loop_timer_set(&core->loop, &linger->timer, QUIET_MS);
}

static void timer_expired(struct loop_timer *timer)
{
    linger_free(LIST_ENTRY(timer, struct lingering, timer));
}

void linger_begin(struct core *core, int fd)
{
    CLEANUP(close_fdp) int owned = fd;
    struct lingering *linger;

    if (core->lingers_count >= LINGERS_MAX)
        return;
    linger = xcalloc(1, sizeof(*linger));
    linger->core = core;
    linger->end_ms = core->loop.now_ms + LINGER_MS;
    if (!stream_open(&linger->stream, &core->loop, MOVE_FD(owned), drain)) {
        free(linger);
        return;
    }
    stream_shut(&linger->stream);
    list_add_last(&core->lingers, &linger->link);
    core->lingers_count++;
    loop_timer_init(&linger->timer, timer_expired);
    loop_timer_set(&core->loop, &linger->timer, QUIET_MS);
}

void linger_end_all(struct core *core)
{
    while (!list_is_empty(&core->lingers))
        linger_free(LIST_ENTRY(core->lingers.next, struct lingering, link));
}
