/* What the handlers share. Everything in it is set before the server opens. */
#ifndef TESTS_BACKEND_BACKEND_H
#define TESTS_BACKEND_BACKEND_H

#include "tests/backend/committer.h"
#include "tests/backend/server.h"

enum { VALUE_MAX = 1024 * 1024, BULK_MAX = 100000 };

struct backend {
    struct persistence *persistence;
    struct committer *committer;
    int files_fd;
    unsigned websocket_ping_ms; /* 0: none */
};

/* The server's handler: finds the route and calls it. */
void route_request(struct exchange *exchange);

/* Commits value, `count` times over, as one transaction or as a part of one. ERR_CONFIG: the value can't be
 * kept (value_is_plain()). Any thread. */
bool backend_write(struct backend *backend, const char *value, uint64_t count, int64_t *ret_first,
                   int64_t *ret_ts, struct err *err) CHECKED;

/* The handlers: routes_data.c */
void route_write(struct exchange *exchange);
void route_read(struct exchange *exchange);
void route_count(struct exchange *exchange);
void route_stats(struct exchange *exchange);
void route_list(struct exchange *exchange);
void route_integrity(struct exchange *exchange);
void route_hold(struct exchange *exchange);
/* routes_files.c */
void route_upload(struct exchange *exchange);
void route_download(struct exchange *exchange);
void route_delete(struct exchange *exchange);
/* routes_probe.c: nothing is stored; they show what arrives, and misbehave on request */
void route_version(struct exchange *exchange);
void route_name(struct exchange *exchange);
void route_site(struct exchange *exchange);
void route_echo(struct exchange *exchange);
void route_headers(struct exchange *exchange);
void route_stream(struct exchange *exchange);
void route_large(struct exchange *exchange);
void route_sleep(struct exchange *exchange);
void route_env(struct exchange *exchange);
void route_die(struct exchange *exchange);
/* sync.c */
void route_sync(struct exchange *exchange);

#endif
