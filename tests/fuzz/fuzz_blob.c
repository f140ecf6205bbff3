/* Blobs. The hash of the content, which an object's name gives, is worked out here for whatever the object
 * holds; then it has to be accepted. Any input is also content, and has to come back. */
#include "tests/fuzz/fuzz.h"

#include "snapshot/blob.h"
#include "snapshot/wire.h"

#include <assert.h>
#include <string.h>

enum { HEADER_SIZE = 16, RAW_MAX = 1 << 20 };

static struct codec *codec; /* for the life of the process */

static uint32_t announced_by(const uint8_t *bytes, size_t size)
{
    struct wire_reader reader = wire_reader_of(bytes, size);

    (void)wire_bytes(&reader, HEADER_SIZE - sizeof(uint32_t));
    return wire_u32(&reader);
}

static void check_object(const uint8_t *bytes, size_t size)
{
    uint32_t raw_bytes = announced_by(bytes, size);
    CLEANUP(buf_clearp) struct buf raw = BUF_INIT(RAW_MAX);
    CLEANUP(freep) uint8_t *room = NULL, *copy = xmalloc(size);
    struct buf object = {.bytes = copy, .size = size};
    struct digest content = digest_of("", 0);
    struct err err = {0};
    bool is_plain = size >= HEADER_SIZE && raw_bytes == size - HEADER_SIZE;
    bool is_frame;

    if (raw_bytes > RAW_MAX) /* too slow, not too dangerous */
        return;
    room = xmalloc(raw_bytes);
    if (size > 0)
        memcpy(copy, bytes, size);
    is_frame = size >= HEADER_SIZE &&
               codec_decompress(codec, bytes + HEADER_SIZE, size - HEADER_SIZE, room, raw_bytes, &err);
    if (is_plain)
        content = digest_of(bytes + HEADER_SIZE, raw_bytes);
    if (is_frame && bytes[8] == 1)
        content = digest_of(room, raw_bytes);
    if (!blob_decode(codec, &object, &content, raw_bytes, &raw, &err)) {
        assert(raw.size == 0 && err.text[0] != '\0');
        return;
    }
    assert(is_plain || is_frame);
    assert(raw.size == raw_bytes);
}

static void check_content(const uint8_t *bytes, size_t size)
{
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX), raw = BUF_INIT(BLOB_RAW_MAX);
    struct digest content = digest_of(bytes, size);
    struct err err = {0};
    bool held;

    if (size > RAW_MAX)
        return;
    held = blob_encode(codec, bytes, size, &object, &err);
    assert(held && object.size <= size + HEADER_SIZE);
    held = blob_decode(codec, &object, &content, (uint32_t)size, &raw, &err);
    assert(held && raw.size == size && memcmp(raw.bytes, bytes, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (!codec)
        codec = codec_new();
    check_object(bytes, size);
    check_content(bytes, size);
    return 0;
}
