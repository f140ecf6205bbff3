/* Answering a client whose request isn't complete yet.
 *
 * libmicrohttpd can't: once it has begun to deliver a body, its answer has to wait for the last byte of it,
 * be it a gigabyte that nobody wants, or one that the backend only sends back as it comes. So the answer is
 * written here, on a duplicate of the socket, while the library goes on reading the request; afterwards the
 * connection is closed. The same way out is taken for heads that don't fit into the library's memory. */
#ifndef PROXY_REPLY_H
#define PROXY_REPLY_H

#include "proxy/exchange.h"

struct reply;

/* Takes fd, a duplicate of the client's socket. The exchange's step is STEP_ANSWER or STEP_RESPOND; it is
 * borrowed, as context is. done is called once, by an event or by reply_pump(), when everything was sent or
 * nothing more can be. NULL, and fd is closed, if it can't be watched. */
struct reply *reply_begin(int fd, struct exchange *exchange, void (*done)(void *context), void *context);
/* The exchange may have more. */
void reply_pump(struct reply *reply);
/* NULL is fine. */
void reply_free(struct reply *reply);

#endif
