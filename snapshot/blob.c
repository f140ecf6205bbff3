#include "snapshot/blob.h"

#include "snapshot/wire.h"

#include <assert.h>
#include <string.h>

enum {
    MAGIC_SIZE = 8,
    HEADER_SIZE = MAGIC_SIZE + 8,
    ENCODING_PLAIN = 0,
    ENCODING_ZSTD = 1,
    LEVEL = 3,
    WORTH_IT =
        16, /* zstd has to save one of so many bytes: less does not pay for decoding it at every restore */
};

static const char magic[] = "HFBLOB01";

static void add_header(uint32_t encoding, size_t raw_size, struct buf *object)
{
    buf_add(object, magic, MAGIC_SIZE);
    wire_add_u32(object, encoding);
    wire_add_u32(object, (uint32_t)raw_size);
}

bool blob_encode(struct codec *codec, const void *raw, size_t raw_size, struct buf *object, struct err *err)
{
    size_t before = object->size;

    assert(raw_size <= BLOB_RAW_MAX);
    add_header(ENCODING_ZSTD, raw_size, object);
    if (!buf_check(object, "a blob", err))
        return false;
    if (!codec_compress(codec, LEVEL, raw, raw_size, object, err))
        return err_wrap(err, "a blob");
    if (object->size - before - HEADER_SIZE <= raw_size - raw_size / WORTH_IT && raw_size > 0)
        return true;
    object->size = before;
    add_header(ENCODING_PLAIN, raw_size, object);
    buf_add(object, raw, raw_size);
    return buf_check(object, "a blob", err);
}

/* The bytes behind the header, decoded into room of exactly raw_bytes. */
static bool decode_content(struct codec *codec, uint32_t encoding, struct wire_reader *reader, void *room,
                           uint32_t raw_bytes, struct err *err)
{
    size_t size = wire_left(reader);
    const uint8_t *stored = wire_bytes(reader, size);

    if (encoding == ENCODING_ZSTD)
        return codec_decompress(codec, stored, size, room, raw_bytes, err);
    if (encoding != ENCODING_PLAIN)
        return err_set(err, ERR_CORRUPT, "encoding %u is unknown; a newer holdfast may know it", encoding);
    if (size != raw_bytes)
        return err_set(err, ERR_CORRUPT, "%zu bytes where its header says %u", size, raw_bytes);
    memcpy(room, stored, size);
    return true;
}

bool blob_decode(struct codec *codec, const struct buf *object, const struct digest *content,
                 uint32_t raw_bytes, struct buf *raw, struct err *err)
{
    struct wire_reader reader = wire_reader_of(object->bytes, object->size);
    const uint8_t *found_magic = wire_bytes(&reader, MAGIC_SIZE);
    uint32_t encoding = wire_u32(&reader), announced = wire_u32(&reader);
    size_t before = raw->size;
    struct digest found;
    uint8_t *room;

    if (reader.failed || memcmp(found_magic, magic, MAGIC_SIZE) != 0)
        return err_set(err, ERR_CORRUPT, "not a blob");
    if (announced != raw_bytes || raw_bytes > BLOB_RAW_MAX)
        return err_set(err, ERR_CORRUPT, "a blob of %u bytes where %u are due", announced, raw_bytes);
    room = buf_extend(raw, raw_bytes);
    if (!room)
        return buf_check(raw, "the content of a blob", err);
    raw->size = before; /* until the content has proved itself */
    if (!decode_content(codec, encoding, &reader, room, raw_bytes, err))
        return err_wrap(err, "a blob");
    found = digest_of(room, raw_bytes);
    if (!digest_equal(&found, content))
        return err_set(err, ERR_CORRUPT, "a blob whose content does not have the hash in its name");
    raw->size += raw_bytes;
    return true;
}
