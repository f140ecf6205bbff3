/* A page of a listing on its way through libs3's parser, as the transport hands it over. */
#include "snapshot/store/s3_client.h"

#include "tests/fuzz/fuzz.h"

#include "base/cleanup.h"

#include <assert.h>
#include <string.h>

static void run(const char *page)
{
    static const struct s3_options options = {0};
    struct s3_call call = {
        .operation = S3_LIST,
        .options = &options,
        .rehearsal = page,
        .body = BUF_INIT(S3_PAGE_SIZE_MAX),
        .entries = BUF_INIT(S3_PAGE_SIZE_MAX),
    };
    struct err err = {0};
    const char *key;
    uint64_t entry_size;
    size_t at = 0;

    if (!s3_client_run(&call, &err))
        assert(err.code == ERR_CORRUPT);
    while (s3_entries_next(&call.entries, &at, &key, &entry_size))
        assert(strlen(key) < 4096);
    buf_clear(&call.body);
    buf_clear(&call.entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static bool started;
    CLEANUP(freep) char *page = strndup((const char *)bytes, size);
    struct err err = {0};

    if (!started)
        started = s3_client_start(&err);
    assert(started && page);
    run(page);
    return 0;
}
