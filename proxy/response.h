/* The head of the backend's response: read strictly, since whatever a client could read in another way than
 * we do would let one response pass for two. Pure. */
#ifndef PROXY_RESPONSE_H
#define PROXY_RESPONSE_H

#include "proxy/body.h"
#include "proxy/header.h"

struct response {
    unsigned code;
    size_t head_size; /* bytes, with the empty line */
    enum body_kind body;
    uint64_t length;        /* BODY_LENGTH; with BODY_NONE: what Content-Length said */
    bool has_length;        /* there was a Content-Length */
    bool keeps_alive;       /* the connection may be used again once the body was read */
    struct headers headers; /* point into the bytes */
};

enum response_progress { RESPONSE_INCOMPLETE, RESPONSE_COMPLETE, RESPONSE_MALFORMED };

enum { RESPONSE_HEAD_MAX = 12 * 1024 };

/* Reads a head from the front of bytes. to_head: it answers a HEAD request. *ret_response is filled only when
 * COMPLETE; names and values are then terminated by NULs written into bytes. A head above RESPONSE_HEAD_MAX
 * is malformed. */
enum response_progress response_parse(char *bytes, size_t size, bool to_head, struct response *ret_response);

/* 1xx that only announce (RFC 9110, 15.2): to be skipped. 101 is an answer. */
bool response_is_interim(const struct response *response);

#endif
