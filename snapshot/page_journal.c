/* A header (magic, position), then blocks: u32 size, that many bytes, and u64 chain, the XXH3-64 of the bytes
 * seeded with the chain before (the position, for the first). A block without bytes is the last one.
 *
 * The file is written over in place: what a killed process leaves is the beginning of one and the rest of
 * another. The chain of the first leads into the second only where both are the same. */
#include "snapshot/page_journal.h"

#include "base/fs.h"
#include "snapshot/pagehash.h"
#include "snapshot/wire.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum {
    HEADER_BYTES = 16,
    WAITING_MAX = 64 << 10, /* written at once */
    BLOCK_FRAME = 4 + 8,    /* around the bytes */
    BLOCK_MAX = 2 + TREE_PATH_MAX + 8 + 4 + 4 + DELTA_PAGES_MAX * (4 + 8),
    WINDOW_BYTES = 128 << 10,
};

static const char magic[] = "HFHASHJ1";

/* --- writing ----------------------------------------------------------------------------------------- */

void page_journal_begin(struct page_journal *journal, int directory_fd, uint64_t position)
{
    page_journal_clear(journal);
    *journal = (struct page_journal){
        .directory_fd = directory_fd,
        .position = position,
        .fd = -1,
        .chain = position,
        .waiting = BUF_INIT(WAITING_MAX + BLOCK_FRAME + BLOCK_MAX + HEADER_BYTES),
    };
}

void page_journal_clear(struct page_journal *journal)
{
    if (journal->is_open)
        (void)close(journal->fd);
    journal->is_open = false;
    buf_clear(&journal->waiting);
}

static bool open_file(struct page_journal *journal)
{
    struct err *err = &journal->why;

    if (!fs_open_beneath(journal->directory_fd, PAGE_JOURNAL_PATH, O_WRONLY | O_CREAT, 0600, &journal->fd,
                         err))
        return false;
    journal->is_open = true;
    buf_add(&journal->waiting, magic, sizeof(magic) - 1);
    wire_add_u64(&journal->waiting, journal->position);
    return true;
}

static void write_waiting(struct page_journal *journal)
{
    struct buf *waiting = &journal->waiting;

    assert(!waiting->overflowed);
    if (!journal->failed &&
        !fs_write_at(journal->fd, waiting->bytes, waiting->size, journal->written, &journal->why))
        journal->failed = true;
    journal->written += waiting->size;
    buf_reset(waiting);
}

/* Around what stands in `waiting` from `start` on, behind room for its size. */
static void close_block(struct page_journal *journal, size_t start)
{
    struct buf *waiting = &journal->waiting;
    uint32_t size = (uint32_t)(waiting->size - start - sizeof(size));

    for (size_t at = 0; at < sizeof(size); at++)
        waiting->bytes[start + at] = (uint8_t)(size >> (8 * at));
    journal->chain = pagehash_bytes(waiting->bytes + start + sizeof(size), size, journal->chain);
    wire_add_u64(waiting, journal->chain);
}

void page_journal_add(struct page_journal *journal, const struct data_run *run, const uint64_t *hashes)
{
    struct buf *waiting = &journal->waiting;
    size_t start;

    assert(run->count <= DELTA_PAGES_MAX);
    if (!journal->is_open && !journal->failed)
        journal->failed = !open_file(journal);
    if (journal->failed)
        return;
    start = waiting->size;
    wire_add_u32(waiting, 0);
    wire_add_str(waiting, run->path, strlen(run->path));
    wire_add_u64(waiting, run->incarnation);
    wire_add_u32(waiting, run->pages_after);
    wire_add_u32(waiting, run->count);
    for (uint32_t at = 0; at < run->count; at++)
        wire_add_u32(waiting, data_run_page(run, at));
    for (uint32_t at = 0; at < run->count; at++)
        wire_add_u64(waiting, hashes[at]);
    close_block(journal, start);
    if (waiting->size >= WAITING_MAX)
        write_waiting(journal);
}

bool page_journal_end(struct page_journal *journal, struct err *err)
{
    bool ended;

    if (journal->is_open) {
        size_t start = journal->waiting.size;
        wire_add_u32(&journal->waiting, 0);
        close_block(journal, start);
        write_waiting(journal);
        /* What is left of a longer one says nothing, and takes room. */
        if (!journal->failed && ftruncate(journal->fd, (off_t)journal->written) != 0)
            journal->failed = !err_errno(&journal->why, "cut " PAGE_JOURNAL_PATH);
    }
    ended = !journal->failed;
    if (!ended)
        *err = journal->why;
    page_journal_clear(journal);
    return ended || err_wrap(err, "write " PAGE_JOURNAL_PATH);
}

/* --- reading ----------------------------------------------------------------------------------------- */

