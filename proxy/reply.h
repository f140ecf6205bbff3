/* Answers on a socket that libmicrohttpd has given up.
 *
 * It can't answer a request whose body it has begun to deliver: the answer has to wait for the last byte of
 * the body, be it a gigabyte that nobody wants. So such a connection is taken out of it (its socket
 * duplicated, its own copy closed), the answer is written here, and the connection is closed behind it. */
#ifndef PROXY_REPLY_H
#define PROXY_REPLY_H

#include "proxy/exchange.h"

/* Takes both: fd is the client's connected, non-blocking socket; the exchange's step is STEP_ANSWER or
 * STEP_RESPOND. What the client still sends is dropped. */
void reply_begin(struct core *core, int fd, struct exchange *exchange);
/* Closes all at once. */
void reply_end_all(struct core *core);

#endif
