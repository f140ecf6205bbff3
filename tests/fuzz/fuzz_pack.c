/* Packs. What is accepted has each of its records inside its own bytes. */
#include "tests/fuzz/fuzz.h"

#include "snapshot/pack.h"
#include "tests/fuzz/reseal.h"

#include <assert.h>

static void check_pack(const uint8_t *bytes, size_t size)
{
    struct wire_reader reader = wire_reader_of(bytes, size);
    struct pack pack;
    struct err err = {0};
    uint64_t first, last, end = 0;

    (void)wire_u64(&reader);
    first = wire_u64(&reader);
    last = wire_u64(&reader);
    if (first == 0 || last < first)
        return; /* no key says so */
    if (!pack_open(first, last, bytes, size, &pack, &err)) {
        assert(err.code == ERR_CORRUPT && err.text[0] != '\0');
        return;
    }
    for (uint64_t position = first; position <= last; position++) {
        size_t record_size = 0;
        const uint8_t *record = pack_find(&pack, position, &record_size);
        assert(record >= bytes + end && record + record_size <= bytes + size - HASH_SIZE);
        end = (uint64_t)(record - bytes) + record_size;
    }
    assert(end == size - HASH_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    CLEANUP(freep) uint8_t *sealed = reseal(bytes, size);

    check_pack(bytes, size);
    check_pack(sealed, size);
    return 0;
}
