/* Timers are one list in order of time, searched from its end: nearly all delays are constants, so that a new
 * timer is the last one or close to it. */
#include "proxy/loop.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>

bool loop_open(struct loop *loop, struct err *err)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0)
        return err_errno(err, "create an epoll descriptor");
    *loop = (struct loop){.epoll_fd = fd, .now_ms = clock_monotonic_ms()};
    list_init(&loop->timers);
    return true;
}

void loop_close(struct loop *loop)
{
    close_fdp(&loop->epoll_fd);
    loop->epoll_fd = -1;
}

bool loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    assert(source->ready);
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) == 0;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    for (int at = loop->at; at < loop->count; at++)
        if (loop->events[at].data.ptr == source)
            loop->events[at].data.ptr = NULL;
}

void loop_timer_init(struct loop_timer *timer, void (*expired)(struct loop_timer *timer))
{
    assert(expired);
    *timer = (struct loop_timer){.expired = expired};
    list_init(&timer->link);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms)
{
    struct list *before;

    list_remove(&timer->link);
    timer->due_ms = loop->now_ms + delay_ms;
    for (before = loop->timers.previous; before != &loop->timers; before = before->previous)
        if (LIST_ENTRY(before, struct loop_timer, link)->due_ms <= timer->due_ms)
            break;
    list_add_after(before, &timer->link);
}

void loop_timer_clear(struct loop_timer *timer)
{
    list_remove(&timer->link);
}

bool loop_timer_is_set(const struct loop_timer *timer)
{
    return !list_is_empty(&timer->link);
}

static struct loop_timer *first_timer(struct loop *loop)
{
    return list_is_empty(&loop->timers) ? NULL : LIST_ENTRY(loop->timers.next, struct loop_timer, link);
}

static int time_to_wait(struct loop *loop, uint64_t timeout_ms)
{
    const struct loop_timer *first = first_timer(loop);

    /* now_ms may be a little old: the wait is then too long by as much, never too short to make progress. */
    if (first && first->due_ms <= loop->now_ms)
        return 0;
    if (first && first->due_ms - loop->now_ms < timeout_ms)
        timeout_ms = first->due_ms - loop->now_ms;
    return timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
}

static void fire_timers(struct loop *loop)
{
    struct loop_timer *first;

    while ((first = first_timer(loop)) && first->due_ms <= loop->now_ms) {
        list_remove(&first->link);
        first->expired(first);
    }
}

void loop_run(struct loop *loop, uint64_t timeout_ms)
{
    int count = epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS_MAX, time_to_wait(loop, timeout_ms));

    assert(count >= 0 || errno == EINTR);
    loop->now_ms = clock_monotonic_ms();
    loop->count = count > 0 ? count : 0;
    for (loop->at = 0; loop->at < loop->count; loop->at++) {
        struct loop_source *source = loop->events[loop->at].data.ptr;
        if (source)
            source->ready(source, loop->events[loop->at].events);
    }
    loop->count = 0;
    fire_timers(loop);
}
