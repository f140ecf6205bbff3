/* Who may go to the backend now, who waits, and who is refused. */
#ifndef PROXY_GATE_H
#define PROXY_GATE_H

#include "proxy/loop.h"
#include "proxy/proxy.h"

struct gate {
    struct loop *loop;
    const struct proxy_config *config;
    struct proxy_status status; /* as the callback last told it, and what was decided here */
    bool draining;              /* proxy_drain() was called */
    bool fenced;                /* proxy_fence() was */
    struct list waiting;
    unsigned waiting_count;
};

enum gate_verdict { GATE_PASS, GATE_HOLD, GATE_REFUSE };

/* One request that waits. */
struct gate_entry {
    struct list link;
    struct loop_timer timer;
    struct gate *gate;
    bool allowed;                              /* passes although we drain */
    void (*changed)(struct gate_entry *entry); /* no longer held: ask gate_enter() again */
    bool timed_out;
};

void gate_init(struct gate *gate, struct loop *loop, const struct proxy_config *config);

/* target is looked at now and not later. */
void gate_entry_init(struct gate_entry *entry, struct gate *gate, const char *target,
                     void (*changed)(struct gate_entry *entry));

/* Decides, and holds the entry if that is the verdict: `changed` comes when it may be another one. Whoever
 * has waited for the hold timeout is refused. */
enum gate_verdict gate_enter(struct gate_entry *entry);
/* The request is gone. */
void gate_leave(struct gate_entry *entry);

/* Asks the status callback; if the verdict may have changed, everybody who waits asks again. */
void gate_look(struct gate *gate);

/* What a person or a load balancer is told: the status, with what proxy_drain() and proxy_fence() add. */
void gate_status(const struct gate *gate, struct proxy_status *ret_status);
bool gate_is_ready(const struct gate *gate);
/* True if nothing will be served any more: connections end with their answer. */
bool gate_is_ending(const struct gate *gate);

#endif
