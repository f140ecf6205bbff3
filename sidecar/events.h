/* What the main thread waits for: signals, the child's end, news of the engine and the proxy, and a time. */
#ifndef SIDECAR_EVENTS_H
#define SIDECAR_EVENTS_H

#include "base/err.h"

#include <stdint.h>

enum event_kind {
    EVENT_TIME,   /* the deadline has passed */
    EVENT_SIGNAL, /* `signal` came; SIGCHLD never does, it is EVENT_CHILD */
    EVENT_CHILD,  /* somebody may be reaped */
    EVENT_ENGINE, /* the engine's status has changed */
    EVENT_PROXY,  /* the proxy's has */
    EVENT_KINDS
};

struct event {
    enum event_kind kind;
    int signal;
};

struct events {
    int fds[EVENT_KINDS]; /* -1: not watched; [EVENT_SIGNAL] is our own signalfd, the others are borrowed
                             eventfds */
};

#define EVENTS_INIT                   \
    {                                 \
        .fds = { -1, -1, -1, -1, -1 } \
    }

enum { EVENTS_NO_DEADLINE = UINT64_C(0) };

/* Blocks every signal that isn't a fault of our own, and undoes what the parent may have ignored. First thing
 * in main(), before any thread: threads inherit the mask, and a signal that one of them took would end the
 * process. */
void events_block_signals(void);

bool events_open(struct events *events, struct err *err) CHECKED;
void events_clear(struct events *events);

/* From now on `kind` is reported when the eventfd is raised. */
void events_watch(struct events *events, enum event_kind kind, int event_fd);

/* Waits until something happens or deadline_ms (monotonic; EVENTS_NO_DEADLINE: for ever) has passed. Signals
 * come first, so that no flood of news delays a stop. */
struct event events_wait(struct events *events, uint64_t deadline_ms);

#endif
