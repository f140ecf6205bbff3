/* Reads pages of files, and hashes them, on a thread of its own, batch by batch: the copy out of the page
 * cache is a third of what a replay does, and nothing of it depends on the commit before. A thread takes some
 * 60 µs to wake up; so batches wait behind each other (measured: four are 6 % of a replay faster than two,
 * eight no faster than four). */
#ifndef SNAPSHOT_PAGE_READER_H
#define SNAPSHOT_PAGE_READER_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct page_reader;

struct page_reading {
    int fd;        /* borrowed until the batch is done */
    uint32_t page; /* from 1 */
    uint32_t page_size;
    uint8_t *bytes; /* borrowed until then; page_size of them */
    /* Then: */
    bool was_read; /* false: the file ends before, or can't be read; whoever needs it will see why */
    uint64_t hash; /* of the page (pagehash.h) */
};

enum {
    PAGE_READING_MAX = 32, /* pages in a batch */
    PAGE_READINGS = 4,     /* batches, numbered from 0 */
};

struct page_reader *page_reader_new(void);
/* Waits for what is under way. NULL is fine. */
void page_reader_free(struct page_reader *reader);
DEFINE_CLEANUP(struct page_reader *, page_reader_free, page_reader_freep)

/* Begins with batch `number`, 1 to PAGE_READING_MAX pages that are borrowed until page_reader_wait(), behind
 * the others. It is not under way already (asserted). */
void page_reader_begin(struct page_reader *reader, unsigned number, struct page_reading *pages, size_t count);
/* Waits for that batch, which was begun. */
void page_reader_wait(struct page_reader *reader, unsigned number);

#endif
