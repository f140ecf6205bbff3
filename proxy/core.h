/* What the files of this folder share: one struct core for each proxy, owned by its thread. */
#ifndef PROXY_CORE_H
#define PROXY_CORE_H

#include "proxy/durable.h"
#include "proxy/gate.h"
#include "proxy/proxy.h"
#include "proxy/response.h"
#include "proxy/upstream.h"

#include <stdatomic.h>

enum { RECEIVE_SIZE = 16 * 1024, SCRATCH_SIZE = 64 * 1024, SPARE_BUFFERS_MAX = 64 };

/* What was read from the backend and not passed on yet. Kept in a list of spares between uses: an idle
 * connection holds none. */
struct receive_buffer {
    struct list link;
    struct response response; /* its names and values point into bytes */
    size_t at, end;           /* bytes[at..end) are still to be passed on */
    uint8_t bytes[RECEIVE_SIZE];
};

struct core {
    struct proxy_config config;
    struct loop loop;
    struct upstream upstream;
    struct durable durable;
    struct gate gate;

    struct list exchanges; /* struct exchange, of every request that isn't answered by ourselves */
    struct list tunnels;
    struct list lingers;
    unsigned in_flight; /* exchanges that a drain waits for */
    unsigned tunnels_count;
    unsigned lingers_count;
    bool drained; /* and the callback was told so */

    struct list spare_buffers;
    unsigned spare_count;
    uint8_t scratch[SCRATCH_SIZE]; /* for bytes that don't outlive one call */

    /* Read by any thread. */
    _Atomic uint64_t requests[PROXY_CODES_MAX];
    _Atomic uint64_t forwarded;
    atomic_uint held_shown, in_flight_shown, tunnels_shown;
};

/* The configuration with its defaults filled in. core is zeroed; its loop is opened by the caller. */
void core_init(struct core *core, const struct proxy_config *config);
/* Frees what is left and closes the loop, open or not; all lists are empty by then. */
void core_clear(struct core *core);

/* Never NULL; empty. */
struct receive_buffer *core_take_buffer(struct core *core);
/* NULL is fine. */
void core_give_buffer(struct core *core, struct receive_buffer *buffer);

/* Something that asks for an answer goes to the backend. */
void core_note_forwarded(struct core *core);
/* An answer with this status has gone out on a front port. */
void core_count(struct core *core, unsigned code);
/* Shows the current numbers to other threads. */
void core_publish(struct core *core);
/* Tells the callback, once, when a drain has nothing left to wait for. */
void core_check_drained(struct core *core);

#endif
