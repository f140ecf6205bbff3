/* HTTP/1.1 framing (RFC 9112), for the server and for the client of the load mode: heads, bodies by length or
 * in chunks, and nothing else. Written without holdfast's own proxy code, so that it can judge it.
 *
 * A stream and what is parsed from it belong to one thread. */
#ifndef TESTS_BACKEND_HTTP_H
#define TESTS_BACKEND_HTTP_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { HTTP_HEAD_MAX = 64 * 1024, HTTP_HEADERS_MAX = 128, HTTP_STREAM_SIZE = 64 * 1024 };

#define HTTP_UNKNOWN_LENGTH UINT64_MAX

/* A socket with what was read from it and not yet taken. The descriptor belongs to the caller. */
struct http_stream {
    int fd;
    size_t at, end;
    uint8_t bytes[HTTP_STREAM_SIZE];
};

struct http_header {
    const char *name, *value;
};

/* The lines of a head; pointers go into text. */
struct http_head {
    struct buf raw; /* as received, up to and with the empty line */
    char *text;     /* a copy, cut into pieces */
    char *start[3]; /* method, target, version; or version, status, reason */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t header_count;
};

enum http_body_kind { HTTP_BODY_NONE, HTTP_BODY_SIZED, HTTP_BODY_CHUNKED, HTTP_BODY_TO_END };

struct http_body {
    enum http_body_kind kind;
    uint64_t left; /* of the body, or of the chunk */
    bool in_chunk; /* a chunk has begun, so its line end is still to come */
    bool ended;
};

/* Bytes as they come, at least one; *ret_size 0 means that the peer has closed. ERR_TRANSIENT: it broke. */
bool stream_read(struct http_stream *stream, void *bytes, size_t size, size_t *ret_size,
                 struct err *err) CHECKED;
/* Exactly size bytes; ERR_TRANSIENT if the peer closes before. */
bool stream_read_all(struct http_stream *stream, void *bytes, size_t size, struct err *err) CHECKED;

/* Reads and cuts a head, which must have been cleared. ERR_CORRUPT: malformed or too long. ERR_TRANSIENT: the
 * peer closed; nothing had come if head->raw is empty. */
bool head_read(struct http_stream *stream, struct http_head *head, struct err *err) CHECKED;
void head_clear(struct http_head *head);
/* The value of the first header of that name, or NULL. */
const char *head_value(const struct http_head *head, const char *name);
/* Whether a comma-separated header contains the token, in any case. */
bool head_has_token(const struct http_head *head, const char *name, const char *token);

/* How the body is framed, by the headers; without them `otherwise`. ERR_CORRUPT if they are ambiguous. */
bool body_begin(struct http_body *body, const struct http_head *head, enum http_body_kind otherwise,
                struct err *err) CHECKED;
/* Some bytes of the body; *ret_size 0 at its end. ERR_TRANSIENT: it was cut off, ERR_CORRUPT: bad framing. */
bool body_read(struct http_body *body, struct http_stream *stream, void *bytes, size_t size, size_t *ret_size,
               struct err *err) CHECKED;
/* Adds the rest of the body to *whole, up to its ceiling. */
bool body_read_whole(struct http_body *body, struct http_stream *stream, struct buf *whole,
                     struct err *err) CHECKED;

/* One chunk; nothing is sent for size 0, which would end the body. */
bool chunk_write(int fd, const void *bytes, size_t size, struct err *err) CHECKED;
bool chunk_end(int fd, struct err *err) CHECKED;

#endif
