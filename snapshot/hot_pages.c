/* The invariant: a page is either here, and then what its file says of it is old, or it is in the file. So
 * whoever reads asks here first, and the file is whole for others only after hot_pages_flush().
 *
 * What makes room is written by another thread, batch by batch (page_writer.h), and stays here until its
 * batch is done. Meanwhile its bytes must not change: a newer image of such a page is another node, the older
 * one is only waited for. So there may be two nodes of a page on the way to its file, but never in one batch,
 * and batches follow each other.
 *
 * A page is hashed when it leaves the list, or when somebody asks for the hashes of all: most are put again
 * and again before either. */
#include "snapshot/hot_pages_internal.h"

#include "base/buf.h"
#include "snapshot/pagehash.h"

#include <assert.h>
#include <string.h>

struct hot_pages *hot_pages_new(size_t bytes_max)
{
    struct hot_pages *hot = xcalloc(1, sizeof(*hot));

    hot->bytes_max = bytes_max;
    hot->writer = page_writer_new();
    hot->reader = page_reader_new();
    return hot;
}

/* --- from the newest to the oldest ------------------------------------------------------------------- */

static void list_remove(struct hot_pages *hot, struct node *node)
{
    assert(node->place == PLACE_LIST && hot->bytes >= node->page_size);
    *(node->newer ? &node->newer->older : &hot->newest) = node->older;
    *(node->older ? &node->older->newer : &hot->oldest) = node->newer;
    hot->bytes -= node->page_size;
}

void hot_pages_list(struct hot_pages *hot, struct node *node)
{
    node->place = PLACE_LIST;
    node->newer = NULL;
    node->older = hot->newest;
    *(hot->newest ? &hot->newest->newer : &hot->oldest) = node;
    hot->newest = node;
    hot->bytes += node->page_size;
}

/* --- hashes ------------------------------------------------------------------------------------------ */

static void forget_hash(struct hot_pages *hot, struct node *node)
{
    if (node->has_hash)
        hot->unhashed_bytes += node->page_size;
    node->has_hash = false;
    node->hash = 0;
}

static void hash_node(struct hot_pages *hot, struct node *node)
{
    if (node->has_hash)
        return;
    node->hash = pagehash_of(node->bytes, node->page_size, node->page_size, node->page);
    node->has_hash = true;
    hot->unhashed_bytes -= node->page_size;
    hot->hashed ^= node->hash;
    if (node->hashes)
        page_hashes_set(node->hashes, node->page, node->hash);
}

size_t hot_pages_unhashed(const struct hot_pages *hot)
{
    return hot->unhashed_bytes;
}

uint64_t hot_pages_hash(struct hot_pages *hot)
{
    uint64_t hashed;

    for (struct node *node = hot->newest; hot->unhashed_bytes > 0; node = node->older)
        hash_node(hot, node);
    hashed = hot->hashed;
    hot->hashed = 0;
    return hashed;
}

/* --- batches ----------------------------------------------------------------------------------------- */

/* The batch that was begun is done, or has failed. */
static void end_batch(struct hot_pages *hot)
{
    for (size_t at = 0; at < hot->under_way.count; at++) {
        struct node *node = hot->under_way.nodes[at];
        if (node->place == PLACE_UNDER_WAY)
            hot_pages_hide(hot, node);
        hot_pages_spare(hot, node);
    }
    hot->under_way.count = 0;
}

static bool has_failed(const struct hot_pages *hot, struct err *err)
{
    if (hot->failure.code != ERR_NONE)
        *err = hot->failure;
    return hot->failure.code != ERR_NONE;
}

static bool wait_for_batch(struct hot_pages *hot, struct err *err)
{
    struct err why = {0};

    if (!page_writer_wait(hot->writer, &why) && hot->failure.code == ERR_NONE)
        hot->failure = why;
    end_batch(hot);
    return !has_failed(hot, err);
}

static bool begin_batch(struct hot_pages *hot, struct err *err)
{
    struct page_image images[PAGE_BATCH_MAX];

    if (!wait_for_batch(hot, err))
        return false;
    if (hot->next.count == 0)
        return true;
    for (size_t at = 0; at < hot->next.count; at++) {
        struct node *node = hot->next.nodes[at];
        node->place = PLACE_UNDER_WAY;
        images[at] = (struct page_image){node->fd, node->page, node->page_size, node->bytes};
    }
    hot->under_way = hot->next;
    hot->next.count = 0;
    return page_writer_begin(hot->writer, images, hot->under_way.count, err);
}

