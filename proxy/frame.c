#include "proxy/frame.h"

#include <assert.h>

enum { MASKED = 0x80, LENGTH_BITS = 0x7f, LENGTH_16 = 126, LENGTH_64 = 127, MASK_SIZE = 4, CONTROL = 0x08 };

static size_t length_size(uint8_t second)
{
    switch (second & LENGTH_BITS) {
    case LENGTH_16:
        return 2;
    case LENGTH_64:
        return 8;
    default:
        return 0;
    }
}

/* Of the whole header, as far as the bytes seen tell. */
static size_t header_wanted(const struct frame_tracker *tracker)
{
    uint8_t second = tracker->header[1];

    if (tracker->header_size < 2)
        return 2;
    return 2 + length_size(second) + ((second & MASKED) ? MASK_SIZE : 0);
}

static uint64_t payload_size(const struct frame_tracker *tracker)
{
    size_t bytes = length_size(tracker->header[1]);
    uint64_t size = 0;

    if (bytes == 0)
        return tracker->header[1] & LENGTH_BITS;
    for (size_t at = 0; at < bytes; at++)
        size = size << 8 | tracker->header[2 + at];
    return size;
}

static void take_header_byte(struct frame_tracker *tracker, uint8_t byte)
{
    assert(tracker->header_size < FRAME_HEADER_MAX);
    tracker->header[tracker->header_size++] = byte;
    if (tracker->header_size < header_wanted(tracker))
        return;
    tracker->payload_left = payload_size(tracker);
    tracker->header_size = 0;
    if (!(tracker->header[0] & CONTROL))
        tracker->messages++;
}

void frame_advance(struct frame_tracker *tracker, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        if (tracker->payload_left == 0) {
            take_header_byte(tracker, bytes[at++]);
        } else {
            size_t taken = size - at;
            if (taken > tracker->payload_left)
                taken = (size_t)tracker->payload_left;
            tracker->payload_left -= taken;
            at += taken;
        }
    }
}

bool frame_is_boundary(const struct frame_tracker *tracker)
{
    return tracker->header_size == 0 && tracker->payload_left == 0;
}

uint64_t frame_wanted(const struct frame_tracker *tracker)
{
    if (tracker->payload_left > 0)
        return tracker->payload_left;
    return tracker->header_size > 0 ? header_wanted(tracker) - tracker->header_size : 0;
}
