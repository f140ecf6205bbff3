/* Asking the holdfast that runs on this machine, at its admin port. */
#ifndef SIDECAR_ADMIN_CLIENT_H
#define SIDECAR_ADMIN_CLIENT_H

#include "base/buf.h"
#include "proxy/address.h"

/* Sends `method path` and adds the body of the answer, whatever its code, to *body. ERR_NOT_FOUND: nobody
 * listens there. ERR_TRANSIENT: no answer within five seconds. ERR_CORRUPT: what answers isn't holdfast.
 * Blocks. */
bool admin_ask(const struct address *address, const char *method, const char *path, unsigned *ret_code,
               struct buf *body, struct err *err) CHECKED;
/* The same for GET; any other code than 200 is ERR_CORRUPT. */
bool admin_get(const struct address *address, const char *path, struct buf *body, struct err *err) CHECKED;

#endif
