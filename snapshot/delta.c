#include "snapshot/delta.h"

#include "snapshot/pagehash.h"

#include <assert.h>

uint32_t delta_pages_max(uint32_t page_size)
{
    assert(pagehash_is_page_size(page_size));
    return page_size > DELTA_BYTES_MAX / DELTA_PAGES_MAX ? DELTA_BYTES_MAX / page_size : DELTA_PAGES_MAX;
}

bool delta_encode(struct codec *codec, const void *images, size_t size, struct codec_prefix previous,
                  struct buf *frame, struct err *err)
{
    size_t before = frame->size;

    assert(size > 0 && size <= DELTA_BYTES_MAX && previous.size <= size);
    if (!codec_compress_against(codec, previous, images, size, frame, err))
        return err_wrap(err, "a delta");
    assert(frame->size - before <= DELTA_FRAME_MAX);
    return true;
}

bool delta_decode(struct codec *codec, const void *frame, size_t frame_size, struct codec_prefix previous,
                  void *images, size_t size, struct err *err)
{
    assert(size > 0 && size <= DELTA_BYTES_MAX && previous.size <= size);
    if (!codec_decompress_against(codec, previous, frame, frame_size, images, size, err))
        return err_wrap(err, "a delta");
    return true;
}
