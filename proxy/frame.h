/* Where WebSocket frames begin and end (RFC 6455, 5.2) in a stream of bytes that is otherwise only passed on,
 * so that a close frame of our own is put between two of the backend's and never into one. Pure. */
#ifndef PROXY_FRAME_H
#define PROXY_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_HEADER_MAX = 14 };

/* Zeroed memory stands at a boundary. */
struct frame_tracker {
    uint8_t header[FRAME_HEADER_MAX]; /* of the frame that has begun */
    uint8_t header_size;              /* bytes of it seen */
    uint64_t payload_left;
    uint64_t messages; /* data frames so far, by their headers: not pings, pongs and closes */
};

/* Moves past bytes[0..size). */
void frame_advance(struct frame_tracker *tracker, const uint8_t *bytes, size_t size);
/* True between two frames. */
bool frame_is_boundary(const struct frame_tracker *tracker);
/* How many bytes surely belong to the frame that has begun; at least 1 unless at a boundary. */
uint64_t frame_wanted(const struct frame_tracker *tracker);

#endif
