/* zstd behind the contract of codec.h.
 *
 * Sizes come from formats, not from frames: a frame is decoded only if its own header announces exactly the
 * size that the object around it promised, so neither of the two can make us allocate or accept more than the
 * other says. */
#include "snapshot/codec.h"

#include <assert.h>
#include <string.h>
#include <zstd.h>

enum {
    PREFIX_LEVEL = 3,           /* 9 saves a tenth at nine times the work; level 1 loses what lies far back */
    NEAR_BYTES_MAX = 640 << 10, /* of content: 160 pages of 4 KiB. Above, level 3 misses most of the prefix */
    WINDOW_LOG_MIN = 10,        /* ZSTD_WINDOWLOG_MIN */
    WINDOW_LOG_MAX = 27,
};

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

/* What of zstd's settings is ours to choose; 0 leaves it to the level. */
struct settings {
    int level;
    int window_log;
    int long_distance;
};

static bool set_parameter(struct codec *codec, ZSTD_cParameter parameter, int value, struct err *err)
{
    size_t result = ZSTD_CCtx_setParameter(codec->compressor, parameter, value);

    if (ZSTD_isError(result))
        return err_set(err, ERR_SYSTEM, "zstd: parameter %d = %d: %s", (int)parameter, value,
                       ZSTD_getErrorName(result));
    return true;
}

/* Each call begins anew: neither the settings nor the prefix of the one before may be left, even if it
 * failed. */
static bool make_compressor(struct codec *codec, const struct settings *settings, struct err *err)
{
    if (!codec->compressor)
        codec->compressor = ZSTD_createCCtx();
    if (!codec->compressor)
        return err_set(err, ERR_SYSTEM, "zstd: no memory for a compressor");
    (void)ZSTD_CCtx_reset(codec->compressor, ZSTD_reset_session_and_parameters); /* can't fail with a session
                                                                                    reset */
    return set_parameter(codec, ZSTD_c_compressionLevel, settings->level, err) &&
           set_parameter(codec, ZSTD_c_windowLog, settings->window_log, err) &&
           set_parameter(codec, ZSTD_c_enableLongDistanceMatching, settings->long_distance, err);
}

static bool compress(struct codec *codec, const void *raw, size_t raw_size, struct buf *frame,
                     struct err *err)
{
    size_t before = frame->size, room = codec_bound(raw_size), result;
    uint8_t *target;

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

bool codec_compress(struct codec *codec, int level, const void *raw, size_t raw_size, struct buf *frame,
                    struct err *err)
{
    const struct settings settings = {.level = level};

    return make_compressor(codec, &settings, err) && compress(codec, raw, raw_size, frame, err);
}

/* Whatever lies in the prefix can be named from the last byte of the content. */
static int window_log_of(size_t size)
{
    int log = WINDOW_LOG_MIN;

    while (log < WINDOW_LOG_MAX && (size_t)1 << log < size)
        log++;
    assert((size_t)1 << log >= size);
    return log;
}

bool codec_compress_against(struct codec *codec, struct codec_prefix prefix, const void *raw, size_t raw_size,
                            struct buf *frame, struct err *err)
{
    const struct settings settings = {
        .level = PREFIX_LEVEL,
        .window_log = window_log_of(prefix.size + raw_size),
        .long_distance = raw_size > NEAR_BYTES_MAX,
    };
    size_t result;

    if (!make_compressor(codec, &settings, err))
        return false;
    result = ZSTD_CCtx_refPrefix(codec->compressor, prefix.bytes, prefix.size);
    if (ZSTD_isError(result))
        return err_set(err, ERR_SYSTEM, "zstd: prefix of %zu bytes: %s", prefix.size,
                       ZSTD_getErrorName(result));
    return compress(codec, raw, raw_size, frame, err);
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

/* zstd takes what begins with this, and is not tiny, for a dictionary with tables of its own (RFC 8878, 5),
 * unless it is told otherwise. */
static bool looks_like_dictionary(struct codec_prefix prefix)
{
    static const uint8_t magic[] = {0x37, 0xa4, 0x30, 0xec};

    return prefix.size >= sizeof(magic) && memcmp(prefix.bytes, magic, sizeof(magic)) == 0;
}

/* In one shot no window is allocated, so the limit of the streaming decoder does not apply. */
static size_t decompress(struct codec *codec, struct codec_prefix prefix, const void *frame,
                         size_t frame_size, void *raw, size_t raw_size)
{
    size_t result;

    /* A prefix that is told to be one costs zstd an object of its own, each time. */
    if (!looks_like_dictionary(prefix))
        return ZSTD_decompress_usingDict(codec->decompressor, raw, raw_size, frame, frame_size, prefix.bytes,
                                         prefix.size);
    result = ZSTD_DCtx_refPrefix(codec->decompressor, prefix.bytes, prefix.size);
    return ZSTD_isError(result) ? result
                                : ZSTD_decompressDCtx(codec->decompressor, raw, raw_size, frame, frame_size);
}

bool codec_decompress_against(struct codec *codec, struct codec_prefix prefix, const void *frame,
                              size_t frame_size, void *raw, size_t raw_size, struct err *err)
{
    size_t result;

    if (!check_frame(frame, frame_size, raw_size, err))
        return false;
    if (!codec->decompressor)
        codec->decompressor = ZSTD_createDCtx();
    if (!codec->decompressor)
        return err_set(err, ERR_SYSTEM, "zstd: no memory for a decompressor");
    result = decompress(codec, prefix, frame, frame_size, raw, raw_size);
    if (ZSTD_isError(result))
        return err_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(result));
    assert(result == raw_size); /* zstd compares the content with the size in the frame's header itself */
    return true;
}

bool codec_decompress(struct codec *codec, const void *frame, size_t frame_size, void *raw, size_t raw_size,
                      struct err *err)
{
    return codec_decompress_against(codec, (struct codec_prefix){0}, frame, frame_size, raw, raw_size, err);
}

const char *codec_version(void)
{
    return ZSTD_versionString();
}
