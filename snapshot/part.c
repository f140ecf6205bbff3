#include "snapshot/part.h"

#include <assert.h>
#include <string.h>

enum { MAGIC_SIZE = 8, FRAMES_AT = MAGIC_SIZE };

static const char magic[] = "HFPART01";

void part_begin(struct buf *object)
{
    assert(object->size == 0);
    buf_add(object, magic, MAGIC_SIZE);
    wire_add_u32(object, 0); /* the count of frames, filled in when the part is uploaded */
    wire_add_u32(object, 0);
}

bool part_upload(const struct part_owner *owner, struct buf *object, uint32_t frames, uint64_t *ret_n,
                 struct digest *ret_hash, struct err *err)
{
    uint64_t n = atomic_fetch_add(owner->next_n, 1);
    struct key key = key_part(owner->position, owner->owner, n);
    struct digest hash;

    assert(object->size > PART_HEADER_BYTES && frames > 0);
    for (int byte = 0; byte < 4; byte++)
        object->bytes[FRAMES_AT + byte] = (uint8_t)(frames >> (8 * byte));
    hash = digest_of(object->bytes, object->size);
    if (!store_put(owner->store, key.text, object->bytes, object->size, err))
        return err_wrap(err, "upload %s", key.text);
    *ret_n = n;
    *ret_hash = hash;
    return true;
}

bool part_is_sound(const struct buf *object, uint32_t frames)
{
    struct wire_reader reader = wire_reader_of(object->bytes, object->size);

    return object->size >= PART_HEADER_BYTES &&
           memcmp(wire_bytes(&reader, MAGIC_SIZE), magic, MAGIC_SIZE) == 0 && wire_u32(&reader) == frames;
}
