/* What the proxy answers itself, in every state: its own paths, the platform's probes, and the admin port. */
#ifndef PROXY_ROUTE_H
#define PROXY_ROUTE_H

#include "proxy/answer.h"
#include "proxy/core.h"
#include "proxy/request.h"

/* True if the request is ours, with *answer filled; false if it is the backend's. front is NULL on the admin
 * port, where every request is ours. */
bool route_answer(struct core *core, const struct proxy_front *front, const struct request_head *head,
                  const struct request_facts *facts, struct answer *answer);

#endif
