#include "snapshot/place.h"

#include "base/fs.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"

#include <fcntl.h>

enum { SIZE = 9 << 20, ODD = 512 };

/* A file, its second descriptor, and what is meant to be in it. Where the file system has no
 * second way, there is nothing to test. */
struct stand {
    struct scratch scratch;
    int fd, direct_fd;
    uint8_t *bytes, *back;
};

static void stand_open(struct stand *stand)
{
    scratch_open(&stand->scratch);
    stand->bytes = xmalloc_aligned(PLACE_DIRECT_ALIGN, SIZE);
    stand->back = xmalloc(SIZE);
    for (size_t at = 0; at < SIZE; at++)
        stand->bytes[at] = (uint8_t)(at / 4096 + at % 251 + 1);
    stand->fd = openat(stand->scratch.fd, "db", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    REQUIRE(stand->fd >= 0 && ftruncate(stand->fd, SIZE) == 0);
    stand->direct_fd = place_open_direct(stand->fd);
}

static void stand_closep(struct stand *stand)
{
    close_fdp(&stand->direct_fd);
    close_fdp(&stand->fd);
    free(stand->bytes);
    free(stand->back);
    scratch_close(&stand->scratch);
}

static void expect_content(struct stand *stand)
{
    struct err err;

    REQUIRE_OK(fs_read_at(stand->fd, stand->back, SIZE, 0, &err), &err);
    EXPECT(memcmp(stand->back, stand->bytes, SIZE) == 0);
}

TEST(pages_written_around_the_cache_are_what_the_file_holds)
{
    CLEANUP(stand_closep) struct stand stand;
    struct err err;

    stand_open(&stand);
    if (stand.direct_fd < 0)
        return;
    REQUIRE_OK(place_write_direct(stand.direct_fd, stand.bytes, SIZE, 0, &err), &err);
    expect_content(&stand);
}

/* The page was in the cache, clean and dirty, before it was written around it. */
TEST(a_direct_write_wins_over_what_the_cache_holds)
{
    CLEANUP(stand_closep) struct stand stand;
    struct err err;

    stand_open(&stand);
    if (stand.direct_fd < 0)
        return;
    memset(stand.back, 'x', SIZE);
    REQUIRE_OK(place_write(stand.fd, stand.back, SIZE, 0, &err), &err);
    REQUIRE_OK(fs_read_at(stand.fd, stand.back, SIZE, 0, &err), &err);
    REQUIRE_OK(place_write_direct(stand.direct_fd, stand.bytes, SIZE, 0, &err), &err);
    expect_content(&stand);
}

TEST(both_ways_mix_in_one_file_as_at_the_end_of_one_with_small_pages)
{
    CLEANUP(stand_closep) struct stand stand;
    const size_t half = 4 << 20;
    struct err err;

    stand_open(&stand);
    if (stand.direct_fd < 0)
        return;
    REQUIRE_OK(place_write(stand.fd, stand.bytes + half, SIZE - half - ODD, half, &err), &err);
    REQUIRE_OK(place_write_direct(stand.direct_fd, stand.bytes, half, 0, &err), &err);
    REQUIRE_OK(place_write(stand.fd, stand.bytes + SIZE - ODD, ODD, SIZE - ODD, &err), &err);
    expect_content(&stand);
}

TEST(zeros_are_holes_here_too)
{
    CLEANUP(stand_closep) struct stand stand;
    struct err err;

    stand_open(&stand);
    if (stand.direct_fd < 0)
        return;
    memset(stand.bytes + 4096, 0, SIZE - 8192);
    REQUIRE_OK(place_write_direct(stand.direct_fd, stand.bytes, SIZE, 0, &err), &err);
    expect_content(&stand);
    EXPECT(scratch_stat(stand.scratch.fd, "db").st_blocks <= 8 * 4);
}

TEST(what_is_not_aligned_is_not_for_a_direct_write)
{
    uint8_t *page = (uint8_t *)(uintptr_t)(16 * PLACE_DIRECT_ALIGN);

    EXPECT(place_is_direct(page, 8192, 4096));
    EXPECT(!place_is_direct(page + 512, 8192, 4096));
    EXPECT(!place_is_direct(page, 8192 + 512, 4096));
    EXPECT(!place_is_direct(page, 8192, 512));
}

TEST(a_file_system_that_says_nothing_is_written_through_the_cache)
{
    CLEANUP(close_fdp) int fd = open("/proc/self/comm", O_RDWR | O_CLOEXEC);

    REQUIRE(fd >= 0);
    EXPECT_INT(place_open_direct(fd), -1);
}

TAP_MAIN()
