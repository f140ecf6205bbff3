#include "proxy/frame.h"

#include "tests/tap.h"

static uint8_t bytes[200 * 1024];

/* Writes the head of a frame with a payload of that size; returns how many bytes the whole frame has. */
static size_t write_frame(uint64_t payload, unsigned length_bytes, bool masked)
{
    size_t at = 2;

    memset(bytes, 0xff, sizeof(bytes)); /* a payload that looks like heads of large frames */
    bytes[0] = 0x82;
    bytes[1] = (uint8_t)(length_bytes == 0 ? payload : length_bytes == 2 ? 126 : 127);
    for (unsigned left = length_bytes; left > 0; left--)
        bytes[at++] = (uint8_t)(payload >> (8 * (left - 1)));
    if (masked)
        bytes[1] |= 0x80;
    return at + (masked ? 4 : 0) + (size_t)payload;
}

static const struct {
    uint64_t payload;
    unsigned length_bytes;
    bool masked;
} frames[] = {
    {0, 0, false},    {0, 0, true},      {1, 0, false},     {125, 0, true}, {126, 2, false}, {300, 2, true},
    {65535, 2, true}, {65536, 8, false}, {150000, 8, true}, {0, 2, false}, /* longer than needed */
    {10, 8, false},
};

TEST(a_boundary_is_after_a_frame_and_nowhere_in_it)
{
    for (size_t at = 0; at < sizeof(frames) / sizeof(frames[0]); at++) {
        struct frame_tracker tracker = {0};
        size_t size = write_frame(frames[at].payload, frames[at].length_bytes, frames[at].masked);
        EXPECT(frame_is_boundary(&tracker));
        for (size_t byte = 0; byte < size; byte++) {
            uint64_t wanted;
            frame_advance(&tracker, bytes + byte, 1);
            wanted = frame_wanted(&tracker);
            if (frame_is_boundary(&tracker) != (byte + 1 == size) || wanted > size - byte - 1 ||
                (wanted == 0) != (byte + 1 == size)) {
                EXPECT(byte == SIZE_MAX);
                printf("#   frame %zu, byte %zu: the boundary is not where it ends\n", at, byte);
                break;
            }
        }
    }
}

TEST(the_pieces_do_not_matter)
{
    for (size_t at = 0; at < sizeof(frames) / sizeof(frames[0]); at++) {
        size_t size = write_frame(frames[at].payload, frames[at].length_bytes, frames[at].masked);
        for (size_t piece = 1; piece < size; piece = piece * 5 + 2) {
            struct frame_tracker tracker = {0};
            for (size_t from = 0; from < size; from += piece)
                frame_advance(&tracker, bytes + from, size - from < piece ? size - from : piece);
            EXPECT(frame_is_boundary(&tracker));
        }
    }
}

TEST(reading_only_what_is_wanted_stops_at_the_boundary)
{
    struct frame_tracker tracker = {0};
    size_t size = write_frame(70000, 8, true), read = 1;

    frame_advance(&tracker, bytes, 1);
    while (!frame_is_boundary(&tracker)) {
        size_t wanted = (size_t)frame_wanted(&tracker);
        frame_advance(&tracker, bytes + read, wanted);
        read += wanted;
    }
    EXPECT_INT(read, size);
}

TEST(messages_are_counted_and_pings_are_not)
{
    static const uint8_t first_bytes[] = {0x81, 0x89, 0x82, 0x8a, 0x88, 0x02, 0x80};
    struct frame_tracker tracker = {0};

    for (size_t at = 0; at < sizeof(first_bytes); at++) {
        size_t size = write_frame(30, 0, true);
        bytes[0] = first_bytes[at];
        frame_advance(&tracker, bytes, size);
    }
    EXPECT_INT(tracker.messages, 4); /* text, binary, and the two pieces of one */
}

TAP_MAIN()
