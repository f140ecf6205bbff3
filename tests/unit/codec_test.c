#include "snapshot/codec.h"

#include "tests/tap.h"

static void fill(uint8_t *bytes, size_t size, bool compressible)
{
    uint32_t state = 1;

    for (size_t at = 0; at < size; at++) {
        state = state * 1664525 + 1013904223;
        bytes[at] = compressible ? (uint8_t)(at / 100) : (uint8_t)(state >> 24);
    }
}

static void check_round_trip(struct codec *codec, size_t size, bool compressible)
{
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(codec_bound(size) + 5);
    CLEANUP(freep) uint8_t *raw = xmalloc(size), *back = xmalloc(size);
    struct err err = {0};

    fill(raw, size, compressible);
    buf_add_text(&frame, "front");
    REQUIRE_OK(codec_compress(codec, 3, raw, size, &frame, &err), &err);
    EXPECT(memcmp(frame.bytes, "front", 5) == 0);
    EXPECT(!compressible || size < 1000 || frame.size < size / 10);
    REQUIRE_OK(codec_decompress(codec, frame.bytes + 5, frame.size - 5, back, size, &err), &err);
    EXPECT(memcmp(raw, back, size) == 0);
}

TEST(what_is_compressed_comes_back)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 131072, 131073, 4 << 20};
    CLEANUP(codec_freep) struct codec *codec = codec_new();

    for (size_t at = 0; at < sizeof(sizes) / sizeof(sizes[0]); at++) {
        check_round_trip(codec, sizes[at], true);
        check_round_trip(codec, sizes[at], false);
    }
}

TEST(the_same_bytes_give_the_same_frame)
{
    static uint8_t raw[100000];
    CLEANUP(codec_freep) struct codec *used = codec_new(), *fresh = codec_new();
    CLEANUP(buf_clearp) struct buf first = BUF_INIT(200000), second = BUF_INIT(200000);
    struct err err = {0};

    check_round_trip(used, 4 << 20, false);
    fill(raw, sizeof(raw), true);
    REQUIRE_OK(codec_compress(used, 3, raw, sizeof(raw), &first, &err), &err);
    REQUIRE_OK(codec_compress(fresh, 3, raw, sizeof(raw), &second, &err), &err);
    EXPECT(first.size == second.size && memcmp(first.bytes, second.bytes, first.size) == 0);
}

TEST(a_buffer_below_the_worst_case_does_if_the_result_fits)
{
    static uint8_t raw[100000];
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(buf_clearp) struct buf small = BUF_INIT(5000), tight = BUF_INIT(16);
    struct err err = {0};

    fill(raw, sizeof(raw), true);
    EXPECT_OK(codec_compress(codec, 3, raw, sizeof(raw), &small, &err), &err);
    EXPECT(small.size > 0 && small.size <= 5000);
    buf_add_text(&tight, "kept");
    EXPECT(!codec_compress(codec, 3, raw, sizeof(raw), &tight, &err));
    EXPECT_INT(err.code, ERR_SYSTEM);
    EXPECT_INT(tight.size, 4);
}

static bool decodes(const void *frame, size_t frame_size, size_t raw_size)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(freep) void *raw = xmalloc(raw_size);
    struct err err = {0};
    bool decoded = codec_decompress(codec, frame, frame_size, raw, raw_size, &err);

    EXPECT(decoded || err.code == ERR_CORRUPT);
    return decoded;
}

TEST(a_frame_must_be_whole_alone_and_of_the_size_that_is_due)
{
    static uint8_t raw[1000];
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(10000);
    struct err err = {0};
    size_t size;

    fill(raw, sizeof(raw), false);
    REQUIRE_OK(codec_compress(codec, 3, raw, sizeof(raw), &frame, &err), &err);
    size = frame.size;
    EXPECT(decodes(frame.bytes, size, sizeof(raw)));
    EXPECT(!decodes(frame.bytes, size, sizeof(raw) + 1));
    EXPECT(!decodes(frame.bytes, size, sizeof(raw) - 1));
    for (size_t cut = 0; cut < size; cut++)
        EXPECT(!decodes(frame.bytes, cut, sizeof(raw)));
    buf_add(&frame, "", 1);
    EXPECT(!decodes(frame.bytes, frame.size, sizeof(raw)));
    frame.size = size;
    REQUIRE_OK(codec_compress(codec, 3, raw, 0, &frame, &err), &err); /* a second frame, of nothing */
    EXPECT(!decodes(frame.bytes, frame.size, sizeof(raw)));
}

TEST(frames_that_zstd_would_take_but_the_format_has_not_are_refused)
{
    static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
    /* A frame with a window byte in place of the content's size: one last, raw block "abc". */
    static const uint8_t no_size[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 0x19, 0x00, 0x00, 'a', 'b', 'c'};

    EXPECT(!decodes(skippable, sizeof(skippable), 0));
    EXPECT(!decodes(no_size, sizeof(no_size), 3));
    EXPECT(!decodes("", 0, 0));
}

TEST(a_frame_that_announces_a_terabyte_costs_nothing)
{
    /* 8 bytes of content size, single segment. */
    static const uint8_t bomb[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0,    0,    0,  0,
                                   0,    1,    0,    0,    0x03, 0x00, 0x00, 'x'};

    EXPECT(!decodes(bomb, sizeof(bomb), 1000));
}

TEST(no_frame_decodes_to_more_than_the_bound)
{
    enum { RAW = 64 << 20 };
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(1 << 20);
    CLEANUP(freep) uint8_t *zeros = xcalloc(1, RAW);
    struct err err = {0};

    REQUIRE_OK(codec_compress(codec, 19, zeros, RAW, &frame, &err), &err);
    EXPECT(codec_raw_max(frame.size) >= RAW); /* nothing compresses better */
    EXPECT(codec_raw_max(frame.size) < 4 * (uint64_t)RAW);
    EXPECT(codec_raw_max(0) < 1 << 20);
}

TEST(damage_is_an_error_and_never_a_crash)
{
    static uint8_t raw[300];
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(10000);
    struct err err = {0};

    fill(raw, sizeof(raw), true);
    REQUIRE_OK(codec_compress(codec, 3, raw, sizeof(raw), &frame, &err), &err);
    for (size_t bit = 0; bit < 8 * frame.size; bit++) {
        frame.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        (void)decodes(frame.bytes, frame.size, sizeof(raw)); /* frames carry no checksum: the objects do */
        frame.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    EXPECT(decodes(frame.bytes, frame.size, sizeof(raw)));
}

TEST(an_unused_codec_and_none_are_freed)
{
    codec_free(codec_new());
    codec_free(NULL);
}

TAP_MAIN()
