/* A run of changed pages as one zstd frame, with the same pages' previous images as its prefix
 * (docs/FORMAT.md, Data record).
 *
 * One prefix for the whole run is what matters: content repeats across the pages of a commit (a row, its
 * index keys, page splits). 2332 commits of 19.6 pages on a Convex-like database of 256 MB took 1.7 KB each,
 * 3.6 KB page by page, 26 KB without previous images; the log itself had 80.7 KB. Pure; a codec belongs to
 * one thread at a time. */
#ifndef SNAPSHOT_DELTA_H
#define SNAPSHOT_DELTA_H

#include "snapshot/codec.h"

enum {
    DELTA_PAGES_MAX = 1024,                   /* of a run */
    DELTA_BYTES_MAX = 4 << 20,                /* of a run's images: what both sides hold in memory, twice */
    DELTA_FRAME_MAX = (4 << 20) + (64 << 10), /* stored; zstd's worst case is 16 KiB */
};

/* Most pages of one run: 1024, fewer of pages above 4 KiB. page_size is a power of two, 512 to 65536. */
uint32_t delta_pages_max(uint32_t page_size);

/* Appends one frame that turns `previous` (the images before, of those of the pages that existed, in order;
 * size 0: none did) into the `size` bytes of images. At most DELTA_BYTES_MAX each (asserted). ERR_SYSTEM. */
bool delta_encode(struct codec *codec, const void *images, size_t size, struct codec_prefix previous,
                  struct buf *frame, struct err *err) CHECKED;
/* Decodes a frame that must give exactly `size` bytes. ERR_CORRUPT otherwise. Other previous images than
 * those it was made of give other bytes without a word: the rolling hash tells (apply.h). */
bool delta_decode(struct codec *codec, const void *frame, size_t frame_size, struct codec_prefix previous,
                  void *images, size_t size, struct err *err) CHECKED;

#endif
