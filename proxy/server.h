/* Between the HTTP library and the exchanges: what each request waits for, and how its answer goes out. */
#ifndef PROXY_SERVER_H
#define PROXY_SERVER_H

#include "proxy/client.h"
#include "proxy/core.h"

/* Each has a library of its own: what that one refuses by itself can be told by whose it is, and clients of
 * the fronts, however many, take no place from the admin port. */
enum server_kind { SERVER_FRONTS, SERVER_ADMIN, SERVER_KINDS };

struct server;

bool server_open(struct core *core, enum server_kind kind, struct server **ret_server,
                 struct err *err) CHECKED;
/* Breaks every client connection. All exchanges were cut before. NULL is fine. */
void server_free(struct server *server);

/* True if one more client may come. */
bool server_has_room(const struct server *server);
/* Takes fd, connected and non-blocking. front: NULL for the admin port. */
void server_add(struct server *server, int fd, const struct sockaddr *address, socklen_t address_size,
                const struct proxy_front *front);

/* Lets the library do what there is to do. After each round of the loop. */
void server_run(struct server *server);
/* How long the loop may wait before server_run() is to be called without an event. */
uint64_t server_timeout_ms(const struct server *server);

/* Closes the connections that are between two requests. */
void server_close_idle(struct server *server);
#endif
