/* WebSocket frames: the boundary may not depend on the pieces, and what is wanted never goes past it. */
#include "tests/fuzz/fuzz.h"

#include "proxy/frame.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *given, size_t size)
{
    struct frame_tracker whole = {0}, bytewise = {0};
    uint64_t safe = 0; /* bytes that were said to belong to the frame */

    frame_advance(&whole, given, size);
    for (size_t at = 0; at < size; at++) {
        assert(safe == 0 || !frame_is_boundary(&bytewise));
        frame_advance(&bytewise, given + at, 1);
        safe = safe > 0 ? safe - 1 : 0;
        if (frame_wanted(&bytewise) > safe)
            safe = frame_wanted(&bytewise);
        assert(frame_is_boundary(&bytewise) == (frame_wanted(&bytewise) == 0));
    }
    assert(memcmp(&whole, &bytewise, sizeof(whole)) == 0);
    return 0;
}
