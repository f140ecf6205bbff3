/* An HTTP client for the load: one connection at a time, opened again when it broke. One thread each. */
#ifndef TESTS_BACKEND_CLIENT_H
#define TESTS_BACKEND_CLIENT_H

#include "tests/backend/http.h"

#include "base/cleanup.h"

struct client;

/* url is http://HOST:PORT with an IPv4 address or "localhost". Connects at the first request. ERR_CONFIG. */
bool client_open(const char *url, unsigned timeout_ms, struct client **ret_client, struct err *err) CHECKED;
void client_close(struct client *client);
DEFINE_CLEANUP(struct client *, client_close, client_closep)

/* Sends a request and reads the answer's head; the body is read next, to its end. After ERR_TRANSIENT nobody
 * knows whether the server acted on it. body may be NULL. */
bool client_send(struct client *client, const char *method, const char *target, const char *body,
                 unsigned *ret_status, struct err *err) CHECKED;
/* Some bytes of the answer, 0 at its end. */
bool client_read(struct client *client, void *bytes, size_t size, size_t *ret_size, struct err *err) CHECKED;

/* Both, for an answer that fits. */
bool client_ask(struct client *client, const char *method, const char *target, const char *body,
                unsigned *ret_status, struct buf *answer, struct err *err) CHECKED;

#endif
