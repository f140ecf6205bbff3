#include "snapshot/pack.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAGIC_SIZE = 8, HEADER_SIZE = MAGIC_SIZE + 16, SIZE_BYTES = 8 };

static const char magic[] = "HFPACK01";

void pack_begin(struct buf *object, uint64_t first, const uint64_t *sizes, size_t count)
{
    uint64_t bytes = 0;

    assert(object->size == 0 && first > 0 && count >= 2 && count <= PACK_RECORDS_MAX);
    buf_add(object, magic, MAGIC_SIZE);
    wire_add_u64(object, first);
    wire_add_u64(object, first + count - 1);
    for (size_t at = 0; at < count; at++) {
        wire_add_u64(object, sizes[at]);
        bytes += sizes[at];
    }
    assert(bytes <= PACK_BYTES_MAX);
}

void pack_add(struct buf *object, const struct record *record)
{
    buf_add(object, record->bytes, record->size);
}

void pack_end(struct buf *object)
{
    struct digest hash = digest_of(object->bytes, object->size);

    buf_add(object, hash.bytes, HASH_SIZE);
}

/* Whether the sizes fill the room exactly. */
static bool sizes_add_up(struct wire_reader *reader, uint64_t count, uint64_t room)
{
    uint64_t bytes = 0;

    for (uint64_t at = 0; at < count; at++) {
        uint64_t size = wire_u64(reader);
        if (size > room - bytes)
            return false;
        bytes += size;
    }
    return !reader->failed && bytes == room;
}

static const char *broken_rule(uint64_t first, uint64_t last, const uint8_t *bytes, size_t size)
{
    struct wire_reader reader = wire_reader_of(bytes, size);
    uint64_t count = last - first + 1, head = HEADER_SIZE + count * SIZE_BYTES;
    struct digest hash;

    assert(first > 0 && first <= last);
    if (size < HEADER_SIZE + HASH_SIZE || memcmp(wire_bytes(&reader, MAGIC_SIZE), magic, MAGIC_SIZE) != 0)
        return "it is no pack";
    hash = digest_of(bytes, size - HASH_SIZE);
    if (memcmp(hash.bytes, bytes + size - HASH_SIZE, HASH_SIZE) != 0)
        return "it is damaged: it does not match its own hash";
    if (wire_u64(&reader) != first || wire_u64(&reader) != last)
        return "it holds other records than its key says";
    if (count > PACK_RECORDS_MAX || size < head + HASH_SIZE)
        return "it holds more records than a pack can";
    return sizes_add_up(&reader, count, size - head - HASH_SIZE) ? NULL : "its records have other sizes";
}

bool pack_open(uint64_t first, uint64_t last, const void *bytes, size_t size, struct pack *ret_pack,
               struct err *err)
{
    const char *rule = broken_rule(first, last, bytes, size);
    const uint8_t *start = bytes;

    if (rule)
        return err_set(err, ERR_CORRUPT, "%s: %s", key_pack(first, last).text, rule);
    *ret_pack = (struct pack){.first = first,
                              .last = last,
                              .sizes = start + HEADER_SIZE,
                              .records = start + HEADER_SIZE + (last - first + 1) * SIZE_BYTES};
    return true;
}

const uint8_t *pack_find(const struct pack *pack, uint64_t position, size_t *ret_size)
{
    uint64_t before = position - pack->first;
    struct wire_reader sizes = wire_reader_of(pack->sizes, (size_t)(before + 1) * SIZE_BYTES);
    const uint8_t *record = pack->records;

    assert(position >= pack->first && position <= pack->last);
    for (uint64_t at = 0; at < before; at++)
        record += wire_u64(&sizes);
    *ret_size = (size_t)wire_u64(&sizes);
    return record;
}

struct key pack_search_key(uint64_t position)
{
    struct key key;
    uint64_t newest = position < UINT64_MAX - PACK_RECORDS_MAX ? position + PACK_RECORDS_MAX : UINT64_MAX;

    /* The bare position sorts before the keys that begin with it. */
    (void)snprintf(key.text, sizeof(key.text), "pack/%016" PRIx64, UINT64_MAX - newest);
    return key;
}
