/* Pages of a database that are to be written to it later, all at once: until then they wait in a file of
 * their own, and reading through the overlay shows the database as it is going to be. One thread. */
#ifndef SNAPSHOT_PAGE_OVERLAY_H
#define SNAPSHOT_PAGE_OVERLAY_H

#include "base/err.h"
#include "snapshot/page_map.h"

/* Image n (from 1 on) of the file lies at (n - 1) * page_size; pages[n - 1] is the page that it is of. */
struct page_overlay {
    int fd; /* borrowed; open for reading and writing, empty at first */
    uint32_t page_size;
    struct page_map images;
    uint32_t *pages;
    size_t count;
    size_t capacity;
};

void page_overlay_begin(struct page_overlay *overlay, int fd, uint32_t page_size);
void page_overlay_clear(struct page_overlay *overlay); /* zeroed memory is fine */

/* `size` bytes of whole pages, from page `page` on: from the overlay, and those that are not in it from the
 * database. The page of SQLite's locks, which is never written, is zeros if it is in neither. */
bool page_overlay_read(const struct page_overlay *overlay, int database_fd, uint32_t page, uint8_t *bytes,
                       size_t size, struct err *err) CHECKED;
/* A page that is there already gets the new image. */
bool page_overlay_write(struct page_overlay *overlay, uint32_t page, const uint8_t *bytes, size_t size,
                        struct err *err) CHECKED;

#endif
