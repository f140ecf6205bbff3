/* Bytes in, bytes out: little-endian integers with lengths before data (docs/FORMAT.md).
 *
 * The reader never runs past its end: the first field that doesn't fit sets `failed`, and everything read
 * after that is zero or empty. A parser reads its fields straight down and looks once. Not thread-safe; no
 * allocation in the reader. */
#ifndef SNAPSHOT_WIRE_H
#define SNAPSHOT_WIRE_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

enum { FORMAT_VERSION = 1, ID_SIZE = 16, HASH_SIZE = 32 };

struct id {
    uint8_t bytes[ID_SIZE];
};

struct wire_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

struct wire_reader wire_reader_of(const void *bytes, size_t size);
uint8_t wire_u8(struct wire_reader *reader);
uint16_t wire_u16(struct wire_reader *reader);
uint32_t wire_u32(struct wire_reader *reader);
uint64_t wire_u64(struct wire_reader *reader);
/* size bytes inside the input, or NULL after failure; valid as long as the input. */
const uint8_t *wire_bytes(struct wire_reader *reader, size_t size);
/* A str, not terminated: sets *ret_size; fails on a NUL inside. Empty, never NULL, after failure. */
const char *wire_str(struct wire_reader *reader, size_t *ret_size);
/* Fills target, an object of fixed size; zeros after failure. */
void wire_copy(struct wire_reader *reader, void *target, size_t size);
/* Bytes not read yet; 0 after failure. A count is held against this before anything is allocated for it. */
size_t wire_left(const struct wire_reader *reader);
/* All was read, and nothing is left over. */
bool wire_done(const struct wire_reader *reader);

void wire_add_u8(struct buf *buf, uint8_t value);
void wire_add_u16(struct buf *buf, uint16_t value);
void wire_add_u32(struct buf *buf, uint32_t value);
void wire_add_u64(struct buf *buf, uint64_t value);
/* At most 65535 bytes (asserted). */
void wire_add_str(struct buf *buf, const char *text, size_t size);

#endif
