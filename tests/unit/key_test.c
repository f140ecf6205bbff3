#include "snapshot/key.h"

#include "tests/tap.h"

static struct id sample_id(void)
{
    struct id id;

    for (size_t at = 0; at < ID_SIZE; at++)
        id.bytes[at] = (uint8_t)(at * 17);
    return id;
}

#define SAMPLE_ID "00112233445566778899aabbccddeeff"
#define SAMPLE_HASH "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

TEST(keys_are_what_the_specification_says)
{
    struct id owner = sample_id();
    struct digest content = digest_of("abc", 3);

    EXPECT_STR(key_log(1).text, "log/fffffffffffffffe");
    EXPECT_STR(key_log(UINT64_MAX).text, "log/0000000000000000");
    EXPECT_STR(key_pack(1, 256).text, "pack/fffffffffffffeff-fffffffffffffffe");
    EXPECT_STR(key_base(0x1234, &owner, 0).text, "base/ffffffffffffedcb-" SAMPLE_ID "-0");
    EXPECT_STR(key_part(0x1234, &owner, 4711).text, "part/ffffffffffffedcb-" SAMPLE_ID "-4711");
    EXPECT_STR(key_blob(0x1234, &content).text, "blob/0000000000001234-" SAMPLE_HASH);
}

TEST(newer_records_sort_first)
{
    static const uint64_t positions[] = {1,         2, 9, 10, 255, 256, 99999, UINT32_MAX, UINT64_MAX - 1,
                                         UINT64_MAX};

    for (size_t at = 1; at < sizeof(positions) / sizeof(positions[0]); at++)
        EXPECT(strcmp(key_log(positions[at]).text, key_log(positions[at - 1]).text) < 0);
}

TEST(every_kind_of_key_parses_back)
{
    static const uint64_t numbers[] = {1, 2, 10, 0xdeadbeef, UINT64_MAX - 1, UINT64_MAX};
    struct id owner = sample_id(), found_owner;
    struct digest content = digest_of("abc", 3), found_content;
    uint64_t position, n, last;

    for (size_t at = 0; at < sizeof(numbers) / sizeof(numbers[0]); at++) {
        uint64_t number = numbers[at];
        EXPECT(key_parse_log(key_log(number).text, &position) && position == number);
        EXPECT(key_parse_base(key_base(number, &owner, number - 1).text, &position, &found_owner, &n));
        EXPECT(position == number && n == number - 1 && id_equal(&owner, &found_owner));
        EXPECT(key_parse_part(key_part(number, &owner, UINT64_MAX).text, &position, &found_owner, &n));
        EXPECT(position == number && n == UINT64_MAX && id_equal(&owner, &found_owner));
        EXPECT(key_parse_blob(key_blob(number, &content).text, &position, &found_content));
        EXPECT(position == number && digest_equal(&content, &found_content));
        EXPECT(key_parse_pack(key_pack(1, number).text, &position, &last) && position == 1 && last == number);
    }
}

