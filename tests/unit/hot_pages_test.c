/* Pages that are kept over their files: found as they were put, written when they must be, and never
 * otherwise. */
#include "snapshot/hot_pages.h"

#include "snapshot/page_writer.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { PAGE = 512 };

static int new_file(void)
{
    int fd = memfd_create("database", MFD_CLOEXEC);

    if (fd < 0)
        abort();
    return fd;
}

static void put(struct hot_pages *hot, int fd, uint32_t page, char letter)
{
    uint8_t bytes[PAGE];
    struct err err = {0};

    memset(bytes, letter, PAGE);
    EXPECT_OK(hot_pages_put(hot, &(struct hot_page){fd, page, PAGE, (uint64_t)letter * page, bytes}, &err),
              &err);
}

/* The letter that a page is kept with, '-' if it isn't. */
static char kept(struct hot_pages *hot, int fd, uint32_t page)
{
    uint64_t hash = 0;
    const uint8_t *bytes = hot_pages_find(hot, fd, page, &hash);

    if (!bytes)
        return '-';
    EXPECT_INT(hash, (uint64_t)bytes[0] * page);
    EXPECT(memcmp(bytes, bytes + 1, PAGE - 1) == 0);
    return (char)bytes[0];
}

/* The letter of a page in the file, '-' if the file ends before. */
static char written(int fd, uint32_t page)
{
    uint8_t bytes[PAGE];

    if (pread(fd, bytes, PAGE, (off_t)(page - 1) * PAGE) != PAGE)
        return '-';
    return bytes[0] ? (char)bytes[0] : '0';
}

TEST(a_page_is_found_as_it_was_put_last)
{
    CLEANUP(close_fdp) int one = new_file();
    CLEANUP(close_fdp) int other = new_file();
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(10 * PAGE);

    put(hot, one, 3, 'a');
    put(hot, other, 3, 'b');
    put(hot, one, 3 + 4096, 'c'); /* in the same bucket */
    put(hot, one, 3, 'd');
    EXPECT_INT(kept(hot, one, 3), 'd');
    EXPECT_INT(kept(hot, other, 3), 'b');
    EXPECT_INT(kept(hot, one, 3 + 4096), 'c');
    EXPECT_INT(kept(hot, one, 4), '-');
    EXPECT_INT(written(one, 3), '-');
}

TEST(the_pages_that_were_put_longest_ago_are_written_to_make_room)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(3 * PAGE);
    uint32_t last = 2 * PAGE_BATCH_MAX + 3; /* the first batch ends before the second begins */

    for (uint32_t page = 1; page <= last; page++)
        put(hot, fd, page, 'a');
    for (uint32_t page = 1; page <= PAGE_BATCH_MAX; page++) {
        EXPECT_INT(kept(hot, fd, page), '-');
        EXPECT_INT(written(fd, page), 'a');
    }
    for (uint32_t page = PAGE_BATCH_MAX + 1; page <= last; page++)
        EXPECT_INT(kept(hot, fd, page), 'a');
    EXPECT_INT(written(fd, last - 1), '-');
}

TEST(a_page_that_is_used_again_and_again_is_not_written)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(3 * PAGE);

    for (uint32_t page = 2; page <= 3 * PAGE_BATCH_MAX; page++) {
        put(hot, fd, 1, (char)('a' + page % 26));
        put(hot, fd, page, 'z');
    }
    EXPECT_INT(kept(hot, fd, 1), 'a' + 3 * PAGE_BATCH_MAX % 26);
    EXPECT_INT(written(fd, 1), '0');
}

