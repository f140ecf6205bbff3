/* Globs: the input is a list of patterns, a NUL and a path. Whatever is accepted comes to an end soon, reads
 * nothing beyond, and covers what is below a path that it matches. */
#include "tests/fuzz/fuzz.h"

#include "base/buf.h"
#include "snapshot/globs.h"

#include <assert.h>
#include <string.h>

enum { TEXT_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const uint8_t *zero = size <= TEXT_MAX ? memchr(bytes, '\0', size) : NULL;
    CLEANUP(globs_freep) struct globs *globs = NULL;
    CLEANUP(freep) char *patterns = NULL, *path = NULL, *below = NULL;
    struct err err = {0};

    if (!zero)
        return 0;
    patterns = strndup((const char *)bytes, (size_t)(zero - bytes));
    path = strndup((const char *)zero + 1, size - (size_t)(zero - bytes) - 1);
    assert(patterns && path);
    if (!globs_parse(patterns, &globs, &err)) {
        assert(err.code == ERR_CONFIG);
        return 0;
    }
    below = xasprintf("%s/below", path);
    assert(!globs_match(globs, path) || globs_match(globs, below));
    return 0;
}
