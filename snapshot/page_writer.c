/* A page at a time costs a system call each; pages that lie one behind the other share one, up to a piece
 * that leaves no large folios behind (docs/DESIGN.md). Where no thread is to be had the caller's writes. */
#include "snapshot/page_writer.h"

#include "base/fs.h"
#include "base/thread.h"

#include <assert.h>
#include <string.h>

struct page_writer {
    struct pool *pool; /* one worker; NULL: none */
    struct task_group group;
    struct page_image images[PAGE_BATCH_MAX];
    size_t count;
    uint8_t piece[FS_PIECE_BYTES];
};

struct page_writer *page_writer_new(void)
{
    struct page_writer *writer = xcalloc(1, sizeof(*writer));
    struct err ignored = {0};

    if (!pool_open(1, "write", &writer->pool, &ignored))
        writer->pool = NULL;
    if (writer->pool)
        group_init(&writer->group, writer->pool, 1);
    return writer;
}

void page_writer_free(struct page_writer *writer)
{
    if (!writer)
        return;
    pool_free(writer->pool);
    free(writer);
}

static int compare_images(const void *one, const void *other)
{
    const struct page_image *a = one, *b = other;

    if (a->fd != b->fd)
        return a->fd < b->fd ? -1 : 1;
    return a->page < b->page ? -1 : a->page > b->page;
}

/* How many of the images from `at` on make one piece. */
static size_t stretch(const struct page_writer *writer, size_t at)
{
    const struct page_image *first = &writer->images[at];
    size_t count = 1;

    while (at + count < writer->count && (count + 1) * first->page_size <= FS_PIECE_BYTES &&
           first[count].fd == first->fd && first[count].page == first->page + count)
        count++;
    return count;
}

static bool write_piece(struct page_writer *writer, size_t at, size_t count, struct err *err)
{
    const struct page_image *first = &writer->images[at];
    const uint8_t *bytes = first->bytes;
    size_t page_size = first->page_size;

    if (count > 1) {
        for (size_t page = 0; page < count; page++)
            memcpy(writer->piece + page * page_size, first[page].bytes, page_size);
        bytes = writer->piece;
    }
    return fs_write_at(first->fd, bytes, count * page_size, (uint64_t)(first->page - 1) * page_size, err) ||
           err_wrap(err, "page %u", first->page);
}

static bool write_batch(void *context, struct err *err)
{
    struct page_writer *writer = context;
    size_t count;

    qsort(writer->images, writer->count, sizeof(writer->images[0]), compare_images);
    for (size_t at = 0; at < writer->count; at += count) {
        count = stretch(writer, at);
        if (!write_piece(writer, at, count, err))
            return false;
    }
    return true;
}

bool page_writer_begin(struct page_writer *writer, const struct page_image *images, size_t count,
                       struct err *err)
{
    assert(count > 0 && count <= PAGE_BATCH_MAX);
    if (!page_writer_wait(writer, err))
        return false;
    memcpy(writer->images, images, count * sizeof(images[0]));
    writer->count = count;
    if (!writer->pool)
        return write_batch(writer, err);
    group_submit(&writer->group, write_batch, writer);
    return true;
}

bool page_writer_wait(struct page_writer *writer, struct err *err)
{
    return !writer->pool || group_wait(&writer->group, err);
}
