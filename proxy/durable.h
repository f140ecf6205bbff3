/* Holding what the backend said until it is durable (design.md, Durability modes).
 *
 * Positions are one number for all connections and never go back, so what waits is a queue in order of
 * position: releasing looks at its front and at nothing else. */
#ifndef PROXY_DURABLE_H
#define PROXY_DURABLE_H

#include "proxy/list.h"
#include "proxy/proxy.h"

#include <stdatomic.h>

struct durable {
    struct proxy_durability source;
    _Atomic uint64_t position; /* set by other threads */
    atomic_bool waiting;       /* somebody wants to hear of the next position */
    bool failing;              /* nothing is held: it fails at once */
    struct list holds;
    unsigned count;
};

enum hold_state { HOLD_OPEN, HOLD_WAITING, HOLD_FAILED };

/* One thing that waits. Zeroed and hold_init()ed, it is open. */
struct hold {
    struct list link;
    uint64_t position;
    enum hold_state state;
    void (*changed)(struct hold *hold); /* it is open now, or has failed */
};

void durable_init(struct durable *durable, const struct proxy_durability *source);

void hold_init(struct hold *hold, void (*changed)(struct hold *hold));

/* To be called after a read from the backend: holds until everything up to now is durable, unless it is
 * already. Returns the state, which is then in hold->state; `changed` isn't called for it. One that waits
 * already goes on waiting, for the newer position. */
enum hold_state durable_hold(struct durable *durable, struct hold *hold);
/* What is waiting no longer matters. */
void durable_forget(struct durable *durable, struct hold *hold);

/* Any thread: everything up to position is durable. True if the proxy's thread is to call durable_release().
 */
bool durable_advance(struct durable *durable, uint64_t position) CHECKED;
/* Opens what the position allows, in order. */
void durable_release(struct durable *durable);
/* Fails all that is held, and from now on whatever would be; off: holds again. */
void durable_fail(struct durable *durable, bool on);

#endif
