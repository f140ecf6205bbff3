/* zstd, in one shot. The one file that includes <zstd.h> is codec.c.
 *
 * Contexts are costly to make and hold much memory; a codec is one pair of them, used by one thread at a
 * time, freed when the work is done so that an idle process gives the memory back. */
#ifndef SNAPSHOT_CODEC_H
#define SNAPSHOT_CODEC_H

#include "base/buf.h"
#include "base/cleanup.h"

struct codec;

struct codec *codec_new(void);
void codec_free(struct codec *codec);
DEFINE_CLEANUP(struct codec *, codec_free, codec_freep)

/* Most bytes that compressing `size` may give. */
size_t codec_bound(size_t size);
/* Most bytes that a frame of `frame_size` can decode to: what it claims is held against this before memory is
 * taken. */
uint64_t codec_raw_max(size_t frame_size);
/* Compresses at `level` (3 is the usual one) and appends one frame, with its content size in it. ERR_SYSTEM.
 */
bool codec_compress(struct codec *codec, int level, const void *raw, size_t raw_size, struct buf *frame,
                    struct err *err) CHECKED;
/* Decodes one frame that must give exactly raw_size bytes into raw. ERR_CORRUPT otherwise. */
bool codec_decompress(struct codec *codec, const void *frame, size_t frame_size, void *raw, size_t raw_size,
                      struct err *err) CHECKED;

/* Bytes that both sides of a frame know already; borrowed for the call. None: size 0. */
struct codec_prefix {
    const void *bytes;
    size_t size;
};

/* As codec_compress() at level 3, but what repeats the prefix costs next to nothing. The frame's matches
 * reach over all of prefix and raw. Where the tables of the level are too small to find
 * what lies so far back, long-distance matching is switched on. At most 128 MiB together (asserted).
 * ERR_SYSTEM. */
bool codec_compress_against(struct codec *codec, struct codec_prefix prefix, const void *raw, size_t raw_size,
                            struct buf *frame, struct err *err) CHECKED;
/* As codec_decompress(), with the prefix that the frame was made against: with another one it gives other
 * bytes, or ERR_CORRUPT. */
bool codec_decompress_against(struct codec *codec, struct codec_prefix prefix, const void *frame,
                              size_t frame_size, void *raw, size_t raw_size, struct err *err) CHECKED;

/* "1.5.4": the library that is loaded. */
const char *codec_version(void);

#endif
