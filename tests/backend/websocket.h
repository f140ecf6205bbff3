/* The WebSocket protocol on the server's side (RFC 6455), without extensions. One thread for each socket. */
#ifndef TESTS_BACKEND_WEBSOCKET_H
#define TESTS_BACKEND_WEBSOCKET_H

#include "tests/backend/http.h"

enum { WEBSOCKET_MESSAGE_MAX = 64 * 1024 * 1024, WEBSOCKET_CONTROL_MAX = 125 };

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10,
};

/* A whole message, its fragments joined, or a control frame. */
struct websocket_message {
    enum websocket_opcode opcode;
    struct buf payload;
};

/* A message whose fragments are still coming; zeroed memory at first. */
struct websocket_reader {
    struct buf message;
    enum websocket_opcode opcode; /* CONTINUATION: none has begun */
};

/* Checks the handshake and answers 101. ERR_CORRUPT: not a valid one, nothing was sent. */
bool websocket_accept(struct http_stream *stream, const struct http_head *head, struct err *err) CHECKED;

/* The next message or control frame, which may come between a message's fragments. ret_message->payload must
 * be empty and have a ceiling. ERR_CORRUPT: the peer broke the protocol (close with 1002); ERR_TRANSIENT: the
 * connection ended without a close frame (1006). */
bool websocket_read(struct http_stream *stream, struct websocket_reader *reader,
                    struct websocket_message *ret_message, struct err *err) CHECKED;

bool websocket_write(int fd, enum websocket_opcode opcode, const void *bytes, size_t size,
                     struct err *err) CHECKED;
bool websocket_write_close(int fd, unsigned code, const char *reason, struct err *err) CHECKED;

/* The code of a close frame's payload: 1005 if it has none. */
unsigned websocket_close_code(const struct buf *payload);

#endif
