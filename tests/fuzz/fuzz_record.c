/* Records and their bodies. What is accepted says all that its bytes say: written again it gives them back.
 */
#include "tests/fuzz/fuzz.h"

#include "snapshot/record.h"
#include "tests/fuzz/reseal.h"

#include <assert.h>

static void check_base_body(const uint8_t *bytes, size_t size)
{
    CLEANUP(buf_clearp) struct buf again = BUF_INIT(RECORD_SIZE_MAX);
    struct base_body body;
    struct err err = {0};

    if (!base_body_decode(bytes, size, &body, &err)) {
        assert(err.code == ERR_CORRUPT && err.text[0] != '\0');
        return;
    }
    base_body_encode(&body, &again);
    assert(again.size == size && memcmp(again.bytes, bytes, size) == 0);
    base_body_clear(&body);
}

static void check_small_bodies(const uint8_t *bytes, size_t size)
{
    CLEANUP(buf_clearp) struct buf again = BUF_INIT(RECORD_SIZE_MAX);
    struct open_body open;
    uint64_t until_ns = 0;
    struct err err = {0};

    if (open_body_decode(bytes, size, &open, &err)) {
        open_body_encode(open.version, open.host, &again);
        assert(again.size == size && memcmp(again.bytes, bytes, size) == 0);
    }
    if (drain_body_decode(bytes, size, &until_ns, &err))
        assert(size == sizeof(until_ns));
}

static void check_record(const uint8_t *bytes, size_t size)
{
    CLEANUP(buf_clearp) struct buf again = BUF_INIT(RECORD_SIZE_MAX);
    struct base_body body;
    struct record record;
    struct digest hash;
    struct err err = {0};

    if (!record_decode(bytes, size, &record, &err)) {
        assert(err.code == ERR_CORRUPT && err.text[0] != '\0');
        return;
    }
    record_encode(&record.header, record.body, record.body_size, &again, &hash);
    assert(again.size == size && memcmp(again.bytes, bytes, size) == 0);
    assert(digest_equal(&hash, &record.hash));
    check_base_body(record.body, record.body_size);
    check_small_bodies(record.body, record.body_size);
    if (record.header.kind == RECORD_BASE && record_base_body(&record, &body, &err))
        base_body_clear(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    CLEANUP(freep) uint8_t *sealed = reseal(bytes, size), *sized = reseal_with_size(bytes, size);

    check_record(bytes, size);
    check_record(sealed, size);
    check_record(sized, size);
    check_base_body(bytes, size);
    check_small_bodies(bytes, size);
    return 0;
}
