#include "snapshot/page_overlay.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "snapshot/pagehash.h"

#include <assert.h>
#include <string.h>

void page_overlay_begin(struct page_overlay *overlay, int fd, uint32_t page_size)
{
    *overlay = (struct page_overlay){.fd = fd, .page_size = page_size};
}

void page_overlay_clear(struct page_overlay *overlay)
{
    page_map_clear(&overlay->images);
    free(overlay->pages);
    *overlay = (struct page_overlay){.fd = -1};
}

static uint64_t offset_of(const struct page_overlay *overlay, uint32_t number)
{
    return (uint64_t)(number - 1) * overlay->page_size;
}

static bool read_page(const struct page_overlay *overlay, int database_fd, uint32_t page, uint8_t *bytes,
                      struct err *err)
{
    uint32_t image = page_map_get(&overlay->images, page);

    if (image > 0)
        return fs_read_at(overlay->fd, bytes, overlay->page_size, offset_of(overlay, image), err);
    if (page == pagehash_lock_page(overlay->page_size)) {
        memset(bytes, 0, overlay->page_size);
        return true;
    }
    return fs_read_at(database_fd, bytes, overlay->page_size, offset_of(overlay, page), err);
}

bool page_overlay_read(const struct page_overlay *overlay, int database_fd, uint32_t page, uint8_t *bytes,
                       size_t size, struct err *err)
{
    assert(size % overlay->page_size == 0);
    for (size_t at = 0; at < size; at += overlay->page_size, page++)
        if (!read_page(overlay, database_fd, page, bytes + at, err))
            return false;
    return true;
}

static uint32_t add_image(struct page_overlay *overlay, uint32_t page)
{
    if (overlay->count == overlay->capacity) {
        overlay->capacity = overlay->capacity > 0 ? 2 * overlay->capacity : 64;
        overlay->pages = xrealloc(overlay->pages, overlay->capacity * sizeof(overlay->pages[0]));
    }
    overlay->pages[overlay->count++] = page;
    page_map_put(&overlay->images, page, (uint32_t)overlay->count);
    return (uint32_t)overlay->count;
}

bool page_overlay_write(struct page_overlay *overlay, uint32_t page, const uint8_t *bytes, size_t size,
                        struct err *err)
{
    assert(size % overlay->page_size == 0);
    for (size_t at = 0; at < size; at += overlay->page_size, page++) {
        uint32_t image = page_map_get(&overlay->images, page);
        if (image == 0)
            image = add_image(overlay, page);
        if (!fs_write_at(overlay->fd, bytes + at, overlay->page_size, offset_of(overlay, image), err))
            return false;
    }
    return true;
}