static bool send_off(struct hot_pages *hot, struct node *node, struct err *err)
{
    list_remove(hot, node);
    hash_node(hot, node);
    if (node->is_clean) {
        hot_pages_hide(hot, node);
        hot_pages_spare(hot, node);
        return true;
    }
    node->place = PLACE_NEXT;
    node->slot = hot->next.count;
    hot->next.nodes[hot->next.count++] = node;
    return hot->next.count < PAGE_BATCH_MAX || begin_batch(hot, err);
}

static void take_from_next(struct hot_pages *hot, struct node *node)
{
    struct node *last = hot->next.nodes[--hot->next.count];

    hot->next.nodes[node->slot] = last;
    last->slot = node->slot;
}

/* Wherever it is, but on its way to the file. */
static void drop(struct hot_pages *hot, struct node *node)
{
    assert(node->place == PLACE_LIST || node->place == PLACE_NEXT);
    if (!node->has_hash)
        hot->unhashed_bytes -= node->page_size;
    if (node->place == PLACE_LIST)
        list_remove(hot, node);
    else
        take_from_next(hot, node);
    hot_pages_hide(hot, node);
    hot_pages_spare(hot, node);
}

/* The node that takes a new image of the page, which is in no list and no batch. */
static struct node *node_for(struct hot_pages *hot, const struct hot_page *page)
{
    struct node *node = hot_pages_node(hot, page->fd, page->page);

    assert(!node || node->page_size == page->page_size);
    if (node && node->place == PLACE_LIST) {
        list_remove(hot, node);
        return node;
    }
    if (node && node->place == PLACE_NEXT) {
        take_from_next(hot, node);
        return node;
    }
    if (node) {
        hot_pages_hide(hot, node);
        node->place = PLACE_REPLACED;
    }
    return hot_pages_add(hot, page->fd, page->page, page->page_size);
}

/* --- found, put, written ------------------------------------------------------------------------------ */

/* A batch that it comes with is waited for. */
static struct node *seek(struct hot_pages *hot, int fd, uint32_t page)
{
    struct node *node = hot_pages_node(hot, fd, page);

    if (!node || node->place != PLACE_READING)
        return node;
    hot_pages_end_reading(hot, node->slot);
    return hot_pages_node(hot, fd, page);
}

const uint8_t *hot_pages_find(struct hot_pages *hot, int fd, uint32_t page, uint64_t *ret_hash)
{
    const struct node *node = seek(hot, fd, page);

    if (!node)
        return NULL;
    *ret_hash = node->hash;
    return node->bytes;
}

const uint8_t *hot_pages_take(struct hot_pages *hot, int fd, uint32_t page, uint64_t *ret_hash)
{
    struct node *node = seek(hot, fd, page);

    if (!node)
        return NULL;
    if (!node->has_hash)
        hot->unhashed_bytes -= node->page_size;
    node->has_hash = true;
    *ret_hash = node->hash;
    return node->bytes;
}

bool hot_pages_put(struct hot_pages *hot, const struct hot_page *page, struct err *err)
{
    struct node *node;

    assert(page->page > 0);
    if (has_failed(hot, err))
        return false;
    node = node_for(hot, page);
    hot_pages_list(hot, node);
    node->is_clean = false;
    memcpy(node->bytes, page->bytes, page->page_size);
    node->hashes = page->hashes;
    forget_hash(hot, node);
    while (hot->bytes > hot->bytes_max) {
        assert(hot->oldest); /* whose bytes these are */
        if (!send_off(hot, hot->oldest, err))
            return false;
    }
    return true;
}

bool hot_pages_flush(struct hot_pages *hot, int fd, struct err *err)
{
    hot_pages_end_all_reading(hot);
    if (has_failed(hot, err))
        return false;
    for (struct node *node = hot->oldest, *newer; node; node = newer) {
        newer = node->newer;
        if (node->fd == fd && !send_off(hot, node, err))
            return false;
    }
    return begin_batch(hot, err) && wait_for_batch(hot, err);
}

void hot_pages_forget(struct hot_pages *hot, int fd)
{
    struct err ignored = {0};

    hot_pages_end_all_reading(hot);
    (void)!wait_for_batch(hot, &ignored);
    for (size_t at = hot->next.count; at > 0; at--)
        if (hot->next.nodes[at - 1]->fd == fd)
            drop(hot, hot->next.nodes[at - 1]);
    for (struct node *node = hot->oldest, *newer; node; node = newer) {
        newer = node->newer;
        if (node->fd == fd)
            drop(hot, node);
    }
}

void hot_pages_free(struct hot_pages *hot)
{
    struct err ignored = {0};

    if (!hot)
        return;
    hot_pages_end_all_reading(hot);
    (void)!wait_for_batch(hot, &ignored);
    hot_pages_free_nodes(hot);
    page_writer_free(hot->writer);
    page_reader_free(hot->reader);
    free(hot);
}
