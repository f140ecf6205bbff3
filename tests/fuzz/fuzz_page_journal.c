/* Journals of page hashes: what a crash, or another program, has left on the disk. What is taken for whole
 * obeys the rules that page_tables.c relies on, and says all that its bytes say: written again it gives them
 * back. No fuzzer finds a hash: each input is also read with a chain that fits. */
#include "tests/fuzz/fuzz.h"

#include "snapshot/page_journal.h"

#include "base/fs.h"
#include "snapshot/pagehash.h"
#include "tests/double/scratch.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_BYTES = 16, MAGIC_BYTES = 8, SIZE_BYTES = 4, CHAIN_BYTES = 8 };

static struct scratch disk; /* for the life of the process */
static int journal_fd = -1; /* kept: ext4 waits for the disk when a file that was cut to nothing is closed */

static void close_disk(void)
{
    (void)close(journal_fd);
    scratch_close(&disk);
}

static void open_disk(void)
{
    int failed;

    if (disk.path[0] != '\0')
        return;
    scratch_open(&disk);
    scratch_write(disk.fd, PAGE_JOURNAL_PATH, "");
    journal_fd = openat(disk.fd, PAGE_JOURNAL_PATH, O_WRONLY | O_CLOEXEC);
    assert(journal_fd >= 0);
    failed = atexit(close_disk);
    assert(!failed);
}

static uint64_t load(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;

    while (size > 0)
        value = value << 8 | bytes[--size];
    return value;
}

/* A copy whose blocks have the chain that they should, as far as there are whole ones. */
static uint8_t *rechain(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = xmalloc(size);
    size_t at = HEADER_BYTES;
    uint64_t chain;

    if (size > 0)
        memcpy(copy, bytes, size);
    if (size < HEADER_BYTES)
        return copy;
    chain = load(bytes + MAGIC_BYTES, HEADER_BYTES - MAGIC_BYTES);
    while (size - at >= SIZE_BYTES + CHAIN_BYTES) {
        size_t block = (size_t)load(copy + at, SIZE_BYTES);
        at += SIZE_BYTES;
        if (block > size - at - CHAIN_BYTES)
            break;
        chain = pagehash_bytes(copy + at, block, chain);
        at += block;
        for (size_t byte = 0; byte < CHAIN_BYTES; byte++)
            copy[at + byte] = (uint8_t)(chain >> (8 * byte));
        at += CHAIN_BYTES;
    }
    return copy;
}

/* A legal run, which is written once more. */
static bool take_run(void *context, const struct page_journal_run *run, struct err *err)
{
    const struct data_run again = {.path = run->database,
                                   .incarnation = run->incarnation,
                                   .pages_after = run->pages_after,
                                   .count = run->count,
                                   .pages = run->pages};

    (void)err;
    assert(memchr(run->database, '\0', sizeof(run->database)));
    assert(run->count > 0 && run->count <= DELTA_PAGES_MAX && run->pages[0] > 0);
    for (uint32_t at = 1; at < run->count; at++)
        assert(run->pages[at] > run->pages[at - 1]);
    assert(run->pages[run->count - 1] <= run->pages_after);
    if (context)
        page_journal_add(context, &again, run->hashes);
    return true;
}

/* The journal that lies there, read while it is written over: what is read is ahead of what is written, since
 * nothing is written before the end of so little. */
static void write_again(const uint8_t *bytes, size_t size, uint64_t position)
{
    CLEANUP(buf_clearp) struct buf written = BUF_INIT(SIZE_MAX / 2);
    struct page_journal journal = {0};
    struct page_journal_visitor visitor = {.take = take_run, .context = &journal};
    uint64_t position_again = 0;
    struct err err = {0};
    bool held;

    page_journal_begin(&journal, disk.fd, position);
    held = page_journal_read(disk.fd, &visitor, &position_again, &err);
    assert(held && position_again == position);
    if (!journal.is_open) { /* without a run no file is touched */
        page_journal_clear(&journal);
        return;
    }
    held = page_journal_end(&journal, &err);
    assert(held);
    held = fs_read_file(disk.fd, PAGE_JOURNAL_PATH, &written, &err);
    assert(held && written.size <= size && memcmp(written.bytes, bytes, written.size) == 0);
}

static void check(const uint8_t *bytes, size_t size)
{
    struct page_journal_visitor visitor = {.take = take_run};
    uint64_t position = 0;
    struct err err = {0};
    bool put = fs_write_at(journal_fd, bytes, size, 0, &err) && ftruncate(journal_fd, (off_t)size) == 0;

    assert(put);
    if (!page_journal_read(disk.fd, &visitor, &position, &err))
        assert(err.code == ERR_CORRUPT && err.text[0] != '\0');
    else if (size < 32 * 1024) /* see write_again() */
        write_again(bytes, size, position);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    CLEANUP(freep) uint8_t *chained = rechain(bytes, size);

    open_disk();
    check(bytes, size);
    check(chained, size);
    return 0;
}
