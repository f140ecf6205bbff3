/* The head of a client's request: which ones are refused, and how the others are written towards the backend.
 * Pure: no socket, no library.
 *
 * Heads are always written anew, from what was understood: framing from the facts below, never from the
 * client's own lines. What two parsers could read in two ways is refused before (docs/DESIGN.md, Proxy). */
#ifndef PROXY_REQUEST_H
#define PROXY_REQUEST_H

#include "base/buf.h"
#include "proxy/body.h"
#include "proxy/header.h"

struct request_head {
    const char *method, *target, *version; /* the target as it came, undecoded */
    struct headers headers;
    bool too_many_headers;
};

/* Without fields yet. */
void request_head_init(struct request_head *head, const char *method, const char *target,
                       const char *version);

struct request_facts {
    enum body_kind body; /* NONE, LENGTH or CHUNKED */
    uint64_t length;
    const char *target;        /* in origin form, or "*"; points into the head's */
    const struct header *host; /* NULL: an HTTP/1.0 request without */
    bool is_head;
    bool is_http_1_0;
    bool is_idempotent; /* repeating it does no harm (RFC 9110, 9.2.2) */
    bool is_upgrade;    /* to websocket, the only protocol that is passed on */
};

/* 0 and the facts, or the status that the request is refused with; then the connection is to be closed. */
unsigned request_check(const struct request_head *head, struct request_facts *ret_facts);

struct request_route {
    const char *prefix;       /* before the path: "" or "/http" */
    const char *client_ip;    /* the other end of the connection */
    const char *default_host; /* for a request without Host */
    bool trust_forwarded;
};

/* Adds the complete head towards the backend. */
void request_write(struct buf *text, const struct request_head *head, const struct request_facts *facts,
                   const struct request_route *route);

/* True if the path of target (without its query) matches one of the colon-separated globs, which may be NULL.
 */
bool request_matches(const char *target, const char *globs);

#endif
