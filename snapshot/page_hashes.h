/* The hash of each page of one database, in memory: 8 bytes a page, while a base is cut or restored, on their
 * way into a table (page_table.h). Threads may set values of different pages below the count at once. */
#ifndef SNAPSHOT_PAGE_HASHES_H
#define SNAPSHOT_PAGE_HASHES_H

#include "base/cleanup.h"

#include <stdint.h>

struct page_hashes {
    uint64_t *values; /* of page n at n - 1; 0 for the page of SQLite's locks and for what was never set */
    uint64_t count;
    uint64_t capacity;
};

/* Of so many pages, all 0. */
struct page_hashes *page_hashes_new(uint64_t pages);
void page_hashes_free(struct page_hashes *hashes); /* NULL is fine */
DEFINE_CLEANUP(struct page_hashes *, page_hashes_free, page_hashes_freep)

/* Makes it one of more pages, which are 0, or of fewer. */
void page_hashes_resize(struct page_hashes *hashes, uint64_t pages);
/* page: from 1 on; one above the last makes it larger. */
void page_hashes_set(struct page_hashes *hashes, uint64_t page, uint64_t value);
/* XOR of all, which is the rolling hash of the database (pagehash.h). */
uint64_t page_hashes_rolling(const struct page_hashes *hashes);

#endif
