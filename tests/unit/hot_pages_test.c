/* Pages that are kept over their files: found as they were put, written when they must be, and never
 * otherwise. */
#include "snapshot/hot_pages.h"

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
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(10 * PAGE);
    CLEANUP(close_fdp) int one = new_file();
    CLEANUP(close_fdp) int other = new_file();

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

TEST(the_page_that_was_put_longest_ago_is_written_to_make_room)
{
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(3 * PAGE);
    CLEANUP(close_fdp) int fd = new_file();

    for (uint32_t page = 1; page <= 3; page++)
        put(hot, fd, page, 'a');
    put(hot, fd, 1, 'b');
    put(hot, fd, 4, 'c');
    EXPECT_INT(kept(hot, fd, 2), '-');
    EXPECT_INT(written(fd, 2), 'a');
    EXPECT_INT(kept(hot, fd, 1), 'b');
    EXPECT_INT(written(fd, 1), '0');
    EXPECT_INT(kept(hot, fd, 3), 'a');
    EXPECT_INT(kept(hot, fd, 4), 'c');
}

TEST(without_room_everything_is_written_at_once)
{
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(0);
    CLEANUP(close_fdp) int fd = new_file();

    put(hot, fd, 2, 'a');
    EXPECT_INT(kept(hot, fd, 2), '-');
    EXPECT_INT(written(fd, 2), 'a');
}

TEST(a_flush_writes_one_file_and_leaves_the_other)
{
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(100 * PAGE);
    CLEANUP(close_fdp) int one = new_file();
    CLEANUP(close_fdp) int other = new_file();
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
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(2 * PAGE);
    CLEANUP(close_fdp) int one = new_file();
    CLEANUP(close_fdp) int other = new_file();
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
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(PAGE);
    CLEANUP(close_fdp) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    uint8_t bytes[PAGE] = {1};
    struct err err = {0};

    put(hot, fd, 7, 'a');
    EXPECT(!hot_pages_put(hot, &(struct hot_page){fd, 8, PAGE, 0, bytes}, &err));
    EXPECT_INT(err.code, ERR_SYSTEM);
    EXPECT_STR(err.text, "page 7: write 512 bytes: No space left on device");
    EXPECT(!hot_pages_flush(hot, fd, &err));
}

TAP_MAIN()
