/* The invariant: a page is either here, and then what its file says of it is old, or it is in the file. So
 * whoever reads asks here first, and the file is whole for others only after hot_pages_flush(). */
#include "snapshot/hot_pages.h"

#include "base/buf.h"
#include "base/fs.h"

#include <assert.h>
#include <string.h>

enum { BUCKETS = 1 << 12 };

struct node {
    struct node *next_in_bucket;
    struct node *newer, *older;
    int fd;
    uint32_t page;
    uint32_t page_size;
    uint64_t hash;
    uint8_t bytes[];
};

struct hot_pages {
    size_t bytes_max;
    size_t bytes;
    struct node *newest, *oldest;
    struct node *buckets[BUCKETS];
};

struct hot_pages *hot_pages_new(size_t bytes_max)
{
    struct hot_pages *hot = xcalloc(1, sizeof(*hot));

    hot->bytes_max = bytes_max;
    return hot;
}

static struct node **bucket_of(struct hot_pages *hot, int fd, uint32_t page)
{
    return &hot->buckets[(page + (uint32_t)fd * 2654435761u) % BUCKETS];
}

static struct node *find(struct hot_pages *hot, int fd, uint32_t page)
{
    struct node *node = *bucket_of(hot, fd, page);

    while (node && (node->page != page || node->fd != fd))
        node = node->next_in_bucket;
    return node;
}

/* --- from the newest to the oldest -------------------------------------------------------------------------
 */

static void list_remove(struct hot_pages *hot, struct node *node)
{
    *(node->newer ? &node->newer->older : &hot->newest) = node->older;
    *(node->older ? &node->older->newer : &hot->oldest) = node->newer;
}

static void list_add(struct hot_pages *hot, struct node *node)
{
    node->newer = NULL;
    node->older = hot->newest;
    *(hot->newest ? &hot->newest->newer : &hot->oldest) = node;
    hot->newest = node;
}

/* --- coming and going
 * ---------------------------------------------------------------------------------------- */

static void drop(struct hot_pages *hot, struct node *node)
{
    struct node **at = bucket_of(hot, node->fd, node->page);

    while (*at != node)
        at = &(*at)->next_in_bucket;
    *at = node->next_in_bucket;
    list_remove(hot, node);
    assert(hot->bytes >= node->page_size);
    hot->bytes -= node->page_size;
    free(node);
}

void hot_pages_free(struct hot_pages *hot)
{
    if (!hot)
        return;
    while (hot->oldest)
        drop(hot, hot->oldest);
    free(hot);
}

static bool write_out(struct hot_pages *hot, struct node *node, struct err *err)
{
    if (!fs_write_at(node->fd, node->bytes, node->page_size, (uint64_t)(node->page - 1) * node->page_size,
                     err))
        return err_wrap(err, "page %u", node->page);
    drop(hot, node);
    return true;
}

static struct node *add(struct hot_pages *hot, const struct hot_page *page)
{
    struct node *node = xmalloc(sizeof(*node) + page->page_size);
    struct node **bucket = bucket_of(hot, page->fd, page->page);

    node->fd = page->fd;
    node->page = page->page;
    node->page_size = page->page_size;
    node->next_in_bucket = *bucket;
    *bucket = node;
    hot->bytes += page->page_size;
    return node;
}

const uint8_t *hot_pages_find(struct hot_pages *hot, int fd, uint32_t page, uint64_t *ret_hash)
{
    const struct node *node = find(hot, fd, page);

    if (!node)
        return NULL;
    *ret_hash = node->hash;
    return node->bytes;
}

bool hot_pages_put(struct hot_pages *hot, const struct hot_page *page, struct err *err)
{
    struct node *node = find(hot, page->fd, page->page);

    assert(page->page > 0 && (!node || node->page_size == page->page_size));
    if (node)
        list_remove(hot, node);
    else
        node = add(hot, page);
    list_add(hot, node);
    memcpy(node->bytes, page->bytes, page->page_size);
    node->hash = page->hash;
    while (hot->bytes > hot->bytes_max)
        if (!write_out(hot, hot->oldest, err))
            return false;
    return true;
}

bool hot_pages_flush(struct hot_pages *hot, int fd, struct err *err)
{
    for (struct node *node = hot->oldest, *newer; node; node = newer) {
        newer = node->newer;
        if (node->fd == fd && !write_out(hot, node, err))
            return false;
    }
    return true;
}

void hot_pages_forget(struct hot_pages *hot, int fd)
{
    for (struct node *node = hot->oldest, *newer; node; node = newer) {
        newer = node->newer;
        if (node->fd == fd)
            drop(hot, node);
    }
}
