/* Pages that are kept over their files: found as they were put, written when they must be, and never
 * otherwise. */
#include "tests/unit/hot_pages_bench.h"

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

/* As a replay does it: what a page was leaves the sum, what it becomes enters it when it is hashed. */
static void change(struct hot_pages *hot, int fd, struct page_hashes *table, uint32_t page, char letter,
                   uint64_t *sum)
{
    uint8_t bytes[PAGE];
    uint64_t hash = 0;
    struct err err = {0};

    if (!hot_pages_take(hot, fd, page, &hash) && written(fd, page) != '-' &&
        pread(fd, bytes, PAGE, (off_t)(page - 1) * PAGE) == PAGE)
        hash = pagehash_of(bytes, PAGE, PAGE, page);
    *sum ^= hash;
    memset(bytes, letter, PAGE);
    REQUIRE_OK(hot_pages_put(hot, &(struct hot_page){fd, page, PAGE, table, bytes}, &err), &err);
}

static void expect_sum(int fd, const struct page_hashes *table, uint32_t pages, uint64_t sum)
{
    for (uint32_t page = 1; page <= pages; page++) {
        uint8_t bytes[PAGE];
        uint64_t hash;
        REQUIRE(pread(fd, bytes, PAGE, (off_t)(page - 1) * PAGE) == PAGE);
        hash = pagehash_of(bytes, PAGE, PAGE, page);
        REQUIRE(table->values[page - 1] == hash);
        sum ^= hash;
    }
    EXPECT(sum == 0);
}

TEST(whenever_pages_are_hashed_the_sum_is_that_of_the_file)
{
    enum { PAGES = 300, STEPS = 20000 };

    for (unsigned seed = 1; seed <= 6; seed++) {
        CLEANUP(close_fdp) int fd = new_file();
        CLEANUP(page_hashes_freep) struct page_hashes *table = page_hashes_new(PAGES);
        CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(seed * 30 * PAGE);
        unsigned random = seed;
        uint64_t sum = 0;
        struct err err = {0};
        for (uint32_t page = 1; page <= PAGES; page++)
            change(hot, fd, table, page, 'a', &sum);
        for (int step = 0; step < STEPS; step++) {
            change(hot, fd, table, 1 + (uint32_t)rand_r(&random) % PAGES, (char)('a' + rand_r(&random) % 26),
                   &sum);
            if (rand_r(&random) % 500 == 0)
                sum ^= hot_pages_hash(hot);
            if (rand_r(&random) % 3000 > 0)
                continue;
            REQUIRE_OK(hot_pages_flush(hot, fd, &err), &err);
            EXPECT_INT(hot_pages_unhashed(hot), 0);
            sum ^= hot_pages_hash(hot);
            expect_sum(fd, table, PAGES, sum);
        }
        REQUIRE_OK(hot_pages_flush(hot, fd, &err), &err);
        sum ^= hot_pages_hash(hot);
        expect_sum(fd, table, PAGES, sum);
    }
}

TEST(what_is_put_again_and_again_is_hashed_once)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(hot_pages_freep) struct hot_pages *hot = hot_pages_new(10 * PAGE);
    uint8_t last[PAGE];
    uint64_t sum = 0, hash = 1;

    for (int round = 0; round < 20; round++)
        change(hot, fd, NULL, 7, (char)('a' + round), &sum);
    EXPECT(sum == 0); /* none of them ever had a hash */
    EXPECT_INT(hot_pages_unhashed(hot), PAGE);
    EXPECT(hot_pages_find(hot, fd, 7, &hash) && hash == 0);
    memset(last, 'a' + 19, PAGE);
    EXPECT(hot_pages_hash(hot) == pagehash_of(last, PAGE, PAGE, 7));
    EXPECT(hot_pages_hash(hot) == 0);
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
        failed = !hot_pages_put(hot, &(struct hot_page){fd, page, PAGE, NULL, bytes}, &err);
    EXPECT(failed);
    EXPECT_INT(err.code, ERR_SYSTEM);
    err = (struct err){0};
    EXPECT(!hot_pages_flush(hot, fd, &err));
    EXPECT_INT(err.code, ERR_SYSTEM);
}

TAP_MAIN()
