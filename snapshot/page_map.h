/* Which frame of the log holds the newest version of a page.
 *
 * Open addressing over two 32-bit numbers: it grows with the pages that were changed since the log began, not
 * with the database. One thread. */
#ifndef SNAPSHOT_PAGE_MAP_H
#define SNAPSHOT_PAGE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct page_map_entry;

/* All zero is an empty map. */
struct page_map {
    struct page_map_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

/* Page numbers and frames begin at 1. A page that is there gets the new frame. */
void page_map_put(struct page_map *map, uint32_t page, uint32_t frame);
/* 0: the page is not in the map. */
uint32_t page_map_get(const struct page_map *map, uint32_t page);
/* ret_map gets all of it, as a map of its own. */
void page_map_copy(const struct page_map *map, struct page_map *ret_map);
/* Empties it and frees its memory. */
void page_map_clear(struct page_map *map);

#endif
