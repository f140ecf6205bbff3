/* One request of one client, between the HTTP library (http.h) and its exchange with the backend. */
#ifndef PROXY_VISIT_H
#define PROXY_VISIT_H

#include "proxy/client.h"
#include "proxy/http.h"

/* What visits tell server.c, which drives the library. */
struct pace {
    unsigned parked; /* visits that wait without being suspended */
    bool wanted;     /* there is something to do for the library */
    bool progress;   /* this round did something: another may too */
};

/* The request line is here. The others take what this returned. */
struct http_request *visit_begin(struct client *client, struct pace *pace, const char *target);
bool visit_call(struct http_request *http, struct http_call *call);
ssize_t visit_read(struct http_request *http, void *bytes, size_t size);
void visit_upgrade(struct http_request *http, int fd, const void *bytes, size_t size);
void visit_end(struct http_request *http);

/* What waits for longer than this is suspended. */
enum { VISIT_PARKED_MS = 20 };

#endif
