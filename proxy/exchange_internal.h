/* What the two halves of an exchange (exchange.c, exchange_response.c) call of each other. */
#ifndef PROXY_EXCHANGE_INTERNAL_H
#define PROXY_EXCHANGE_INTERNAL_H

#include "proxy/exchange.h"

/* The connection ended without a byte of an answer: once more, or 502. */
void exchange_lost(struct exchange *exchange);
/* Ends it with an answer of our own, or cut if the response has begun. */
void exchange_fail(struct exchange *exchange, unsigned code, const char *reason);
void exchange_disconnect(struct exchange *exchange);

void exchange_init_hold(struct exchange *exchange);
/* Reads until the response's head is complete, or nothing more is there. True if the state has changed by it.
 */
bool exchange_read_head(struct exchange *exchange);

#endif
