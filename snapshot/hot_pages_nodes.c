/* Nodes come from slabs and go back to a list of spare ones: a replay takes and gives back one for each page
 * that it reads, and malloc() would go through the memory of cold pages for it. */
#include "snapshot/hot_pages_internal.h"

#include "base/buf.h"

#include <assert.h>

static struct node **bucket_of(struct hot_pages *hot, int fd, uint32_t page)
{
    return &hot->buckets[(page + (uint32_t)fd * 2654435761u) % HOT_BUCKETS];
}

struct node *hot_pages_node(struct hot_pages *hot, int fd, uint32_t page)
{
    struct node *node = *bucket_of(hot, fd, page);

    while (node && (node->page != page || node->fd != fd))
        node = node->next_in_bucket;
    return node;
}

void hot_pages_hide(struct hot_pages *hot, struct node *node)
{
    struct node **at = bucket_of(hot, node->fd, node->page);

    while (*at != node)
        at = &(*at)->next_in_bucket;
    *at = node->next_in_bucket;
}

static void add_slab(struct hot_pages *hot)
{
    struct slab *slab = xcalloc(1, sizeof(*slab));

    slab->next = hot->slabs;
    hot->slabs = slab;
    for (size_t at = 0; at < HOT_SLAB_NODES; at++)
        hot_pages_spare(hot, &slab->nodes[at]);
}

static struct node *take_spare(struct hot_pages *hot, uint32_t page_size)
{
    struct node *node;

    if (!hot->spare)
        add_slab(hot);
    node = hot->spare;
    hot->spare = node->next_in_bucket;
    if (node->page_size != page_size) {
        free(node->bytes);
        node->bytes = xmalloc(page_size);
        node->page_size = page_size;
    }
    return node;
}

void hot_pages_spare(struct hot_pages *hot, struct node *node)
{
    node->next_in_bucket = hot->spare;
    hot->spare = node;
}

struct node *hot_pages_add(struct hot_pages *hot, int fd, uint32_t page, uint32_t page_size)
{
    struct node *node = take_spare(hot, page_size);
    struct node **bucket = bucket_of(hot, fd, page);

    node->fd = fd;
    node->page = page;
    node->has_hash = true;
    node->hash = 0;
    node->hashes = NULL;
    node->next_in_bucket = *bucket;
    *bucket = node;
    return node;
}

void hot_pages_free_nodes(struct hot_pages *hot)
{
    for (struct slab *slab = hot->slabs, *next; slab; slab = next) {
        next = slab->next;
        for (size_t at = 0; at < HOT_SLAB_NODES; at++)
            free(slab->nodes[at].bytes);
        free(slab);
    }
}
