/* The headers of a -wal file. */
#include "snapshot/wal_file.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t padded[WAL_FILE_HEADER_SIZE + WAL_FRAME_HEADER_SIZE] = {0};
    struct wal_file_header header;
    struct wal_frame_header frame;
    struct err err;

    memcpy(padded, bytes, size < sizeof(padded) ? size : sizeof(padded));
    wal_file_parse_frame(padded + WAL_FILE_HEADER_SIZE, &frame);
    if (!wal_file_parse_header(padded, &header, &err))
        return 0;
    assert(header.page_size >= 512 && header.page_size <= 65536);
    assert(wal_file_frame_offset(2, header.page_size) ==
           WAL_FILE_HEADER_SIZE + WAL_FRAME_HEADER_SIZE + header.page_size);
    return 0;
}
