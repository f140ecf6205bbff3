/* Objects whose bytes are pinned, as hexadecimal text in tests/unit/golden/. They were written by a script
 * that knows nothing but docs/FORMAT.md, so they test the specification as well as the code. A change here is
 * a change of the format. */
#ifndef TESTS_UNIT_GOLDEN_H
#define TESTS_UNIT_GOLDEN_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "snapshot/digest.h"

#include <stdio.h>
#include <string.h>

static inline bool golden_read(const char *name, struct buf *bytes)
{
    CLEANUP(freep) char *path = xasprintf("tests/unit/golden/%s.hex", name);
    CLEANUP(close_filep) FILE *file = fopen(path, "re");
    unsigned byte;

    if (!file)
        return false;
    while (fscanf(file, "%2x", &byte) == 1)
        buf_add(bytes, &(uint8_t){(uint8_t)byte}, 1);
    return bytes->size > 0;
}

/* Makes the trailing hash of an envelope right again, as an attacker or a bug in a writer would have it. */
static inline void golden_seal(struct buf *bytes)
{
    struct digest hash = digest_of(bytes->bytes, bytes->size - DIGEST_SIZE);

    memcpy(bytes->bytes + bytes->size - DIGEST_SIZE, hash.bytes, DIGEST_SIZE);
}

#endif
