/* A running proxy between a test's own clients and its own backend, in one process: the test is both, and the
 * proxy's thread is the only other one. Nothing is timed: each step of a test waits for the bytes of the one
 * before. */
#ifndef TESTS_DOUBLE_PROXY_STAND_H
#define TESTS_DOUBLE_PROXY_STAND_H

#include "proxy/proxy.h"
#include "tests/double/peer.h"

#include <pthread.h>
#include <stdatomic.h>

struct stand {
    struct proxy *proxy;
    int backend; /* listens */
    uint16_t backend_port, front, site, admin;

    pthread_mutex_t mutex; /* guards status */
    struct proxy_status status;
    _Atomic uint64_t position; /* what position_now() says */
    atomic_uint waiting_told;
    atomic_uint forwarded;
    int answered, drained;            /* eventfds */
    struct proxy_counters at_drained; /* as `drained` was told */
};

/* The defaults of a test, to be changed before stand_start(): two fronts, state serve, not gated. */
struct proxy_config stand_config(struct stand *stand);
/* Aborts if it can't be started. */
void stand_start(struct stand *stand, const struct proxy_config *config);
/* The same with the defaults as they are. */
void stand_start_plain(struct stand *stand);
void stand_stop(struct stand *stand);

/* Changes the status and wakes the proxy. */
void stand_set_state(struct stand *stand, enum proxy_state state);
void stand_set_degraded(struct stand *stand, bool degraded);
void stand_set_failed(struct stand *stand, const char *reason, int exit_code);

/* Waits until the counters show it; false after a while. */
bool stand_held(struct stand *stand, unsigned count);
bool stand_in_flight(struct stand *stand, unsigned count);
bool stand_tunnels(struct stand *stand, unsigned count);

/* The next connection to the backend, and the head of its request in *ret_head. */
int stand_backend_request(struct stand *stand, const char **ret_head);
/* Sends the request, has the backend give the answer, and returns the client's end. */
int stand_exchange(struct stand *stand, const char *request, const char *answer);
/* Whether the client's connection still serves: the next request is answered. */
bool stand_is_kept(int client);

#endif
