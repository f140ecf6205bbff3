#include "snapshot/delta.h"

#include "tests/tap.h"

enum { PAGE = 4096 };

static uint32_t state = 7;

static uint8_t any_byte(void)
{
    state = state * 1664525 + 1013904223;
    return (uint8_t)(state >> 24);
}

/* Pages that don't compress by themselves. */
static uint8_t *make_pages(uint32_t count)
{
    uint8_t *pages = xmalloc((size_t)count * PAGE);

    for (size_t at = 0; at < (size_t)count * PAGE; at++)
        pages[at] = any_byte();
    return pages;
}

/* The same with a row of 60 bytes rewritten in the middle of each page, and what lay behind it moved up. */
static uint8_t *change_pages(const uint8_t *before, uint32_t count)
{
    uint8_t *pages = xmalloc((size_t)count * PAGE);

    for (uint32_t page = 0; page < count; page++) {
        const uint8_t *old = before + (size_t)page * PAGE;
        uint8_t *new = pages + (size_t)page *PAGE;
        memcpy(new, old, 2000);
        for (int at = 2000; at < 2060; at++)
            new[at] = any_byte();
        memcpy(new + 2060, old + 2000, PAGE - 2060);
    }
    return pages;
}

static struct codec_prefix prefix_of(const void *bytes, size_t size)
{
    return (struct codec_prefix){bytes, size};
}

/* Bytes of the delta of so many changed pages, after it has come back. */
static size_t check_pages(struct codec *codec, uint32_t count)
{
    CLEANUP(freep) uint8_t *before = make_pages(count), *after = change_pages(before, count);
    CLEANUP(freep) uint8_t *back = xmalloc((size_t)count * PAGE);
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(DELTA_FRAME_MAX);
    size_t size = (size_t)count * PAGE;
    struct err err = {0};

    EXPECT_OK(delta_encode(codec, after, size, prefix_of(before, size), &frame, &err), &err);
    EXPECT_OK(delta_decode(codec, frame.bytes, frame.size, prefix_of(before, size), back, size, &err), &err);
    EXPECT(memcmp(back, after, size) == 0);
    return frame.size;
}

TEST(a_delta_holds_what_changed_however_many_pages_there_are)
{
    static const uint32_t counts[] = {1, 20, 160, 161, 500, DELTA_PAGES_MAX};
    CLEANUP(codec_freep) struct codec *codec = codec_new();

    for (size_t at = 0; at < sizeof(counts) / sizeof(counts[0]); at++) {
        size_t size = check_pages(codec, counts[at]);
        if (!EXPECT(size < 120 * (size_t)counts[at]))
            printf("#   %zu bytes for %u pages\n", size, counts[at]);
    }
}

TEST(new_pages_have_no_previous_images)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(freep) uint8_t *before = make_pages(2), *after = make_pages(5), *back = xmalloc(5 * PAGE);
    CLEANUP(buf_clearp) struct buf some = BUF_INIT(DELTA_FRAME_MAX), none = BUF_INIT(DELTA_FRAME_MAX);
    struct err err = {0};

    memcpy(after + PAGE, before, 2 * PAGE); /* found in the prefix, whichever page it is */
    REQUIRE_OK(delta_encode(codec, after, 5 * PAGE, prefix_of(before, 2 * PAGE), &some, &err), &err);
    REQUIRE_OK(delta_encode(codec, after, 5 * PAGE, prefix_of(NULL, 0), &none, &err), &err);
    EXPECT(some.size < 3 * PAGE + 200 && none.size >= 5 * PAGE);
    EXPECT_OK(delta_decode(codec, some.bytes, some.size, prefix_of(before, 2 * PAGE), back, 5 * PAGE, &err),
              &err);
    EXPECT(memcmp(back, after, 5 * PAGE) == 0);
    EXPECT_OK(delta_decode(codec, none.bytes, none.size, prefix_of(NULL, 0), back, 5 * PAGE, &err), &err);
    EXPECT(memcmp(back, after, 5 * PAGE) == 0);
}

TEST(a_prefix_and_its_settings_serve_one_frame_only)
{
    CLEANUP(codec_freep) struct codec *used = codec_new(), *fresh = codec_new();
    CLEANUP(freep) uint8_t *pages = make_pages(8), *back = xmalloc(8 * PAGE);
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(1 << 20), plain = BUF_INIT(1 << 20), full = BUF_INIT(8);
    size_t size = 8 * PAGE;
    struct err err = {0};

    (void)check_pages(used, 1000);
    EXPECT(!delta_encode(used, pages, size, prefix_of(pages, size), &full, &err)); /* stopped half-way */
    EXPECT_INT(err.code, ERR_SYSTEM);
    EXPECT_INT(full.size, 0);
    REQUIRE_OK(codec_compress(used, 3, pages, size, &frame, &err), &err);
    REQUIRE_OK(codec_compress(fresh, 3, pages, size, &plain, &err), &err);
    EXPECT(frame.size == plain.size && memcmp(frame.bytes, plain.bytes, frame.size) == 0);
    EXPECT(!codec_decompress_against(used, prefix_of(pages, size), frame.bytes, frame.size - 1, back, size,
                                     &err));
    EXPECT_OK(codec_decompress(used, plain.bytes, plain.size, back, size, &err), &err);
    EXPECT(memcmp(back, pages, size) == 0);
}

