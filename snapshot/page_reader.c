/* Where no thread is to be had nothing is read ahead: then reading here would only be reading at another
 * time. */
#include "snapshot/page_reader.h"

#include "base/buf.h"
#include "base/fs.h"
#include "base/thread.h"
#include "snapshot/pagehash.h"

#include <assert.h>

struct reading {
    struct task_group group;
    struct page_reading *pages; /* NULL: it is not under way */
    size_t count;
};

struct page_reader {
    struct pool *pool; /* one worker; NULL: none */
    struct reading readings[PAGE_READINGS];
};

struct page_reader *page_reader_new(void)
{
    struct page_reader *reader = xcalloc(1, sizeof(*reader));
    struct err ignored = {0};

    if (!pool_open(1, "read", &reader->pool, &ignored))
        reader->pool = NULL;
    for (unsigned number = 0; reader->pool && number < PAGE_READINGS; number++)
        group_init(&reader->readings[number].group, reader->pool, 1);
    return reader;
}

void page_reader_free(struct page_reader *reader)
{
    if (!reader)
        return;
    pool_free(reader->pool);
    free(reader);
}

static bool read_pages(void *context, struct err *err)
{
    struct reading *reading = context;
    struct err ignored = {0};

    (void)err;
    for (size_t at = 0; at < reading->count; at++) {
        struct page_reading *one = &reading->pages[at];
        uint64_t offset = (uint64_t)(one->page - 1) * one->page_size;
        one->was_read = fs_read_at(one->fd, one->bytes, one->page_size, offset, &ignored);
        if (one->was_read)
            one->hash = pagehash_of(one->bytes, one->page_size, one->page_size, one->page);
    }
    return true;
}

void page_reader_begin(struct page_reader *reader, unsigned number, struct page_reading *pages, size_t count)
{
    struct reading *reading = &reader->readings[number];

    assert(number < PAGE_READINGS && !reading->pages && count > 0 && count <= PAGE_READING_MAX);
    reading->pages = pages;
    reading->count = count;
    for (size_t at = 0; at < count; at++)
        pages[at].was_read = false;
    if (reader->pool)
        group_submit(&reading->group, read_pages, reading);
}

void page_reader_wait(struct page_reader *reader, unsigned number)
{
    struct reading *reading = &reader->readings[number];
    struct err ignored = {0};

    assert(number < PAGE_READINGS && reading->pages);
    if (reader->pool)
        (void)!group_wait(&reading->group, &ignored); /* each page says for itself how it went */
    reading->pages = NULL;
}
