/* Pages of databases under replay that were written lately, and are not in their files yet, and some that are
 * read ahead.
 *
 * The commits of an application mostly change the same few pages again and again. Kept here, such a page is
 * neither written nor read nor hashed for each of them; it goes to its file when others are newer, or at the
 * end. Pages are known by their descriptor, which is borrowed: before it is closed, or anything else reads or
 * writes the file, hot_pages_flush() or hot_pages_forget(). A page that isn't found may be read from its file
 * all the same. One thread. */
#ifndef SNAPSHOT_HOT_PAGES_H
#define SNAPSHOT_HOT_PAGES_H

#include "base/cleanup.h"
#include "base/err.h"
#include "snapshot/page_hashes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hot_pages;

/* Holds pages of at most so many bytes together. */
struct hot_pages *hot_pages_new(size_t bytes_max);
/* What was not flushed is lost. Before any of the descriptors is closed. NULL is fine. */
void hot_pages_free(struct hot_pages *hot);
DEFINE_CLEANUP(struct hot_pages *, hot_pages_free, hot_pages_freep)

/* The page's bytes, until the next call of another kind, and the hash that it was put with or has; NULL: it
 * is in the file. */
const uint8_t *hot_pages_find(struct hot_pages *hot, int fd, uint32_t page, uint64_t *ret_hash);

/* The same of a page that is about to be put again: nobody wants the hash of these bytes any more, so if it
 * has none yet none is made. */
const uint8_t *hot_pages_take(struct hot_pages *hot, int fd, uint32_t page, uint64_t *ret_hash);

/* Pages are read ahead in a few batches, on a thread of its own. While hot_pages_can_want(), hot_pages_want()
 * adds a page to the next batch, if it isn't here already (false: the batch is full), and hot_pages_read()
 * begins with it (false: there is nothing in it). A batch is under way until one of its pages is looked for,
 * or a file is flushed or forgotten; until then nothing but hot_pages_put() may change them. A page that
 * can't be read isn't found. */
bool hot_pages_can_want(struct hot_pages *hot);
bool hot_pages_want(struct hot_pages *hot, int fd, uint32_t page, uint32_t page_size);
bool hot_pages_read(struct hot_pages *hot);

struct hot_page {
    int fd;
    uint32_t page; /* from 1 */
    uint32_t page_size;
    struct page_hashes *hashes; /* borrowed until it is hashed, which sets it there; NULL: nowhere */
    const uint8_t *bytes;       /* copied */
};

/* Takes a new image, in place of one that it has. To make room the oldest pages are written to their files,
 * by a thread of its own; until a batch of them is done, they are found here all the same. ERR_SYSTEM: one
 * could not be written, now or earlier, and from then on nothing succeeds. */
bool hot_pages_put(struct hot_pages *hot, const struct hot_page *page, struct err *err) CHECKED;

/* Bytes of pages that were put and have no hash yet: it is made when they are written, or all are asked for.
 */
size_t hot_pages_unhashed(const struct hot_pages *hot);
/* Hashes what has none; XOR of all hashes that were made since this was called last. */
uint64_t hot_pages_hash(struct hot_pages *hot);

/* Writes all pages of the file, and has none of it any more. ERR_SYSTEM as above. */
bool hot_pages_flush(struct hot_pages *hot, int fd, struct err *err) CHECKED;
/* For a file that nobody wants any more. */
void hot_pages_forget(struct hot_pages *hot, int fd);

#endif