struct window {
    int fd;
    uint64_t offset; /* of the file, where the next bytes come from */
    uint8_t *bytes;
    size_t at, size; /* what is left lies in between */
};

static bool torn(struct err *err)
{
    return err_set(err, ERR_CORRUPT, PAGE_JOURNAL_PATH " is not whole");
}

/* At least so many bytes, if the file has them. */
static bool fill(struct window *window, size_t wanted, struct err *err)
{
    ssize_t got = 1;

    assert(wanted <= WINDOW_BYTES);
    if (window->size - window->at >= wanted)
        return true;
    memmove(window->bytes, window->bytes + window->at, window->size - window->at);
    window->size -= window->at;
    window->at = 0;
    while (got > 0 && window->size < wanted) {
        got = pread(window->fd, window->bytes + window->size, WINDOW_BYTES - window->size,
                    (off_t)window->offset);
        if (got < 0)
            return err_errno(err, "read " PAGE_JOURNAL_PATH);
        window->size += (size_t)got;
        window->offset += (uint64_t)got;
    }
    return window->size >= wanted || torn(err);
}

static const uint8_t *take(struct window *window, size_t size, struct err *err)
{
    if (!fill(window, size, err))
        return NULL;
    window->at += size;
    return window->bytes + window->at - size;
}

static bool parse_run(const uint8_t *bytes, size_t size, struct page_journal_run *run)
{
    struct wire_reader reader = wire_reader_of(bytes, size);
    size_t path_size = 0;
    const char *path = wire_str(&reader, &path_size);

    if (path_size > TREE_PATH_MAX)
        return false;
    memcpy(run->database, path, path_size);
    run->database[path_size] = '\0';
    run->incarnation = wire_u64(&reader);
    run->pages_after = wire_u32(&reader);
    run->count = wire_u32(&reader);
    if (run->count == 0 || run->count > DELTA_PAGES_MAX)
        return false;
    for (uint32_t at = 0; at < run->count; at++) {
        run->pages[at] = wire_u32(&reader);
        if (run->pages[at] <= (at > 0 ? run->pages[at - 1] : 0) || run->pages[at] > run->pages_after)
            return false;
    }
    for (uint32_t at = 0; at < run->count; at++)
        run->hashes[at] = wire_u64(&reader);
    return wire_done(&reader);
}

/* One block; *ret_end: it was the last one. */
static bool read_block(struct window *window, uint64_t *chain, const uint8_t **ret_bytes, size_t *ret_size,
                       struct err *err)
{
    const uint8_t *bytes = take(window, sizeof(uint32_t), err);
    struct wire_reader reader;
    uint32_t size;

    if (!bytes)
        return false;
    reader = wire_reader_of(bytes, sizeof(uint32_t));
    size = wire_u32(&reader);
    if (size > BLOCK_MAX)
        return torn(err);
    bytes = take(window, size + sizeof(uint64_t), err);
    if (!bytes)
        return false;
    reader = wire_reader_of(bytes + size, sizeof(uint64_t));
    *chain = pagehash_bytes(bytes, size, *chain);
    if (wire_u64(&reader) != *chain)
        return torn(err);
    *ret_bytes = bytes;
    *ret_size = size;
    return true;
}

static bool read_runs(struct window *window, uint64_t chain, const struct page_journal_visitor *visitor,
                      struct err *err)
{
    CLEANUP(freep) struct page_journal_run *run = xmalloc(sizeof(*run));
    const uint8_t *bytes = NULL;
    size_t size = 0;

    for (;;) {
        if (!read_block(window, &chain, &bytes, &size, err))
            return false;
        if (size == 0)
            return true;
        if (!parse_run(bytes, size, run))
            return torn(err);
        if (visitor->take && !visitor->take(visitor->context, run, err))
            return false;
    }
}

bool page_journal_read(int directory_fd, const struct page_journal_visitor *visitor, uint64_t *ret_position,
                       struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;
    CLEANUP(freep) uint8_t *bytes = xmalloc(WINDOW_BYTES);
    struct window window = {.bytes = bytes};
    struct wire_reader reader;
    const uint8_t *header;
    uint64_t position;

    if (!fs_open_beneath(directory_fd, PAGE_JOURNAL_PATH, O_RDONLY, 0, &fd, err))
        return false;
    window.fd = fd;
    header = take(&window, HEADER_BYTES, err);
    if (!header)
        return false;
    if (memcmp(header, magic, sizeof(magic) - 1) != 0)
        return torn(err);
    reader = wire_reader_of(header + sizeof(magic) - 1, sizeof(position));
    position = wire_u64(&reader);
    if (!read_runs(&window, position, visitor, err))
        return false;
    *ret_position = position;
    return true;
}
