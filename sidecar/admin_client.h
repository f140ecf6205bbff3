/* Asking the holdfast that runs on this machine, at its admin port. */
#ifndef SIDECAR_ADMIN_CLIENT_H
#define SIDECAR_ADMIN_CLIENT_H

#include "base/buf.h"
#include "proxy/address.h"

/* GET path; adds the body of a 200 to *body. ERR_NOT_FOUND: nobody listens there. ERR_TRANSIENT: no answer
 * within five seconds. ERR_CORRUPT: what answers isn't holdfast. Blocks. */
bool admin_get(const struct address *address, const char *path, struct buf *body, struct err *err) CHECKED;

#endif
