#include "snapshot/blob.h"

#include "tests/tap.h"

static void fill(uint8_t *bytes, size_t size, bool compressible)
{
    uint32_t state = 1;

    for (size_t at = 0; at < size; at++) {
        state = state * 1664525 + 1013904223;
        bytes[at] = compressible ? (uint8_t)(at / 100) : (uint8_t)(state >> 24);
    }
}

static void encode(const void *raw, size_t size, struct buf *object)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    struct err err = {0};

    EXPECT_OK(blob_encode(codec, raw, size, object, &err), &err);
}

static bool decode(const struct buf *object, const void *content, size_t size, struct buf *raw,
                   struct err *err)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    struct digest digest = digest_of(content, size);

    return blob_decode(codec, object, &digest, (uint32_t)size, raw, err);
}

TEST(a_blob_that_does_not_compress_is_stored_as_it_is)
{
    static const uint8_t wanted[] = {'H', 'F', 'B', 'L', 'O', 'B', '0', '1', 0,  0,
                                     0,   0,   3,   0,   0,   0,   'a', 'b', 'c'};
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX);

    encode("abc", 3, &object);
    REQUIRE(object.size == sizeof(wanted));
    EXPECT(memcmp(object.bytes, wanted, sizeof(wanted)) == 0);
}

TEST(a_blob_that_compresses_is_one_zstd_frame)
{
    static const uint8_t wanted[] = {'H', 'F', 'B', 'L', 'O', 'B', '0',  '1',  1,    0,
                                     0,   0,   100, 0,   0,   0,   0x28, 0xb5, 0x2f, 0xfd};
    static uint8_t raw[100];
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX);

    encode(raw, sizeof(raw), &object);
    REQUIRE(object.size > sizeof(wanted) && object.size < 60);
    EXPECT(memcmp(object.bytes, wanted, sizeof(wanted)) == 0);
}

static void check_round_trip(size_t size, bool compressible)
{
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX), raw = BUF_INIT(BLOB_RAW_MAX + 5);
    CLEANUP(freep) uint8_t *content = xmalloc(size);
    struct err err = {0};

    fill(content, size, compressible);
    encode(content, size, &object);
    buf_add_text(&raw, "front");
    REQUIRE_OK(decode(&object, content, size, &raw, &err), &err);
    REQUIRE(raw.size == 5 + size);
    EXPECT(memcmp(raw.bytes, "front", 5) == 0 && memcmp(raw.bytes + 5, content, size) == 0);
}

TEST(blobs_of_every_size_come_back)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, 32769, 1 << 20, BLOB_RAW_MAX - 1, BLOB_RAW_MAX};

    for (size_t at = 0; at < sizeof(sizes) / sizeof(sizes[0]); at++) {
        check_round_trip(sizes[at], true);
        check_round_trip(sizes[at], false);
    }
}

static void expect_refused(const struct buf *object, const void *content, size_t size, const char *text)
{
    CLEANUP(buf_clearp) struct buf raw = BUF_INIT(BLOB_RAW_MAX);
    struct err err = {0};

    EXPECT(!decode(object, content, size, &raw, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_INT(raw.size, 0);
    if (!EXPECT(strstr(err.text, text)))
        printf("#   \"%s\" has no \"%s\"\n", err.text, text);
}

static void check_every_cut_and_flip(const uint8_t *content, size_t size)
{
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX);
    size_t whole;

    encode(content, size, &object);
    whole = object.size;
    for (object.size = 0; object.size < whole; object.size++)
        expect_refused(&object, content, size, "blob");
    for (size_t bit = 0; bit < 8 * whole; bit++) {
        CLEANUP(buf_clearp) struct buf raw = BUF_INIT(BLOB_RAW_MAX);
        struct err err = {0};
        object.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        /* A flipped bit of a frame may not matter to its content, which the hash then proves. */
        if (decode(&object, content, size, &raw, &err))
            EXPECT(raw.size == size && memcmp(raw.bytes, content, size) == 0);
        object.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_add(&object, "", 1);
    expect_refused(&object, content, size, "blob");
}

TEST(cut_or_damaged_blobs_never_give_other_content)
{
    static uint8_t content[500];

    fill(content, sizeof(content), true);
    check_every_cut_and_flip(content, sizeof(content));
    fill(content, sizeof(content), false);
    check_every_cut_and_flip(content, sizeof(content));
}

TEST(content_must_have_the_hash_and_the_size_that_its_name_promises)
{
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX);

    encode("abc", 3, &object);
    expect_refused(&object, "abd", 3, "hash");
    expect_refused(&object, "ab", 2, "3 bytes where 2 are due");
    object.bytes[8] = 2;
    expect_refused(&object, "abc", 3, "encoding 2 is unknown");
    object.bytes[7] = '2';
    expect_refused(&object, "abc", 3, "not a blob");
}

TEST(a_blob_above_the_limit_is_refused_before_anything_is_allocated)
{
    static uint8_t huge[] = {'H', 'F', 'B', 'L', 'O', 'B', '0', '1', 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(buf_clearp) struct buf raw = BUF_INIT(SIZE_MAX - 1);
    struct digest content = digest_of("", 0);
    struct err err = {0};

    EXPECT(!blob_decode(codec, &(struct buf){.bytes = huge, .size = sizeof(huge)}, &content, UINT32_MAX, &raw,
                        &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(raw.capacity == 0);
}

TEST(a_buffer_that_is_too_small_gets_nothing)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX), small = BUF_INIT(2), tiny = BUF_INIT(17);
    struct digest content = digest_of("abc", 3);
    struct err err = {0};

    encode("abc", 3, &object);
    EXPECT(!blob_decode(codec, &object, &content, 3, &small, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_INT(small.size, 0);
    EXPECT(!blob_encode(codec, "abc", 3, &tiny, &err));
}

TAP_MAIN()
