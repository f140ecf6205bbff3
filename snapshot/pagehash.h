/* The rolling hash of a database (docs/FORMAT.md): XOR over its pages of XXH3-64(page, seed = page number),
 * without the lock-byte page. XOR makes it additive: a commit changes it by its own pages only, and pages may
 * be hashed in any order and by any thread. */
#ifndef SNAPSHOT_PAGEHASH_H
#define SNAPSHOT_PAGEHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest database of SQLite: https://www.sqlite.org/limits.html, 12. */
#define PAGEHASH_PAGES_MAX UINT64_C(4294967294)

/* What SQLite takes for a page size: a power of two, 512 to 65536. */
bool pagehash_is_page_size(uint64_t bytes);
/* The page that holds SQLite's locks and nothing else, ever (https://www.sqlite.org/fileformat.html, 1.3). */
uint32_t pagehash_lock_page(uint32_t page_size);

/* Of `size` bytes of whole pages, the first of which is page `first_page` (from 1). page_size is one. */
uint64_t pagehash_of(const void *pages, size_t size, uint32_t page_size, uint64_t first_page);
/* The same, and *ret_values gets that of each page: 0 for the lock-byte page. */
uint64_t pagehash_each(const void *pages, size_t size, uint32_t page_size, uint64_t first_page,
                       uint64_t *ret_values);

/* XXH3-64 of anything, to notice accidents with it. */
uint64_t pagehash_bytes(const void *bytes, size_t size, uint64_t seed);

#endif
