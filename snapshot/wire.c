#include "snapshot/wire.h"

#include <assert.h>
#include <string.h>

struct wire_reader wire_reader_of(const void *bytes, size_t size)
{
    static const uint8_t nothing[1];

    assert(bytes || size == 0);
    if (size == 0)
        bytes = nothing; /* so that NULL always means failure */
    return (struct wire_reader){.at = bytes, .end = (const uint8_t *)bytes + size};
}

size_t wire_left(const struct wire_reader *reader)
{
    return reader->failed ? 0 : (size_t)(reader->end - reader->at);
}

const uint8_t *wire_bytes(struct wire_reader *reader, size_t size)
{
    const uint8_t *bytes = reader->at;

    assert(reader->at <= reader->end);
    if (reader->failed || size > (size_t)(reader->end - reader->at)) {
        reader->failed = true;
        return NULL;
    }
    reader->at += size;
    return bytes;
}

static uint64_t read_integer(struct wire_reader *reader, size_t size)
{
    const uint8_t *bytes = wire_bytes(reader, size);
    uint64_t value = 0;

    for (size_t at = bytes ? size : 0; at > 0; at--)
        value = value << 8 | bytes[at - 1];
    return value;
}

uint8_t wire_u8(struct wire_reader *reader)
{
    return (uint8_t)read_integer(reader, sizeof(uint8_t));
}

uint16_t wire_u16(struct wire_reader *reader)
{
    return (uint16_t)read_integer(reader, sizeof(uint16_t));
}

uint32_t wire_u32(struct wire_reader *reader)
{
    return (uint32_t)read_integer(reader, sizeof(uint32_t));
}

uint64_t wire_u64(struct wire_reader *reader)
{
    return read_integer(reader, sizeof(uint64_t));
}

void wire_copy(struct wire_reader *reader, void *target, size_t size)
{
    const uint8_t *bytes = wire_bytes(reader, size);

    if (bytes)
        memcpy(target, bytes, size);
    else
        memset(target, 0, size);
}

const char *wire_str(struct wire_reader *reader, size_t *ret_size)
{
    size_t size = wire_u16(reader);
    const uint8_t *text = wire_bytes(reader, size);

    if (text && memchr(text, '\0', size))
        reader->failed = true;
    *ret_size = reader->failed ? 0 : size;
    return reader->failed ? "" : (const char *)text;
}

bool wire_done(const struct wire_reader *reader)
{
    return !reader->failed && reader->at == reader->end;
}

static void add_integer(struct buf *buf, uint64_t value, size_t size)
{
    uint8_t bytes[sizeof(value)];

    assert(size == sizeof(value) || value >> (8 * size) == 0);
    for (size_t at = 0; at < size; at++)
        bytes[at] = (uint8_t)(value >> (8 * at));
    buf_add(buf, bytes, size);
}

void wire_add_u8(struct buf *buf, uint8_t value)
{
    add_integer(buf, value, sizeof(value));
}

void wire_add_u16(struct buf *buf, uint16_t value)
{
    add_integer(buf, value, sizeof(value));
}

void wire_add_u32(struct buf *buf, uint32_t value)
{
    add_integer(buf, value, sizeof(value));
}

void wire_add_u64(struct buf *buf, uint64_t value)
{
    add_integer(buf, value, sizeof(value));
}

void wire_add_str(struct buf *buf, const char *text, size_t size)
{
    assert(size <= UINT16_MAX);
    wire_add_u16(buf, (uint16_t)size);
    buf_add(buf, text, size);
}
