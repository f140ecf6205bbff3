/* Asking the backend whether it answers, until it has once. */
#ifndef PROXY_HEALTH_H
#define PROXY_HEALTH_H

#include "proxy/core.h"

enum { HEALTH_INTERVAL_MS = 50 };

struct health {
    struct core *core;
    struct loop_timer timer; /* the next question, or the end of our patience with this one */
    struct upstream_connection *connection;
    struct buf request;
    size_t sent;
    struct receive_buffer *buffer;
    bool begun, answered;
};

void health_init(struct health *health, struct core *core);
void health_clear(struct health *health);

/* Asks at once and then every HEALTH_INTERVAL_MS; on the first complete response head with a status below 500
 * the `answered` callback is called, once, and nothing is asked any more. Begun twice is begun once. */
void health_begin(struct health *health);

#endif
