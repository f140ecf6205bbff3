/* Pages that are wanted soon come from their files on another thread, batch by batch (page_reader.h). A batch
 * is waited for when one of its pages is looked for, which makes room for another. A page that is put while
 * it is read was looked for by nobody: what was read is older then, and is dropped. */
#include "snapshot/hot_pages_internal.h"

#include <assert.h>

enum { READ_BYTES_MAX = 256 << 10 }; /* of one batch */

/* The batch that pages are added to; NULL: all are under way. */
static struct ahead *ahead_next(struct hot_pages *hot)
{
    for (size_t number = 0; number < PAGE_READINGS; number++)
        if (!hot->ahead[number].is_begun)
            return &hot->ahead[number];
    return NULL;
}

bool hot_pages_can_want(struct hot_pages *hot)
{
    return ahead_next(hot) != NULL;
}

bool hot_pages_want(struct hot_pages *hot, int fd, uint32_t page, uint32_t page_size)
{
    struct ahead *ahead = ahead_next(hot);
    struct node *node;

    assert(ahead && page > 0);
    if (hot_pages_node(hot, fd, page))
        return true;
    if (ahead->count == PAGE_READING_MAX || (ahead->count + 1) * page_size > READ_BYTES_MAX)
        return false;
    node = hot_pages_add(hot, fd, page, page_size);
    node->place = PLACE_READING;
    node->slot = (size_t)(ahead - hot->ahead);
    ahead->nodes[ahead->count] = node;
    ahead->pages[ahead->count++] =
        (struct page_reading){.fd = fd, .page = page, .page_size = page_size, .bytes = node->bytes};
    return true;
}

bool hot_pages_read(struct hot_pages *hot)
{
    struct ahead *ahead = ahead_next(hot);

    if (!ahead || ahead->count == 0)
        return false;
    ahead->is_begun = true;
    page_reader_begin(hot->reader, (unsigned)(ahead - hot->ahead), ahead->pages, ahead->count);
    return true;
}

static void take_read(struct hot_pages *hot, struct node *node, const struct page_reading *page)
{
    if (node->place == PLACE_READING && page->was_read) {
        node->hash = page->hash;
        node->is_clean = true;
        hot_pages_list(hot, node);
        return;
    }
    if (node->place == PLACE_READING)
        hot_pages_hide(hot, node);
    hot_pages_spare(hot, node);
}

/* The batch's pages are in the list, or forgotten. */
void hot_pages_end_reading(struct hot_pages *hot, size_t number)
{
    struct ahead *ahead = &hot->ahead[number];

    if (ahead->is_begun)
        page_reader_wait(hot->reader, (unsigned)number);
    for (size_t at = 0; at < ahead->count; at++)
        take_read(hot, ahead->nodes[at], &ahead->pages[at]);
    ahead->count = 0;
    ahead->is_begun = false;
}

void hot_pages_end_all_reading(struct hot_pages *hot)
{
    for (size_t number = 0; number < PAGE_READINGS; number++)
        hot_pages_end_reading(hot, number);
}