/* Each differs from a key in one thing. */
static const char *const strangers[] = {
    "",
    "log",
    "log/",
    "log/fffffffffffffff",
    "log/fffffffffffffffe0",
    "log/fffffffffffffffe/",
    "log/fffffffffffffffE",
    "log/ffffffffffffffff", /* position 0 */
    "log/ fffffffffffffe",
    "log/0xfffffffffffffe",
    "log/-000000000000001",
    "log/+fffffffffffffff",
    "log/ffffffffffffffg0",
    "log//fffffffffffffffe",
    "Log/fffffffffffffffe",
    "/log/fffffffffffffffe",
    "prefix/log/fffffffffffffffe",
    "base/",
    "base/ffffffffffffedcb",
    "base/ffffffffffffedcb-",
    "base/ffffffffffffedcb-" SAMPLE_ID,
    "base/ffffffffffffedcb-" SAMPLE_ID "-",
    "base/ffffffffffffedcb-" SAMPLE_ID "-01",
    "base/ffffffffffffedcb-" SAMPLE_ID "-+1",
    "base/ffffffffffffedcb-" SAMPLE_ID "--1",
    "base/ffffffffffffedcb-" SAMPLE_ID "- 1",
    "base/ffffffffffffedcb-" SAMPLE_ID "-1x",
    "base/ffffffffffffedcb-" SAMPLE_ID "-0x1",
    "base/ffffffffffffedcb-" SAMPLE_ID "-18446744073709551616",
    "base/ffffffffffffedcb-00112233445566778899AABBCCDDEEFF-1",
    "base/ffffffffffffedcb-00112233445566778899aabbccddeef-1",
    "base/ffffffffffffedcb-00112233445566778899aabbccddeeff0-1",
    "base/ffffffffffffedcb_" SAMPLE_ID "-1",
    "base/ffffffffffffffff-" SAMPLE_ID "-1",
    "part/ffffffffffffffff-" SAMPLE_ID "-1",
    "part/fffffffffffffffe" SAMPLE_ID "-1",
    "blob/0000000000001234-",
    "blob/0000000000000000-" SAMPLE_HASH, /* no record 0 uploads anything */
    "blob/0000000000001234-" SAMPLE_HASH "0",
    "blob/0000000000001234" SAMPLE_HASH,
    "blob/000000000001234-" SAMPLE_HASH,
    "blob/0000000000001234-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
    "blob/0000000000001234-BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "pack/fffffffffffffeff",
    "pack/fffffffffffffeff-",
    "pack/fffffffffffffeff-ffffffffffffffff", /* from position 0 */
    "pack/fffffffffffffffe-fffffffffffffeff", /* backwards */
    "pack/fffffffffffffeff-fffffffffffffffe-",
    "holdfast.json",
    "probe",
};

TEST(anything_else_is_no_key)
{
    struct id owner;
    struct digest content;
    uint64_t first, second;

    for (size_t at = 0; at < sizeof(strangers) / sizeof(strangers[0]); at++) {
        const char *text = strangers[at];
        bool parsed = key_parse_log(text, &first) || key_parse_base(text, &first, &owner, &second) ||
                      key_parse_part(text, &first, &owner, &second) ||
                      key_parse_blob(text, &first, &content) || key_parse_pack(text, &first, &second);
        if (!EXPECT(!parsed))
            printf("#   parsed: \"%s\"\n", text);
    }
}

TEST(a_key_of_one_kind_is_none_of_another)
{
    struct id owner = sample_id(), found_owner;
    struct digest content = digest_of("abc", 3);
    uint64_t first = 7, second = 8;

    EXPECT(!key_parse_part(key_base(9, &owner, 1).text, &first, &found_owner, &second));
    EXPECT(!key_parse_base(key_part(9, &owner, 1).text, &first, &found_owner, &second));
    EXPECT(!key_parse_log(key_pack(1, 9).text, &first));
    EXPECT(!key_parse_pack(key_log(9).text, &first, &second));
    EXPECT(!key_parse_pack(key_blob(9, &content).text, &first, &second));
    EXPECT(first == 7 && second == 8); /* untouched */
}

TEST(an_id_is_32_hexadecimal_digits)
{
    struct id id = sample_id(), found;
    char text[2 * ID_SIZE + 1];

    id_format(&id, text);
    EXPECT_STR(text, SAMPLE_ID);
    EXPECT(id_parse(text, &found) && id_equal(&id, &found));
    EXPECT(!id_parse("", &found));
    EXPECT(!id_parse("00112233445566778899aabbccddeef", &found));
    EXPECT(!id_parse("00112233445566778899aabbccddeefg", &found));
    EXPECT(!id_parse("00112233445566778899aabbccddeeff0", &found));
    EXPECT(!id_parse("00112233445566778899AABBCCDDEEFF", &found));
}

TEST(random_ids_differ)
{
    struct id one = id_random(), other = id_random();

    EXPECT(id_equal(&one, &one));
    EXPECT(!id_equal(&one, &other));
}

TAP_MAIN()
