#include "snapshot/page_hashes.h"

#include "base/buf.h"

#include <assert.h>
#include <string.h>

struct page_hashes *page_hashes_new(uint64_t pages)
{
    struct page_hashes *hashes = xcalloc(1, sizeof(*hashes));

    hashes->values = xcalloc(pages, sizeof(hashes->values[0]));
    hashes->count = hashes->capacity = pages;
    return hashes;
}

void page_hashes_free(struct page_hashes *hashes)
{
    if (!hashes)
        return;
    free(hashes->values);
    free(hashes);
}

void page_hashes_resize(struct page_hashes *hashes, uint64_t pages)
{
    if (pages > hashes->capacity) {
        uint64_t half_more = hashes->capacity + hashes->capacity / 2;
        hashes->capacity = pages > half_more ? pages : half_more;
        hashes->values = xrealloc(hashes->values, hashes->capacity * sizeof(hashes->values[0]));
    }
    if (pages > hashes->count)
        memset(hashes->values + hashes->count, 0, (pages - hashes->count) * sizeof(hashes->values[0]));
    hashes->count = pages;
}

void page_hashes_set(struct page_hashes *hashes, uint64_t page, uint64_t value)
{
    assert(page > 0);
    if (page > hashes->count)
        page_hashes_resize(hashes, page);
    hashes->values[page - 1] = value;
}

uint64_t page_hashes_rolling(const struct page_hashes *hashes)
{
    uint64_t rolling = 0;

    for (uint64_t at = 0; at < hashes->count; at++)
        rolling ^= hashes->values[at];
    return rolling;
}
