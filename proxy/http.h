/* Speaking HTTP/1.1 with clients: what server.c needs of libmicrohttpd, and the only module that knows it.
 * One thread calls everything here, and gets every callback.
 *
 * The library calls back for a request like this: `begun` when the request line is there; `called` when the
 * head is complete, then for each piece of the body, then once more when all of it was taken; `completed`
 * when the response is out or the connection broke. A bodyless request is called twice in a row. Between two
 * calls nothing happens unless http_run() is called. */
#ifndef PROXY_HTTP_H
#define PROXY_HTTP_H

#include "base/err.h"
#include "proxy/request.h"

#include <sys/socket.h>
#include <sys/types.h>

struct http;

/* One request on its connection: a member of the caller's own struct for it, filled in by this module. */
struct http_request {
    struct http *http;
    void *connection;          /* the library's */
    size_t pool_used;          /* of the connection's memory, about */
    bool ends_with_connection; /* the response's body does */
};

struct http_call {
    const char *method, *version;
    const char *bytes; /* a piece of the body, if size > 0 */
    size_t size;       /* set to what was not taken of it */
};

enum { HTTP_WAIT = 0, HTTP_END = -1, HTTP_BREAK = -2 };

struct http_callbacks {
    void *context;
    /* A connection was added: returns what stands for it in the callbacks below. */
    void *(*arrived)(void *context);
    /* The connection is about to be closed. */
    void (*departed)(void *connection);
    /* The library answers a request by itself, which it finds malformed, with this code, and closes. Such a
     * request may have been begun; it isn't called any more. */
    void (*refused)(void *context, unsigned code);
    /* Returns a new request. target as the client wrote it. */
    struct http_request *(*begun)(void *context, void *connection, const char *target);
    /* False closes the connection. Otherwise an answer was queued; or the request was suspended; or there is
     * nothing to say yet, and it is called again at the next http_run(). */
    bool (*called)(struct http_request *request, struct http_call *call);
    /* The next bytes of a streamed response; HTTP_WAIT (suspended or not, as above), HTTP_END or HTTP_BREAK.
     */
    ssize_t (*read)(struct http_request *request, void *bytes, size_t size);
    /* A response with HTTP_UPGRADE was sent. The library closes fd when this returns: duplicate it. bytes
     * came behind the request. */
    void (*upgraded)(struct http_request *request, int fd, const void *bytes, size_t size);
    /* The request's memory is the caller's again. */
    void (*completed)(struct http_request *request);
};

struct http_limits {
    unsigned connections_max;
    unsigned silence_s; /* a connection that is silent for so long is closed, unless it is suspended */
};

bool http_open(const struct http_callbacks *callbacks, const struct http_limits *limits,
               struct http **ret_http, struct err *err) CHECKED;
/* Closes every connection. Nothing may be suspended. NULL is fine. */
void http_free(struct http *http);

/* Takes fd, connected and non-blocking; it is closed if there is no room. */
void http_add(struct http *http, int fd, const struct sockaddr *address, socklen_t address_size);
/* Readable when http_run() has something to do. */
int http_fd(const struct http *http);
/* One round over all connections that are ready. */
void http_run(struct http *http);
/* When http_run() is due although http_fd() is quiet; UINT64_MAX: never. 0 as long as anything waits
 * unsuspended. */
uint64_t http_timeout_ms(const struct http *http);

/* Fills head->headers; what they point to lives as long as the request. */
void http_headers(struct http_request *request, struct request_head *head);
/* In a callback of this request: it is not called any more until resumed. */
void http_suspend(const struct http_request *request);
void http_resume(const struct http_request *request);

/* Outside of a call, of a request that isn't suspended: takes the client's socket out of the library, which
 * is left with a dead one, and so closes the connection at the next http_run(). The socket is the caller's.
 */
bool http_take_socket(const struct http_request *request, int *ret_fd) CHECKED;

enum http_body {
    HTTP_BYTES,    /* bytes[0..size) */
    HTTP_STREAM,   /* from the read callback, has_length or not */
    HTTP_HEADLESS, /* none, to a HEAD request or with 304: only the length, if there is one */
    HTTP_UPGRADE   /* none: 101, then the connection is the upgraded callback's */
};

struct http_response {
    unsigned code;
    enum http_body body;
    const void *bytes; /* live as long as the request */
    size_t size;
    bool has_length;
    uint64_t length;
    bool is_http_1_0;              /* the request: a body of unknown length ends with the connection */
    bool closes;                   /* Connection: close */
    const struct headers *headers; /* names and values terminated; those of the hop are left out */
};

/* In a call: answers. Before the body was taken whole, the connection is closed behind it; while it is being
 * taken it is an error. False if it can't be sent: then close. */
bool http_respond(struct http_request *request, const struct http_response *response) CHECKED;

/* A request and its response have to fit into the memory of the connection; else the library would close it
 * without a word. Errs on the side of no. */
bool http_fits(const struct http_request *request, size_t response_head_size);

#endif
