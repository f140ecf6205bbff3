/* zstd behind the contract of codec.h.
 *
 * Sizes come from formats, not from frames: a frame is decoded only if its own header announces exactly the
 * size that the object around it promised, so neither of the two can make us allocate or accept more than the
 * other says. */
#include "snapshot/codec.h"

#include <assert.h>
#include <string.h>
#include <zstd.h>

struct codec {
    ZSTD_CCtx *compressor; /* made on first use */
    ZSTD_DCtx *decompressor;
};

struct codec *codec_new(void)
{
    return xcalloc(1, sizeof(struct codec));
}

void codec_free(struct codec *codec)
{
    if (!codec)
        return;
    (void)ZSTD_freeCCtx(codec->compressor); /* these accept NULL and can't fail */
    (void)ZSTD_freeDCtx(codec->decompressor);
    free(codec);
}

size_t codec_bound(size_t size)
{
    return ZSTD_compressBound(size);
}

uint64_t codec_raw_max(size_t frame_size)
{
    enum { BLOCK_MAX = 128 << 10, BLOCK_STORED_MIN = 4 }; /* one byte, repeated: RFC 8878, 3.1.1.2 */

    return (frame_size / BLOCK_STORED_MIN + 1) * (uint64_t)BLOCK_MAX;
}

static bool make_compressor(struct codec *codec, int level, struct err *err)
{
    size_t result;

    if (!codec->compressor)
        codec->compressor = ZSTD_createCCtx();
    if (!codec->compressor)
        return err_set(err, ERR_SYSTEM, "zstd: no memory for a compressor");
    result = ZSTD_CCtx_setParameter(codec->compressor, ZSTD_c_compressionLevel, level);
    if (ZSTD_isError(result))
        return err_set(err, ERR_SYSTEM, "zstd: level %d: %s", level, ZSTD_getErrorName(result));
    return true;
}

bool codec_compress(struct codec *codec, int level, const void *raw, size_t raw_size, struct buf *frame,
                    struct err *err)
{
    size_t before = frame->size, room = codec_bound(raw_size), result;
    uint8_t *target;

    if (!make_compressor(codec, level, err))
        return false;
    if (room > frame->size_max - before)
        room = frame->size_max - before; /* what is compressed may fit where the worst case doesn't */
    target = buf_extend(frame, room);
    assert(target);
    result = ZSTD_compress2(codec->compressor, target, room, raw, raw_size);
    frame->size = before;
    if (ZSTD_isError(result))
        return err_set(err, ERR_SYSTEM, "zstd: compress %zu bytes into %zu: %s", raw_size, room,
                       ZSTD_getErrorName(result));
    assert(result <= room);
    frame->size += result;
    return true;
}

/* One frame, all of the bytes, of the announced size. Skippable frames and a second frame behind the first
 * decode without complaint otherwise. */
static bool check_frame(const void *frame, size_t frame_size, size_t raw_size, struct err *err)
{
    static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd}; /* RFC 8878, 3.1.1 */
    unsigned long long announced;

    if (frame_size < sizeof(magic) || memcmp(frame, magic, sizeof(magic)) != 0)
        return err_set(err, ERR_CORRUPT, "not a zstd frame");
    announced = ZSTD_getFrameContentSize(frame, frame_size);
    if (announced == ZSTD_CONTENTSIZE_UNKNOWN || announced == ZSTD_CONTENTSIZE_ERROR)
        return err_set(err, ERR_CORRUPT, "zstd frame without the size of its content");
    if (announced != raw_size)
        return err_set(err, ERR_CORRUPT, "zstd frame of %llu bytes where %zu are due", announced, raw_size);
    if (ZSTD_findFrameCompressedSize(frame, frame_size) != frame_size)
        return err_set(err, ERR_CORRUPT, "zstd frame that does not end where it should");
    return true;
}

bool codec_decompress(struct codec *codec, const void *frame, size_t frame_size, void *raw, size_t raw_size,
                      struct err *err)
{
    size_t result;

    if (!check_frame(frame, frame_size, raw_size, err))
        return false;
    if (!codec->decompressor)
        codec->decompressor = ZSTD_createDCtx();
    if (!codec->decompressor)
        return err_set(err, ERR_SYSTEM, "zstd: no memory for a decompressor");
    result = ZSTD_decompressDCtx(codec->decompressor, raw, raw_size, frame, frame_size);
    if (ZSTD_isError(result))
        return err_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(result));
    assert(result == raw_size); /* zstd compares the content with the size in the frame's header itself */
    return true;
}

const char *codec_version(void)
{
    return ZSTD_versionString();
}
