/* Makes the hash of a mutated record or manifest right again: no fuzzer finds a SHA-256, and behind it is
 * what reads lengths. Whoever writes to the bucket can do the same. */
#ifndef TESTS_FUZZ_RESEAL_H
#define TESTS_FUZZ_RESEAL_H

#include "base/buf.h"
#include "snapshot/digest.h"

#include <string.h>

enum { RESEAL_HEADER_SIZE_AT = 12, RESEAL_BODY_SIZE_AT = 16, RESEAL_SIZE_MIN = 24 + DIGEST_SIZE };

/* A copy of its own allocation (for ASan), resealed where it is long enough to have a hash. */
static inline uint8_t *reseal(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = xmalloc(size);
    struct digest hash;

    if (size > 0)
        memcpy(copy, bytes, size);
    if (size < RESEAL_SIZE_MIN)
        return copy;
    hash = digest_of(copy, size - DIGEST_SIZE);
    memcpy(copy + size - DIGEST_SIZE, hash.bytes, DIGEST_SIZE);
    return copy;
}

/* The same, and the size of the body agrees with what is there, so that inserted and removed bytes get
 * inside. */
static inline uint8_t *reseal_with_size(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = xmalloc(size);
    uint32_t header_size = 0;
    uint8_t *sealed;

    if (size > 0)
        memcpy(copy, bytes, size);
    for (size_t at = 4; size >= RESEAL_SIZE_MIN && at > 0; at--)
        header_size = header_size << 8 | copy[RESEAL_HEADER_SIZE_AT + at - 1];
    if (size >= RESEAL_SIZE_MIN && header_size <= size - DIGEST_SIZE)
        for (size_t at = 0; at < 8; at++)
            copy[RESEAL_BODY_SIZE_AT + at] =
                (uint8_t)((uint64_t)(size - DIGEST_SIZE - header_size) >> (8 * at));
    sealed = reseal(copy, size);
    free(copy);
    return sealed;
}

#endif
