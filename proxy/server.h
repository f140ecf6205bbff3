/* Between the HTTP library and the exchanges: what each request waits for, and how its answer goes out. */
#ifndef PROXY_SERVER_H
#define PROXY_SERVER_H

#include "proxy/client.h"
#include "proxy/core.h"

struct server;

bool server_open(struct core *core, struct server **ret_server, struct err *err) CHECKED;
/* Breaks every client connection. All exchanges were cut before. NULL is fine. */
void server_free(struct server *server);

/* True if one more client may come to this front; NULL is the admin port, which has some places of its own.
 */
bool server_has_room(const struct server *server, const struct proxy_front *front);
/* Takes fd, connected and non-blocking. */
void server_add(struct server *server, int fd, const struct sockaddr *address, socklen_t address_size,
                const struct proxy_front *front);

/* Lets the library do what there is to do. After each round of the loop. */
void server_run(struct server *server);
/* How long the loop may wait before server_run() is to be called without an event. */
uint64_t server_timeout_ms(const struct server *server);

/* Closes the connections that are between two requests. */
void server_close_idle(struct server *server);
#endif
