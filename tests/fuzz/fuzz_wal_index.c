/* The mapped header of a wal-index: whatever another process leaves there. */
#include "snapshot/wal_index.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint32_t words[WAL_INDEX_WORDS] = {0};
    struct wal_index index;

    memcpy(words, bytes, size < sizeof(words) ? size : sizeof(words));
    if (!wal_index_parse(words, &index))
        return 0;
    assert(index.backfilled <= index.header.frames);
    assert(index.header.page_size <= 65536 && (index.header.page_size & (index.header.page_size - 1)) == 0);
    assert(index.header.page_size >= 512 || (index.header.page_size == 0 && index.header.frames == 0));
    assert(!wal_index_moved(&index.header, &index.header));
    return 0;
}