/* New images come before, while and after the older ones are on their way. */
TEST(whatever_the_order_the_newest_image_is_found_and_is_what_the_file_gets)
{
    enum { PAGES = 700, STEPS = 60000 };
    CLEANUP(close_fdp) int one = new_file();
    CLEANUP(close_fdp) int other = new_file();
    int fds[2] = {one, other};
    static char newest[2][PAGES + 1];
    struct err err = {0};

    for (unsigned seed = 1; seed <= 4; seed++) {
        CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(seed * 40 * PAGE);
        unsigned random = seed;
        for (int step = 0; step < STEPS; step++) {
            unsigned file = (unsigned)rand_r(&random) % 2, page = 1 + (unsigned)rand_r(&random) % PAGES;
            char letter = (char)('a' + rand_r(&random) % 26), seen;
            seen = kept(hot, fds[file], page);
            if (seen != '-' && seen != newest[file][page])
                REQUIRE(seen == newest[file][page]);
            if (seen == '-' && newest[file][page])
                REQUIRE(written(fds[file], page) == newest[file][page]);
            put(hot, fds[file], page, letter);
            newest[file][page] = letter;
        }
        for (int file = 0; file < 2; file++) {
            REQUIRE_OK(hot_pages_flush(hot, fds[file], &err), &err);
            for (uint32_t page = 1; page <= PAGES; page++)
                REQUIRE(newest[file][page] == 0 || written(fds[file], page) == newest[file][page]);
        }
    }
}

TEST(a_flush_writes_one_file_and_leaves_the_other)
{
    CLEANUP(close_fdp) int one = new_file();
    CLEANUP(close_fdp) int other = new_file();
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(100 * PAGE);
    struct err err = {0};

    for (uint32_t page = 1; page <= 9; page++)
        put(hot, page % 2 ? one : other, page, (char)('a' + page));
    EXPECT_OK(hot_pages_flush(hot, one, &err), &err);
    for (uint32_t page = 1; page <= 9; page++) {
        EXPECT_INT(kept(hot, page % 2 ? one : other, page), page % 2 ? '-' : 'a' + (int)page);
        EXPECT_INT(written(one, page), page % 2 ? 'a' + (int)page : '0');
        EXPECT_INT(written(other, page), '-');
    }
}

TEST(what_is_forgotten_is_never_written)
{
    CLEANUP(close_fdp) int one = new_file();
    CLEANUP(close_fdp) int other = new_file();
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(2 * PAGE);
    struct err err = {0};

    put(hot, one, 1, 'a');
    put(hot, other, 2, 'b');
    hot_pages_forget(hot, one);
    EXPECT_INT(kept(hot, one, 1), '-');
    put(hot, other, 3, 'c');
    EXPECT_INT(kept(hot, other, 2), 'b'); /* there was room again */
    EXPECT_OK(hot_pages_flush(hot, one, &err), &err);
    EXPECT_INT(written(one, 1), '-');
}

TEST(a_disk_that_fails_is_told)
{
    CLEANUP(close_fdp) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(PAGE);
    struct err err = {0};

    put(hot, fd, 7, 'a');
    EXPECT(!hot_pages_flush(hot, fd, &err));
    EXPECT_INT(err.code, ERR_SYSTEM);
    EXPECT_STR(err.text, "page 7: write 512 bytes: No space left on device");
}

/* Whoever has forgotten the one file must not believe that all is well with the other. */
TEST(a_failure_is_not_forgotten)
{
    CLEANUP(close_fdp) int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(PAGE);
    uint8_t bytes[PAGE] = {1};
    bool failed = false;
    struct err err = {0};

    for (uint32_t page = 1; page <= PAGE_BATCH_MAX + 1; page++)
        put(hot, full, page, 'a');
    hot_pages_forget(hot, full);
    for (uint32_t page = 1; page <= 3 * PAGE_BATCH_MAX && !failed; page++)
        failed = !hot_pages_put(hot, &(struct hot_page){fd, page, PAGE, 0, bytes}, &err);
    EXPECT(failed);
    EXPECT_INT(err.code, ERR_SYSTEM);
    err = (struct err){0};
    EXPECT(!hot_pages_flush(hot, fd, &err));
    EXPECT_INT(err.code, ERR_SYSTEM);
}

TAP_MAIN()
