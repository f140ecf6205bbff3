/* A small HTTP/1.1 server: a thread for each connection, keep-alive, and the shutdown of hyper as Convex uses
 * it (facts/convex.md 3): stop accepting, close what is idle, wait without limit for requests in flight, and
 * leave upgraded connections alone. */
#ifndef TESTS_BACKEND_SERVER_H
#define TESTS_BACKEND_SERVER_H

#include "tests/backend/http.h"

struct server;
struct connection;

/* One request and its answer. */
struct exchange {
    void *context; /* of server_open() */
    struct connection *connection;
    struct http_stream *stream;
    struct http_head head;
    struct http_body body;
    char *path;        /* as sent, without the query; owned */
    const char *query; /* raw, "" if there is none */
    bool expects_continue;
    bool answered;
    bool chunked;      /* the answer */
    bool without_body; /* the answer to HEAD */
    bool closes;       /* the connection ends after this exchange */
};

struct server_options {
    const char *interface;
    unsigned port;
    unsigned site_port; /* 0: none. Requests there get "/http" before their path */
    void (*handle)(struct exchange *exchange);
    void *context;
};

/* Binds and starts to accept. ERR_CONFIG: the port is taken. options is copied. */
bool server_open(const struct server_options *options, struct server **ret_server, struct err *err) CHECKED;

/* Stops accepting and closes idle connections; the returned descriptor becomes readable when no request is in
 * flight any more. It belongs to the server. */
int server_drain(struct server *server);

/* For a handler that keeps the connection for another protocol: draining no longer waits for it. */
void server_forget(struct exchange *exchange);

/* Some bytes of the request's body, 0 at the end. Answers `Expect: 100-continue` first. False: the client is
 * gone. */
bool exchange_read(struct exchange *exchange, void *bytes, size_t size, size_t *ret_size) CHECKED;
/* The whole body; answers 413 or 400 itself and is false if it can't be had. */
bool exchange_read_whole(struct exchange *exchange, struct buf *whole) CHECKED;

/* The answer's head; headers are further lines, each with its line end, or "". length may be
 * HTTP_UNKNOWN_LENGTH: in chunks. */
bool answer_begin(struct exchange *exchange, unsigned status, const char *type, uint64_t length,
                  const char *headers) CHECKED;
bool answer_write(struct exchange *exchange, const void *bytes, size_t size) CHECKED;
bool answer_end(struct exchange *exchange) CHECKED;
/* A whole answer. What fails is only that nobody is there to read it. */
void answer_text(struct exchange *exchange, unsigned status, const char *type, const char *text, size_t size);
void answer_json(struct exchange *exchange, unsigned status, const char *format, ...) PRINTF_LIKE(3, 4);
/* {"error":"…"} with the status that fits err->code. */
void answer_error(struct exchange *exchange, const struct err *err);

/* The number or the decoded text of a query parameter. False if it is absent or malformed. */
bool query_number_of(const struct exchange *exchange, const char *name, uint64_t *ret_number) CHECKED;
bool query_text_of(const struct exchange *exchange, const char *name, char *text, size_t size) CHECKED;

#endif
