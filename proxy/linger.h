/* Closing a connection whose client is still sending. */
#ifndef PROXY_LINGER_H
#define PROXY_LINGER_H

#include "proxy/core.h"

/* Takes a connected, non-blocking socket: sends the end of our direction, then reads and drops what the
 * client sends until it closes too, or for a limited time. Without that, the kernel answers those bytes with
 * a reset, which may throw away our last words before the client has read them (RFC 9112, 9.6). */
void linger_begin(struct core *core, int fd);
/* Closes all at once. */
void linger_end_all(struct core *core);

#endif
