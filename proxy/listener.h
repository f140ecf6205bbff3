/* Accepting connections on one port. */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include "proxy/core.h"

struct listener {
    struct core *core;
    struct loop_source source;       /* fd: -1 when not open */
    struct loop_timer retry;         /* out of descriptors, or too many clients: look again then */
    const struct proxy_front *front; /* NULL: the admin port */
    bool watched;
    /* Whether one more may come, and what to do with it (takes fd). */
    bool (*has_room)(void *context, const struct proxy_front *front);
    void (*accepted)(void *context, int fd, const struct sockaddr *address, socklen_t address_size,
                     const struct proxy_front *front);
    void *context;
};

/* Binds and listens; nothing is accepted yet. The error names the variable. */
bool listener_open(struct listener *listener, struct core *core, const struct address *address,
                   const char *variable, struct err *err) CHECKED;
/* Not open is fine. */
void listener_close(struct listener *listener);
bool listener_start(struct listener *listener, struct err *err) CHECKED;
uint16_t listener_port(const struct listener *listener);

#endif
