/* Pages of letters, kept and written. */
#ifndef TESTS_UNIT_HOT_PAGES_BENCH_H
#define TESTS_UNIT_HOT_PAGES_BENCH_H

#include "snapshot/hot_pages.h"

#include "snapshot/page_reader.h"
#include "snapshot/page_writer.h"
#include "snapshot/pagehash.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { PAGE = 512 };

static inline int new_file(void)
{
    int fd = memfd_create("database", MFD_CLOEXEC);

    if (fd < 0)
        abort();
    return fd;
}

static inline void put(struct hot_pages *hot, int fd, uint32_t page, char letter)
{
    uint8_t bytes[PAGE];
    struct err err = {0};

    memset(bytes, letter, PAGE);
    EXPECT_OK(hot_pages_put(hot, &(struct hot_page){fd, page, PAGE, NULL, bytes}, &err), &err);
}

/* The letter that a page is kept with, '-' if it isn't. */
static inline char kept(struct hot_pages *hot, int fd, uint32_t page)
{
    uint64_t hash = 0;
    const uint8_t *bytes = hot_pages_find(hot, fd, page, &hash);

    if (!bytes)
        return '-';
    EXPECT(hash == 0 || hash == pagehash_of(bytes, PAGE, PAGE, page));
    EXPECT(memcmp(bytes, bytes + 1, PAGE - 1) == 0);
    return (char)bytes[0];
}

/* The letter of a page in the file, '-' if the file ends before. */
static inline char written(int fd, uint32_t page)
{
    uint8_t bytes[PAGE];

    if (pread(fd, bytes, PAGE, (off_t)(page - 1) * PAGE) != PAGE)
        return '-';
    return bytes[0] ? (char)bytes[0] : '0';
}

#endif
