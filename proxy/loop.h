/* The event loop of the proxy's thread: descriptors (edge-triggered) and timers. Only that thread calls it.
 */
#ifndef PROXY_LOOP_H
#define PROXY_LOOP_H

#include "base/err.h"
#include "proxy/list.h"

#include <stdint.h>
#include <sys/epoll.h>

enum { LOOP_EVENTS_MAX = 128 };

/* A descriptor that is watched. It may be removed, and freed, in any callback. */
struct loop_source {
    int fd;
    void (*ready)(struct loop_source *source, uint32_t events);
};

/* Fires once. Zeroed memory is not a timer: loop_timer_init() first. */
struct loop_timer {
    struct list link;
    uint64_t due_ms;
    void (*expired)(struct loop_timer *timer);
};

struct loop {
    int epoll_fd;
    uint64_t now_ms; /* of the monotonic clock, when the last wait ended */
    struct list timers;
    struct epoll_event events[LOOP_EVENTS_MAX];
    int count, at; /* events of this round, and the one being delivered */
};

bool loop_open(struct loop *loop, struct err *err) CHECKED;
void loop_close(struct loop *loop);

/* Watches source->fd for events, which include EPOLLET or not; false with errno if the kernel refuses. */
bool loop_add(struct loop *loop, struct loop_source *source, uint32_t events) CHECKED;
/* Before the descriptor is closed. Events that are already here are not delivered any more. */
void loop_remove(struct loop *loop, struct loop_source *source);

void loop_timer_init(struct loop_timer *timer, void (*expired)(struct loop_timer *timer));
/* Fires delay_ms from now, whatever it was set to before. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms);
void loop_timer_clear(struct loop_timer *timer);
bool loop_timer_is_set(const struct loop_timer *timer);

/* Waits for at most timeout_ms, or until the next timer is due, and delivers what happened. */
void loop_run(struct loop *loop, uint64_t timeout_ms);

#endif
