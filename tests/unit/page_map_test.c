#include "snapshot/page_map.h"

#include "tests/tap.h"

enum { PAGES = 5000, STEPS = 200000 };

/* The same in the simplest way. */
static uint32_t plain[PAGES + 1];

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

TEST(an_empty_map_knows_no_page)
{
    struct page_map map = {0};

    EXPECT_INT(page_map_get(&map, 1), 0);
    EXPECT_INT(page_map_get(&map, UINT32_MAX), 0);
    page_map_clear(&map);
}

TEST(a_map_answers_like_a_plain_array)
{
    struct page_map map = {0};
    uint64_t seed = 20260101;
    uint32_t wrong = 0;

    for (uint32_t at = 1; at <= STEPS; at++) {
        uint32_t page = next_random(&seed) % PAGES + 1;
        wrong += page_map_get(&map, page) != plain[page];
        page_map_put(&map, page, at);
        plain[page] = at;
    }
    for (uint32_t page = 1; page <= PAGES; page++)
        wrong += page_map_get(&map, page) != plain[page];
    EXPECT_INT(wrong, 0);
    page_map_clear(&map);
}

TEST(the_largest_numbers_are_kept)
{
    struct page_map map = {0};

    page_map_put(&map, UINT32_MAX, UINT32_MAX);
    page_map_put(&map, UINT32_MAX - 1, 1);
    EXPECT(page_map_get(&map, UINT32_MAX) == UINT32_MAX);
    EXPECT_INT(page_map_get(&map, UINT32_MAX - 1), 1);
    EXPECT_INT(page_map_get(&map, UINT32_MAX - 2), 0);
    page_map_clear(&map);
}

TEST(memory_is_in_proportion_to_the_pages_that_are_in_it)
{
    struct page_map map = {0};

    for (uint32_t at = 1; at <= PAGES; at++) {
        page_map_put(&map, at * 100003, at);
        page_map_put(&map, at * 100003, at + 1); /* the same page takes no more */
        EXPECT(map.capacity <= 64 || map.capacity < 3 * map.count);
    }
    EXPECT_INT(map.count, PAGES);
    page_map_clear(&map);
    EXPECT(map.entries == NULL && map.capacity == 0);
    EXPECT_INT(page_map_get(&map, 100003), 0);
}

TEST(a_copy_is_a_map_of_its_own)
{
    struct page_map map = {0}, copy, empty;

    page_map_copy(&map, &empty);
    EXPECT_INT(page_map_get(&empty, 1), 0);
    for (uint32_t page = 1; page <= 100; page++)
        page_map_put(&map, page, page + 1000);
    page_map_copy(&map, &copy);
    page_map_put(&map, 7, 1);
    page_map_clear(&map);
    for (uint32_t page = 1; page <= 100; page++)
        EXPECT_INT(page_map_get(&copy, page), page + 1000);
    EXPECT_INT(page_map_get(&copy, 101), 0);
    page_map_clear(&copy);
    page_map_clear(&empty);
}

TAP_MAIN()
