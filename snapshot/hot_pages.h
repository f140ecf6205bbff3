/* Pages of databases under replay that were written lately, and are not in their files yet.
 *
 * The commits of an application mostly change the same few pages again and again. Kept here, such a page is
 * neither written nor read nor hashed for each of them; it goes to its file when others are newer, or at the
 * end. Pages are known by their descriptor, which is borrowed: before it is closed, or anything else reads or
 * writes the file, hot_pages_flush() or hot_pages_forget(). One thread. */
#ifndef SNAPSHOT_HOT_PAGES_H
#define SNAPSHOT_HOT_PAGES_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct hot_pages;

/* Holds pages of at most so many bytes together. */
struct hot_pages *hot_pages_new(size_t bytes_max);
/* What was not flushed is lost. NULL is fine. */
void hot_pages_free(struct hot_pages *hot);
DEFINE_CLEANUP(struct hot_pages *, hot_pages_free, hot_pages_freep)

/* The page's bytes, until the next hot_pages_put(), and the hash that it was put with; NULL: it is in the
 * file. */
const uint8_t *hot_pages_find(struct hot_pages *hot, int fd, uint32_t page, uint64_t *ret_hash);

struct hot_page {
    int fd;
    uint32_t page; /* from 1 */
    uint32_t page_size;
    uint64_t hash;
    const uint8_t *bytes; /* copied */
};

/* Takes a new image, in place of one that it has. The oldest pages are written to their files to make room:
 * ERR_SYSTEM. */
bool hot_pages_put(struct hot_pages *hot, const struct hot_page *page, struct err *err) CHECKED;

/* Writes all pages of the file, and has none of it any more. */
bool hot_pages_flush(struct hot_pages *hot, int fd, struct err *err) CHECKED;
/* For a file that nobody wants any more. */
void hot_pages_forget(struct hot_pages *hot, int fd);

#endif
