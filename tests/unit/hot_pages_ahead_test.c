/* Pages that are read before they are needed: found as they are in the file, never written back, and never in
 * place of newer ones. */
#include "tests/unit/hot_pages_bench.h"

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

TAP_MAIN()
