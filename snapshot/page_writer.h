/* Writes pages to their files on a thread of its own, one batch at a time. */
#ifndef SNAPSHOT_PAGE_WRITER_H
#define SNAPSHOT_PAGE_WRITER_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct page_writer;

struct page_image {
    int fd;        /* borrowed until the batch is done */
    uint32_t page; /* from 1 */
    uint32_t page_size;
    const uint8_t *bytes; /* borrowed, and unchanged, until then */
};

enum { PAGE_BATCH_MAX = 256 };

struct page_writer *page_writer_new(void);
/* Waits for what is under way. NULL is fine. */
void page_writer_free(struct page_writer *writer);
DEFINE_CLEANUP(struct page_writer *, page_writer_free, page_writer_freep)

/* Begins to write these pages (1 to PAGE_BATCH_MAX, each at most once), when those before are done: false
 * with their failure, and then nothing is begun. */
bool page_writer_begin(struct page_writer *writer, const struct page_image *images, size_t count,
                       struct err *err) CHECKED;
/* Waits for the batch that was begun last. ERR_SYSTEM: a file can't be written. */
bool page_writer_wait(struct page_writer *writer, struct err *err) CHECKED;

#endif
