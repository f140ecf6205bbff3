#include "snapshot/page_map.h"

#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 64 };

struct page_map_entry {
    uint32_t page; /* 0: free */
    uint32_t frame;
};

/* The page's entry, or the free one where it would be. Never full, so this ends. */
static struct page_map_entry *find(const struct page_map *map, uint32_t page)
{
    size_t mask = map->capacity - 1;
    /* Neighbouring pages are often changed together: the golden ratio scatters them. */
    size_t at = (size_t)((page * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;

    while (map->entries[at].page != 0 && map->entries[at].page != page)
        at = (at + 1) & mask;
    return &map->entries[at];
}

static void grow(struct page_map *map)
{
    struct page_map larger = {.capacity = map->capacity > 0 ? 2 * map->capacity : CAPACITY_MIN};

    larger.entries = xcalloc(larger.capacity, sizeof(*larger.entries));
    larger.count = map->count;
    for (size_t at = 0; at < map->capacity; at++)
        if (map->entries[at].page != 0)
            *find(&larger, map->entries[at].page) = map->entries[at];
    free(map->entries);
    *map = larger;
}

void page_map_put(struct page_map *map, uint32_t page, uint32_t frame)
{
    struct page_map_entry *entry;

    assert(page > 0 && frame > 0);
    if (4 * (map->count + 1) > 3 * map->capacity)
        grow(map);
    entry = find(map, page);
    map->count += entry->page == 0;
    *entry = (struct page_map_entry){.page = page, .frame = frame};
}

uint32_t page_map_get(const struct page_map *map, uint32_t page)
{
    assert(page > 0);
    return map->count > 0 ? find(map, page)->frame : 0;
}

void page_map_copy(const struct page_map *map, struct page_map *ret_map)
{
    struct page_map copy = *map;

    copy.entries = xcalloc(map->capacity, sizeof(*copy.entries));
    if (map->capacity > 0)
        memcpy(copy.entries, map->entries, map->capacity * sizeof(*copy.entries));
    *ret_map = copy;
}

void page_map_clear(struct page_map *map)
{
    free(map->entries);
    *map = (struct page_map){0};
}