/* Bytes are bytes: zstd would read tables out of what begins like one of its dictionaries, if it may guess.
 */
TEST(a_prefix_that_begins_like_a_dictionary_is_only_bytes)
{
    static const uint8_t magic[] = {0x37, 0xa4, 0x30, 0xec};
    static const size_t sizes[] = {1, 3, 4, 7, 8, 9, 100, PAGE, 8 * PAGE};
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(freep) uint8_t *before = make_pages(8), *back = xmalloc(8 * PAGE), *after = NULL;
    struct err err = {0};

    memcpy(before, magic, sizeof(magic));
    after = change_pages(before, 8);
    for (size_t at = 0; at < sizeof(sizes) / sizeof(sizes[0]); at++) {
        CLEANUP(buf_clearp) struct buf frame = BUF_INIT(DELTA_FRAME_MAX);
        struct codec_prefix prefix = prefix_of(before, sizes[at]);
        REQUIRE_OK(delta_encode(codec, after, 8 * PAGE, prefix, &frame, &err), &err);
        EXPECT(frame.size < 8 * PAGE + 200 - (sizes[at] > 100 ? sizes[at] - sizes[at] / 8 : 0));
        EXPECT_OK(delta_decode(codec, frame.bytes, frame.size, prefix, back, 8 * PAGE, &err), &err);
        EXPECT(memcmp(back, after, 8 * PAGE) == 0);
        EXPECT(!delta_decode(codec, frame.bytes, frame.size - 1, prefix, back, 8 * PAGE, &err));
    }
    (void)check_pages(codec, 1); /* nothing is left of the last one */
}

TEST(the_same_pages_give_the_same_delta)
{
    CLEANUP(codec_freep) struct codec *used = codec_new(), *fresh = codec_new();
    CLEANUP(freep) uint8_t *before = make_pages(20), *after = change_pages(before, 20);
    CLEANUP(buf_clearp) struct buf first = BUF_INIT(1 << 20), second = BUF_INIT(1 << 20);
    struct codec_prefix previous = {before, 20 * PAGE};
    struct err err = {0};

    (void)check_pages(used, 700);
    REQUIRE_OK(delta_encode(used, after, 20 * PAGE, previous, &first, &err), &err);
    REQUIRE_OK(delta_encode(fresh, after, 20 * PAGE, previous, &second, &err), &err);
    EXPECT(first.size == second.size && memcmp(first.bytes, second.bytes, first.size) == 0);
}

TEST(damage_and_the_wrong_prefix_never_do_more_than_give_other_bytes)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(freep)
    uint8_t *before = make_pages(3), *after = change_pages(before, 3), *back = xmalloc(4 * PAGE);
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(1 << 20);
    struct err err = {0};
    bool held;

    REQUIRE_OK(delta_encode(codec, after, 3 * PAGE, prefix_of(before, 3 * PAGE), &frame, &err), &err);
    for (size_t bit = 0; bit < 8 * frame.size; bit++) {
        frame.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        held =
            delta_decode(codec, frame.bytes, frame.size, prefix_of(before, 3 * PAGE), back, 3 * PAGE, &err);
        EXPECT(held || err.code == ERR_CORRUPT);
        frame.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t prefix = 0; prefix < 3 * PAGE; prefix += 1024) { /* matches reach in front of it */
        EXPECT(
            !delta_decode(codec, frame.bytes, frame.size, prefix_of(before, prefix), back, 3 * PAGE, &err));
        EXPECT_INT(err.code, ERR_CORRUPT);
    }
    EXPECT(!delta_decode(codec, frame.bytes, frame.size, prefix_of(before, 3 * PAGE), back, 4 * PAGE, &err));
    EXPECT(strstr(err.text, "a delta: "));
    EXPECT_OK(delta_decode(codec, frame.bytes, frame.size, prefix_of(before, 3 * PAGE), back, 3 * PAGE, &err),
              &err);
    EXPECT(memcmp(back, after, 3 * PAGE) == 0);
}

TEST(a_run_has_at_most_1024_pages_and_4_mib)
{
    EXPECT_INT(delta_pages_max(512), 1024);
    EXPECT_INT(delta_pages_max(4096), 1024);
    EXPECT_INT(delta_pages_max(8192), 512);
    EXPECT_INT(delta_pages_max(65536), 64);
    EXPECT(codec_bound(DELTA_BYTES_MAX) <= DELTA_FRAME_MAX);
}

TAP_MAIN()
