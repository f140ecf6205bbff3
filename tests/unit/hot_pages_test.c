/* Pages that are kept over their files: found as they were put, written when they must be, and never
 * otherwise. */
#include "snapshot/hot_pages.h"

#include "snapshot/page_reader.h"
#include "snapshot/page_writer.h"
#include "snapshot/pagehash.h"
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
    EXPECT_OK(hot_pages_put(
                  hot, &(struct hot_page){fd, page, PAGE, pagehash_of(bytes, PAGE, PAGE, page), bytes}, &err),
              &err);
}

/* The letter that a page is kept with, '-' if it isn't. */
static char kept(struct hot_pages *hot, int fd, uint32_t page)
{
    uint64_t hash = 0;
    const uint8_t *bytes = hot_pages_find(hot, fd, page, &hash);

    if (!bytes)
        return '-';
    EXPECT(hash == pagehash_of(bytes, PAGE, PAGE, page));
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
            if (rand_r(&random) % 8 == 0 && hot_pages_can_want(hot)) {
                unsigned near = 1 + (page + (unsigned)rand_r(&random) % 40) % PAGES;
                if (newest[file][near])
                    REQUIRE(hot_pages_want(hot, fds[file], near, PAGE) || hot_pages_read(hot));
                if (rand_r(&random) % 4 == 0)
                    (void)hot_pages_read(hot);
            }
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

/* --- reading ahead ----------------------------------------------------------------------------------- */

/* Pages first to last are in the file, with the letters 'a' and so on. */
static void fill(int fd, uint32_t first, uint32_t last)
{
    uint8_t bytes[PAGE];

    for (uint32_t page = first; page <= last; page++) {
        memset(bytes, 'a' + (int)(page % 26), PAGE);
        EXPECT_INT(pwrite(fd, bytes, PAGE, (off_t)(page - 1) * PAGE), PAGE);
    }
}

static void want(struct hot_pages *hot, int fd, uint32_t first, uint32_t last)
{
    EXPECT(hot_pages_can_want(hot));
    for (uint32_t page = first; page <= last; page++)
        EXPECT(hot_pages_want(hot, fd, page, PAGE));
    EXPECT(hot_pages_read(hot));
}

static void expect_as_in_file(struct hot_pages *hot, int fd, uint32_t page)
{
    uint64_t hash = 0;
    const uint8_t *bytes = hot_pages_find(hot, fd, page, &hash);

    REQUIRE(bytes);
    EXPECT_INT(bytes[PAGE - 1], written(fd, page));
    EXPECT(hash == pagehash_of(bytes, PAGE, PAGE, page));
}

TEST(what_was_wanted_is_found_with_its_hash_and_never_written_back)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(4 * PAGE);
    struct err err = {0};

    fill(fd, 1, 9);
    want(hot, fd, 2, 4);
    want(hot, fd, 7, 7);
    for (uint32_t page = 2; page <= 4; page++)
        expect_as_in_file(hot, fd, page);
    expect_as_in_file(hot, fd, 7);
    fill(fd, 2, 2); /* a writer would put the older bytes back */
    EXPECT_INT(pwrite(fd, "Z", 1, PAGE), 1);
    for (uint32_t page = 100; page < 110; page++)
        put(hot, fd, page, 'x'); /* out of the list with them */
    EXPECT_INT(kept(hot, fd, 2), '-');
    EXPECT_OK(hot_pages_flush(hot, fd, &err), &err);
    EXPECT_INT(written(fd, 2), 'Z');
}

TEST(a_page_that_is_put_is_newer_than_what_was_read)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(10 * PAGE);

    fill(fd, 1, 9);
    want(hot, fd, 1, 3);
    put(hot, fd, 2, 'X');
    EXPECT_INT(kept(hot, fd, 2), 'X');
    expect_as_in_file(hot, fd, 1); /* now the batch was waited for */
    EXPECT_INT(kept(hot, fd, 2), 'X');
    want(hot, fd, 2, 4); /* the one that is here is not read again */
    expect_as_in_file(hot, fd, 4);
    EXPECT_INT(kept(hot, fd, 2), 'X');
}

TEST(a_batch_has_an_end_and_so_have_batches)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(1000 * PAGE);
    uint32_t page = 1;

    fill(fd, 1, PAGE_READING_MAX * (PAGE_READINGS + 1));
    EXPECT(!hot_pages_read(hot)); /* nothing is wanted */
    for (int batch = 0; batch < PAGE_READINGS; batch++) {
        uint32_t begun = page;
        while (hot_pages_want(hot, fd, page, PAGE))
            page++;
        EXPECT_INT(page - begun, PAGE_READING_MAX);
        EXPECT(hot_pages_read(hot));
    }
    EXPECT(!hot_pages_can_want(hot));
    expect_as_in_file(hot, fd, PAGE_READING_MAX); /* of the first one */
    EXPECT(hot_pages_can_want(hot));
    want(hot, fd, page, page);
    for (uint32_t at = 1; at <= page; at++)
        expect_as_in_file(hot, fd, at);
}

TEST(a_page_that_cannot_be_read_is_not_found)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(10 * PAGE);

    fill(fd, 1, 2);
    want(hot, fd, 2, 3);
    EXPECT_INT(kept(hot, fd, 3), '-');
    expect_as_in_file(hot, fd, 2);
}

TEST(a_file_that_is_flushed_or_forgotten_is_read_no_more)
{
    CLEANUP(close_fdp) int one = new_file();
    CLEANUP(close_fdp) int other = new_file();
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(10 * PAGE);
    struct err err = {0};

    fill(one, 1, 3);
    fill(other, 1, 3);
    want(hot, one, 1, 2);
    want(hot, other, 1, 2);
    EXPECT_OK(hot_pages_flush(hot, one, &err), &err);
    EXPECT_INT(kept(hot, one, 1), '-');
    expect_as_in_file(hot, other, 1);
    want(hot, one, 1, 2);
    hot_pages_forget(hot, other);
    EXPECT_INT(kept(hot, other, 1), '-');
    want(hot, one, 3, 3); /* and with these it is freed */
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
