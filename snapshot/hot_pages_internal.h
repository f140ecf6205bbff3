/* Between hot_pages.c (found, put, written), hot_pages_ahead.c (read before they are needed) and
 * hot_pages_nodes.c (where they are). */
#ifndef SNAPSHOT_HOT_PAGES_INTERNAL_H
#define SNAPSHOT_HOT_PAGES_INTERNAL_H

#include "snapshot/hot_pages.h"
#include "snapshot/page_reader.h"
#include "snapshot/page_writer.h"

enum {
    HOT_BUCKETS = 1 << 13,
    HOT_SLAB_NODES = 256,
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
    bool has_hash; /* else it is in the list, and `hash` is 0 */
    size_t slot;   /* in its batch; of one that is read: which batch it is */
    int fd;
    uint32_t page;
    uint32_t page_size;
    uint64_t hash;
    struct page_hashes *hashes; /* borrowed; gets the hash too; NULL: nobody wants it */
    uint8_t *bytes;             /* page_size of them */
};

/* Nodes lie beside each other, apart from their pages: what is looked at for each page that is sought stays
 * in the processor's cache. */
struct slab {
    struct slab *next;
    struct node nodes[HOT_SLAB_NODES];
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
    size_t unhashed_bytes;
    uint64_t hashed;    /* XOR of the hashes that hot_pages_hash() has yet to give */
    struct err failure; /* of a batch: from then on nothing is believed to be written */
    struct slab *slabs;
    struct node *spare; /* through next_in_bucket; each keeps its bytes for the next page of that size */
    struct node *buckets[HOT_BUCKETS];
};

/* Wherever it is; NULL: it is in its file. */
struct node *hot_pages_node(struct hot_pages *hot, int fd, uint32_t page);
/* One that is found from here on, and is in no list and no batch. */
struct node *hot_pages_add(struct hot_pages *hot, int fd, uint32_t page, uint32_t page_size);
/* It is found no more. */
void hot_pages_hide(struct hot_pages *hot, struct node *node);
/* One that is hidden, and in no list and no batch, is another's from here on. */
void hot_pages_spare(struct hot_pages *hot, struct node *node);
void hot_pages_free_nodes(struct hot_pages *hot);
/* Makes it the newest of the list. */
void hot_pages_list(struct hot_pages *hot, struct node *node);

/* hot_pages_ahead.c. Waits for the batch of that number: its pages are in the list then, or forgotten. */
void hot_pages_end_reading(struct hot_pages *hot, size_t number);
void hot_pages_end_all_reading(struct hot_pages *hot);

#endif
