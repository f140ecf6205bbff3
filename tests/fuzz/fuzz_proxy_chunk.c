/* The chunked coding: in one piece, and byte by byte, which has to give the same. */
#include "tests/fuzz/fuzz.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "proxy/chunk.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *given, size_t size)
{
    CLEANUP(freep) uint8_t *whole = xmalloc(size + 1);
    CLEANUP(freep) uint8_t *pieces = xmalloc(size + 1);
    struct chunk_decoder decoder = {0}, other = {0};
    size_t used = 0, decoded, at = 0, decoded_in_pieces = 0;

    memcpy(whole, given, size);
    decoded = chunk_decode(&decoder, whole, size, &used);
    assert(decoded <= used && used <= size);
    while (at < size && other.state != CHUNK_END && other.state != CHUNK_BAD) {
        uint8_t byte = given[at];
        size_t one = 0;
        if (chunk_decode(&other, &byte, 1, &one) == 1)
            pieces[decoded_in_pieces++] = byte;
        at += one;
    }
    assert(at == used && other.state == decoder.state && decoded_in_pieces == decoded);
    assert(memcmp(whole, pieces, decoded) == 0);
    return 0;
}
