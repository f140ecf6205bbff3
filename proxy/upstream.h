/* Connections to the backend, kept open between requests. A connection belongs to whoever took it until it is
 * given back or dropped; the most recently used idle one is taken first, so that the others can age out. */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include "proxy/address.h"
#include "proxy/stream.h"

struct upstream {
    struct loop *loop;
    struct address address;
    char text[ADDRESS_TEXT_SIZE]; /* of the address: the Host of requests that have none */
    struct list idle;             /* most recently used first */
    unsigned idle_count;
};

struct upstream_connection {
    struct stream stream;
    struct upstream *upstream;
    struct list link;
    struct loop_timer timer;      /* not connected, or idle, for too long */
    bool pooled;                  /* it was used before: the backend may be closing it at this moment */
    bool failed;                  /* it could not be connected in time */
    void (*changed)(void *owner); /* its stream has; NULL while idle */
    void *owner;
};

void upstream_init(struct upstream *upstream, struct loop *loop, const struct address *address);
/* Drops what is idle. */
void upstream_clear(struct upstream *upstream);

/* Any; any whose end hasn't come, which costs a system call to know; a new one. */
enum upstream_want { UPSTREAM_ANY, UPSTREAM_OPEN, UPSTREAM_FRESH };

/* An idle connection or a new one, which may not be connected yet: it becomes writable then, or broken. NULL
 * with errno if the backend refused at once. */
struct upstream_connection *upstream_take(struct upstream *upstream, enum upstream_want want,
                                          void (*changed)(void *owner), void *owner);
/* For the next request: everything of the last response was read. */
void upstream_give_back(struct upstream_connection *connection);
/* Closes it. NULL is fine. */
void upstream_drop(struct upstream_connection *connection);

#endif
