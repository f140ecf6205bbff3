/* A blob object: a piece of a file, with a header that says how it is stored (docs/FORMAT.md, Blob). Pure. */
#ifndef SNAPSHOT_BLOB_H
#define SNAPSHOT_BLOB_H

#include "snapshot/codec.h"
#include "snapshot/digest.h"

enum { BLOB_RAW_MAX = 8 << 20, BLOB_SIZE_MAX = BLOB_RAW_MAX + 4096 };

/* Appends the object for raw (at most BLOB_RAW_MAX bytes): zstd where that saves at least 1/16, else as it
 * is. */
bool blob_encode(struct codec *codec, const void *raw, size_t raw_size, struct buf *object,
                 struct err *err) CHECKED;

/* Checks form, sizes and that the raw bytes have the hash `content`; appends them to *raw. ERR_CORRUPT. */
bool blob_decode(struct codec *codec, const struct buf *object, const struct digest *content,
                 uint32_t raw_bytes, struct buf *raw, struct err *err) CHECKED;

#endif
