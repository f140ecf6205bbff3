/* The rolling hash of a database (docs/FORMAT.md): XOR over its pages of XXH3-64(page, seed = page number),
 * without the lock-byte page. XOR makes it additive: a commit changes it by its own pages only, and pages may
 * be hashed in any order and by any thread. */
#ifndef SNAPSHOT_PAGEHASH_H
#define SNAPSHOT_PAGEHASH_H

#include <stddef.h>
#include <stdint.h>

/* Of `size` bytes of whole pages, the first of which is page `first_page` (from 1). page_size is a power of
 * two, 512 to 65536. */
uint64_t pagehash_of(const void *pages, size_t size, uint32_t page_size, uint64_t first_page);

#endif
