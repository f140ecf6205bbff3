#include "snapshot/pagehash.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "tests/tap.h"

enum { PAGE = 4096, PAGES = 16 };

static void fill(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at++)
        bytes[at] = (uint8_t)(at * 7 + at / 251);
}

/* Made with the reference implementation, `xxhsum -H3` of xxHash 0.8.1 linked as XXH3_64bits_withSeed(page,
 * 4096, n). */
TEST(the_hash_of_a_page_is_pinned)
{
    static uint8_t page[PAGE];

    EXPECT(pagehash_of(page, PAGE, PAGE, 1) == UINT64_C(0xeca1fdafb7b0bd2a));
    fill(page, PAGE);
    EXPECT(pagehash_of(page, PAGE, PAGE, 1) == UINT64_C(0x82802005c1b4bd48));
    EXPECT(pagehash_of(page, PAGE, PAGE, UINT32_MAX) == UINT64_C(0x799b5c5bfbdfddc8));
    EXPECT(pagehash_of(page, PAGE, 512, 1) == UINT64_C(0x191f93ff26360c84));
}

TEST(no_pages_have_the_hash_zero)
{
    EXPECT(pagehash_of("", 0, PAGE, 1) == 0);
}

TEST(pages_may_be_hashed_in_any_order_and_in_any_pieces)
{
    static uint8_t pages[PAGES * PAGE];
    uint64_t whole, pieced = 0;

    fill(pages, sizeof(pages));
    whole = pagehash_of(pages, sizeof(pages), PAGE, 1);
    for (size_t at = PAGES; at > 0; at--)
        pieced ^= pagehash_of(pages + (at - 1) * PAGE, PAGE, PAGE, at);
    EXPECT(whole == pieced);
    EXPECT(whole ==
           (pagehash_of(pages, 5 * PAGE, PAGE, 1) ^ pagehash_of(pages + 5 * PAGE, 11 * PAGE, PAGE, 6)));
}

TEST(each_page_has_its_own_value_and_they_add_up_to_the_whole)
{
    for (uint32_t page_size = 512; page_size <= 65536; page_size *= 128) {
        CLEANUP(freep) uint8_t *pages = xmalloc(5 * (size_t)page_size);
        uint64_t first = pagehash_lock_page(page_size) - 2, values[5], sum = 0;
        fill(pages, 5 * (size_t)page_size);
        EXPECT(pagehash_each(pages, 5 * (size_t)page_size, page_size, first, values) ==
               pagehash_of(pages, 5 * (size_t)page_size, page_size, first));
        for (size_t at = 0; at < 5; at++) {
            EXPECT(values[at] == pagehash_of(pages + at * page_size, page_size, page_size, first + at));
            sum ^= values[at];
        }
        EXPECT(values[2] == 0 && values[1] != 0);
        EXPECT(sum == pagehash_of(pages, 5 * (size_t)page_size, page_size, first));
    }
}

TEST(two_pages_that_change_places_are_noticed)
{
    static uint8_t pages[2 * PAGE], swapped[2 * PAGE];

    fill(pages, sizeof(pages));
    memcpy(swapped, pages + PAGE, PAGE);
    memcpy(swapped + PAGE, pages, PAGE);
    EXPECT(pagehash_of(pages, sizeof(pages), PAGE, 1) != pagehash_of(swapped, sizeof(swapped), PAGE, 1));
}

TEST(equal_pages_do_not_cancel_each_other)
{
    static uint8_t pages[2 * PAGE];

    EXPECT(pagehash_of(pages, sizeof(pages), PAGE, 1) != 0);
}

TEST(the_lock_byte_page_does_not_count)
{
    for (uint32_t page_size = 512; page_size <= 65536; page_size *= 2) {
        CLEANUP(freep) uint8_t *pages = xmalloc(3 * (size_t)page_size);
        uint64_t lock_page = (UINT64_C(1) << 30) / page_size + 1, before;
        fill(pages, 3 * (size_t)page_size);
        before = pagehash_of(pages, 3 * (size_t)page_size, page_size, lock_page - 1);
        pages[page_size + 5] ^= 1;
        EXPECT(pagehash_of(pages, 3 * (size_t)page_size, page_size, lock_page - 1) == before);
        EXPECT(pagehash_of(pages + page_size, page_size, page_size, lock_page) == 0);
        pages[5] ^= 1;
        EXPECT(pagehash_of(pages, 3 * (size_t)page_size, page_size, lock_page - 1) != before);
    }
}

TEST(page_sizes_are_the_powers_of_two_from_512_to_65536)
{
    unsigned found = 0;

    for (uint64_t size = 0; size <= 200000; size++)
        found += pagehash_is_page_size(size);
    EXPECT_INT(found, 8);
    EXPECT(pagehash_is_page_size(512) && pagehash_is_page_size(65536));
    EXPECT(!pagehash_is_page_size(UINT64_C(1) << 32 | 4096));
}

TEST(the_lock_byte_page_begins_at_the_first_gibibyte)
{
    EXPECT_INT(pagehash_lock_page(512), 2097153);
    EXPECT_INT(pagehash_lock_page(4096), 262145);
    EXPECT_INT(pagehash_lock_page(65536), 16385);
}

TAP_MAIN()
