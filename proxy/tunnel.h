/* An upgraded connection: WebSocket bytes in both directions. */
#ifndef PROXY_TUNNEL_H
#define PROXY_TUNNEL_H

#include "proxy/core.h"

struct tunnel_ends {
    int client_fd; /* connected, non-blocking */
    struct upstream_connection *backend;
    const void *from_client; /* bytes that were read already */
    size_t from_client_size;
    const void *from_backend;
    size_t from_backend_size;
};

/* Takes both ends; copies the bytes. */
void tunnel_begin(struct core *core, const struct tunnel_ends *ends);
/* Closes each with 1001 as soon as the backend is between two frames (RFC 6455, 7.4.1: going away). */
void tunnel_drain_all(struct core *core);
/* Closes all at once, whatever is held or on its way. */
void tunnel_cut_all(struct core *core);

#endif
