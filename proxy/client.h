/* The client's side of each connection that libmicrohttpd serves: how long it may take, and how it ends.
 * Knows sockets, not the library. */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include "proxy/core.h"

struct clients {
    struct core *core;
    struct list all;
    unsigned count;
    struct loop_timer sweep;
    bool hushed; /* no last words from here: the library has said some just now, or everything ends */
};

struct client {
    struct clients *clients;
    struct list link;
    const struct proxy_front *front; /* NULL: the admin port */
    int fd;                          /* libmicrohttpd's */
    char ip[INET6_ADDRSTRLEN];
    uint64_t since_ms;      /* when it connected, or its last request ended */
    uint64_t head_since_ms; /* when the first bytes of a later request were noticed; 0: none */
    bool is_first;          /* no request has ended yet */
    bool busy;              /* a request is being served */
    bool taken;             /* the socket lives on as a duplicate: leave it alone */
};

void clients_init(struct clients *clients, struct core *core);

struct client *client_begin(struct clients *clients, int fd, const struct sockaddr *address,
                            const struct proxy_front *front);
/* Before the library closes fd. What the client still sends is read, so that it gets to see our last answer.
 * If the library drops what looks like no request at all without a word, it is answered 400. */
void client_end(struct client *client);
/* Its socket is closed already. */
void client_forget(struct client *client);

/* A request's head is complete; the request is over. */
void client_enter_request(struct client *client);
void client_leave_request(struct client *client);

/* Closes connections that serve no request and have sent nothing of one. */
void clients_close_idle(struct clients *clients);

#endif
