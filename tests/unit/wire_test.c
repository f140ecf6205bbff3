#include "snapshot/wire.h"

#include "base/cleanup.h"
#include "tests/tap.h"

TEST(integers_are_little_endian)
{
    static const uint8_t wanted[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f,
                                     0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08};
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(100);

    wire_add_u8(&bytes, 0x01);
    wire_add_u16(&bytes, 0x0203);
    wire_add_u32(&bytes, 0x04050607);
    wire_add_u64(&bytes, 0x08090a0b0c0d0e0f);
    REQUIRE(bytes.size == sizeof(wanted));
    EXPECT(memcmp(bytes.bytes, wanted, sizeof(wanted)) == 0);
}

TEST(what_was_added_is_read)
{
    static const uint64_t values[] = {0,      1,          0x7f,       0x80,      0xff,
                                      0x8000, UINT16_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX};

    for (size_t at = 0; at < sizeof(values) / sizeof(values[0]); at++) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(100);
        struct wire_reader reader;
        wire_add_u8(&bytes, (uint8_t)values[at]);
        wire_add_u16(&bytes, (uint16_t)values[at]);
        wire_add_u32(&bytes, (uint32_t)values[at]);
        wire_add_u64(&bytes, values[at]);
        reader = wire_reader_of(bytes.bytes, bytes.size);
        EXPECT(wire_u8(&reader) == (uint8_t)values[at]);
        EXPECT(wire_u16(&reader) == (uint16_t)values[at]);
        EXPECT(wire_u32(&reader) == (uint32_t)values[at]);
        EXPECT(!wire_done(&reader));
        EXPECT(wire_u64(&reader) == values[at]);
        EXPECT(wire_done(&reader));
    }
}

TEST(a_str_is_its_length_and_its_bytes)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(100);
    struct wire_reader reader;
    const char *text;
    size_t size = 99;

    wire_add_str(&bytes, "h\xc3\xa9t\xff", 5);
    wire_add_str(&bytes, "", 0);
    EXPECT_INT(bytes.size, 9);
    reader = wire_reader_of(bytes.bytes, bytes.size);
    text = wire_str(&reader, &size);
    EXPECT(size == 5 && memcmp(text, "h\xc3\xa9t\xff", 5) == 0);
    text = wire_str(&reader, &size);
    EXPECT(text && size == 0);
    EXPECT(wire_done(&reader));
}

TEST(the_longest_str_fits)
{
    static char text[UINT16_MAX];
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(100000);
    struct wire_reader reader;
    size_t size = 0;

    memset(text, 'x', sizeof(text));
    wire_add_str(&bytes, text, sizeof(text));
    reader = wire_reader_of(bytes.bytes, bytes.size);
    EXPECT(memcmp(wire_str(&reader, &size), text, sizeof(text)) == 0);
    EXPECT_INT(size, UINT16_MAX);
    EXPECT(wire_done(&reader));
}

TEST(a_str_with_a_nul_inside_fails)
{
    static const uint8_t bytes[] = {3, 0, 'a', 0, 'b', 7};
    struct wire_reader reader = wire_reader_of(bytes, sizeof(bytes));
    size_t size = 99;

    EXPECT_STR(wire_str(&reader, &size), "");
    EXPECT_INT(size, 0);
    EXPECT(reader.failed);
    EXPECT_INT(wire_u8(&reader), 0);
}

TEST(a_str_longer_than_what_is_left_fails)
{
    static const uint8_t bytes[] = {4, 0, 'a', 'b', 'c'};
    struct wire_reader reader = wire_reader_of(bytes, sizeof(bytes));
    size_t size = 99;

    EXPECT_STR(wire_str(&reader, &size), "");
    EXPECT_INT(size, 0);
    EXPECT(reader.failed);
}

TEST(the_first_field_that_does_not_fit_stops_all_reading)
{
    static const uint8_t bytes[] = {1, 2, 3, 4, 5};
    struct wire_reader reader = wire_reader_of(bytes, sizeof(bytes));
    uint8_t copy[3] = {9, 9, 9};

    EXPECT_INT(wire_u16(&reader), 0x0201);
    EXPECT_INT(wire_left(&reader), 3);
    EXPECT_INT(wire_u32(&reader), 0);
    EXPECT(reader.failed);
    EXPECT_INT(wire_left(&reader), 0);
    EXPECT_INT(wire_u8(&reader), 0); /* three bytes are left, and none of them is given out */
    EXPECT(!wire_bytes(&reader, 0));
    EXPECT(!wire_bytes(&reader, 1));
    wire_copy(&reader, copy, sizeof(copy));
    EXPECT(copy[0] == 0 && copy[1] == 0 && copy[2] == 0);
    EXPECT(!wire_done(&reader));
}

TEST(nothing_to_read_is_done_and_gives_no_byte)
{
    struct wire_reader reader = wire_reader_of(NULL, 0);

    EXPECT(wire_done(&reader));
    EXPECT(wire_bytes(&reader, 0));
    EXPECT(wire_done(&reader));
    EXPECT_INT(wire_u8(&reader), 0);
    EXPECT(!wire_done(&reader));
}

TEST(a_size_near_the_end_of_the_address_space_does_not_wrap)
{
    static const uint8_t bytes[] = {1, 2, 3};
    struct wire_reader reader = wire_reader_of(bytes, sizeof(bytes));

    EXPECT(!wire_bytes(&reader, SIZE_MAX));
    EXPECT(reader.failed);
}

TEST(what_is_left_over_is_not_done)
{
    static const uint8_t bytes[] = {1, 2, 3};
    struct wire_reader reader = wire_reader_of(bytes, sizeof(bytes));

    EXPECT_INT(wire_u16(&reader), 0x0201);
    EXPECT(!wire_done(&reader));
    EXPECT(!reader.failed);
    EXPECT_INT(wire_left(&reader), 1);
}

TAP_MAIN()
