/* Both ends of TCP connections, for tests: blocking, byte for byte, and never for longer than
 * PEER_PATIENCE_S. What can't happen in a sane test run aborts. */
#ifndef TESTS_DOUBLE_PEER_H
#define TESTS_DOUBLE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PEER_PATIENCE_S = 20, PEER_HEAD_MAX = 64 * 1024 };

/* Listens on a port of 127.0.0.1 that the kernel chose. */
int peer_listen(uint16_t *ret_port);
int peer_accept(int listener_fd);
int peer_connect(uint16_t port);
/* Connects and sends. */
int peer_ask(uint16_t port, const char *text);

/* True if everything was taken. */
bool peer_send(int fd, const void *bytes, size_t size);
bool peer_say(int fd, const char *text);

/* The next head, with its empty line, terminated; "" if the connection ended before. Static memory, until the
 * next call. */
const char *peer_head(int fd);
/* Exactly size bytes, terminated; what came until the end if it is less. Static memory, until the next call.
 */
const char *peer_bytes(int fd, size_t size);
/* Everything up to the end of the connection, be it orderly or a reset. */
const char *peer_rest(int fd);
/* True if the other end has closed: nothing more, orderly or by a reset. Waits. */
bool peer_ends(int fd);
/* True if there is nothing to read now. */
bool peer_is_silent(int fd);
/* True if part is in text; says so if not. */
bool peer_has(const char *text, const char *part);
/* True if it is not, in whatever case; says so if it is. */
bool peer_lacks(const char *text, const char *part);

#endif
