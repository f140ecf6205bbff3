/* The invariant: a page is either here, and then what its file says of it is old, or it is in the file. So
 * whoever reads asks here first, and the file is whole for others only after hot_pages_flush().
 *
 * What makes room is written by another thread, batch by batch (page_writer.h), and stays here until its
 * batch is done. Meanwhile its bytes must not change: a newer image of such a page is another node, the older
 * one is only waited for. So there may be two nodes of a page on the way to its file, but never in one batch,
 * and batches follow each other.
 *
 * Pages that are wanted soon come from their files on another thread again, in batches too (page_reader.h). A
 * batch is waited for when one of its pages is looked for, which makes room for another. A page that is put
 * while it is read was looked for by nobody: what was read is older then, and is dropped. */
#include "snapshot/hot_pages.h"

#include "base/buf.h"
#include "snapshot/page_reader.h"
#include "snapshot/page_writer.h"

#include <assert.h>
#include <string.h>

enum {
    BUCKETS = 1 << 13,
    READ_BYTES_MAX = 256 << 10, /* of one batch */
};

enum place {
    PLACE_LIST,      /* from the newest to the oldest */
    PLACE_NEXT,      /* waits in the next batch */
    PLACE_UNDER_WAY, /* … in the one that is being written */
    PLACE_READING,   /* comes from its file */
    PLACE_REPLACED,  /* in one of the two, and found no more */
};

struct node {
    struct node *next_in_bucket;
    struct node *newer, *older;
    enum place place;
    bool is_clean; /* in the list: as it is in the file */
    size_t slot;   /* in its batch; of one that is read: which batch it is */
    int fd;
    uint32_t page;
    uint32_t page_size;
    uint64_t hash;
    uint8_t bytes[];
};

struct batch {
    struct node *nodes[PAGE_BATCH_MAX];
    size_t count;
};

struct ahead {
    struct node *nodes[PAGE_READING_MAX];
    struct page_reading pages[PAGE_READING_MAX];
    size_t count;
    bool is_begun;
};

struct hot_pages {
    size_t bytes_max;
    size_t bytes; /* of those in the list */
    struct node *newest, *oldest;
    struct page_writer *writer;
    struct batch next, under_way;
    struct page_reader *reader;
    struct ahead ahead[PAGE_READINGS];
    struct err failure; /* of a batch: from then on nothing is believed to be written */
    struct node *buckets[BUCKETS];
};

struct hot_pages *hot_pages_new(size_t bytes_max)
{
    struct hot_pages *hot = xcalloc(1, sizeof(*hot));

    hot->bytes_max = bytes_max;
    hot->writer = page_writer_new();
    hot->reader = page_reader_new();
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

static void bucket_remove(struct hot_pages *hot, struct node *node)
{
    struct node **at = bucket_of(hot, node->fd, node->page);

    while (*at != node)
        at = &(*at)->next_in_bucket;
    *at = node->next_in_bucket;
}

/* --- from the newest to the oldest ------------------------------------------------------------------- */

static void list_remove(struct hot_pages *hot, struct node *node)
{
    assert(node->place == PLACE_LIST && hot->bytes >= node->page_size);
    *(node->newer ? &node->newer->older : &hot->newest) = node->older;
    *(node->older ? &node->older->newer : &hot->oldest) = node->newer;
    hot->bytes -= node->page_size;
}

static void list_add(struct hot_pages *hot, struct node *node)
{
    node->place = PLACE_LIST;
    node->newer = NULL;
    node->older = hot->newest;
    *(hot->newest ? &hot->newest->newer : &hot->oldest) = node;
    hot->newest = node;
    hot->bytes += node->page_size;
}

/* --- batches ----------------------------------------------------------------------------------------- */

/* The batch that was begun is done, or has failed. */
static void end_batch(struct hot_pages *hot)
{
    for (size_t at = 0; at < hot->under_way.count; at++) {
        struct node *node = hot->under_way.nodes[at];
        if (node->place == PLACE_UNDER_WAY)
            bucket_remove(hot, node);
        free(node);
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
    if (node->is_clean) {
        bucket_remove(hot, node);
        free(node);
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
    if (node->place == PLACE_LIST)
        list_remove(hot, node);
    else
        take_from_next(hot, node);
    bucket_remove(hot, node);
    free(node);
}

static struct node *add(struct hot_pages *hot, int fd, uint32_t page, uint32_t page_size)
{
    struct node *node = xmalloc(sizeof(*node) + page_size);
    struct node **bucket = bucket_of(hot, fd, page);

    node->fd = fd;
    node->page = page;
    node->page_size = page_size;
    node->next_in_bucket = *bucket;
    *bucket = node;
    return node;
}

/* The node that takes a new image of the page, which is in no list and no batch. */
static struct node *node_for(struct hot_pages *hot, const struct hot_page *page)
{
    struct node *node = find(hot, page->fd, page->page);

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
        bucket_remove(hot, node);
        node->place = PLACE_REPLACED;
    }
    return add(hot, page->fd, page->page, page->page_size);
}

/* --- reading ahead ----------------------------------------------------------------------------------- */

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
    if (find(hot, fd, page))
        return true;
    if (ahead->count == PAGE_READING_MAX || (ahead->count + 1) * page_size > READ_BYTES_MAX)
        return false;
    node = add(hot, fd, page, page_size);
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
        list_add(hot, node);
        return;
    }
    if (node->place == PLACE_READING)
        bucket_remove(hot, node);
    free(node);
}

/* The batch's pages are in the list, or forgotten. */
static void end_reading(struct hot_pages *hot, size_t number)
{
    struct ahead *ahead = &hot->ahead[number];

    if (ahead->is_begun)
        page_reader_wait(hot->reader, (unsigned)number);
    for (size_t at = 0; at < ahead->count; at++)
        take_read(hot, ahead->nodes[at], &ahead->pages[at]);
    ahead->count = 0;
    ahead->is_begun = false;
}

static void end_all_reading(struct hot_pages *hot)
{
    for (size_t number = 0; number < PAGE_READINGS; number++)
        end_reading(hot, number);
}

/* --- found, put, written ------------------------------------------------------------------------------ */

const uint8_t *hot_pages_find(struct hot_pages *hot, int fd, uint32_t page, uint64_t *ret_hash)
{
    const struct node *node = find(hot, fd, page);

    if (node && node->place == PLACE_READING) {
        end_reading(hot, node->slot);
        node = find(hot, fd, page);
    }
    if (!node)
        return NULL;
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
    list_add(hot, node);
    node->is_clean = false;
    memcpy(node->bytes, page->bytes, page->page_size);
    node->hash = page->hash;
    while (hot->bytes > hot->bytes_max) {
        assert(hot->oldest); /* whose bytes these are */
        if (!send_off(hot, hot->oldest, err))
            return false;
    }
    return true;
}

bool hot_pages_flush(struct hot_pages *hot, int fd, struct err *err)
{
    end_all_reading(hot);
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

    end_all_reading(hot);
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
    end_all_reading(hot);
    (void)!wait_for_batch(hot, &ignored);
    while (hot->next.count > 0)
        drop(hot, hot->next.nodes[0]);
    while (hot->oldest)
        drop(hot, hot->oldest);
    page_writer_free(hot->writer);
    page_reader_free(hot->reader);
    free(hot);
}
