/* holdfast.json: what is written is read, and nothing that only looks like it. */
#include "snapshot/identity.h"

#include "base/clock.h"
#include "tests/tap.h"

static bool parse(const char *text, struct id *ret_lineage, struct err *err)
{
    CLEANUP(buf_clearp) struct buf json = BUF_INIT(IDENTITY_SIZE_MAX);

    buf_add_text(&json, text);
    return identity_parse(&json, ret_lineage, err);
}

TEST(what_is_written_is_read)
{
    CLEANUP(buf_clearp) struct buf json = BUF_INIT(IDENTITY_SIZE_MAX);
    struct id lineage = id_random(), back = {{0}};
    struct err err = {0};

    identity_write(&lineage, 1700000000 * NS_PER_SECOND, &json);
    REQUIRE_OK(identity_parse(&json, &back, &err), &err);
    EXPECT(id_equal(&lineage, &back));
}

TEST(blanks_and_order_are_the_writers_affair)
{
    struct id lineage = {{0}};
    struct err err = {0};

    REQUIRE_OK(
        parse(
            "{ \"created\" : \"x\",\n\t\"lineage\" :\"000102030405060708090a0b0c0d0e0f\" , \"format\" : 1 }",
            &lineage, &err),
        &err);
    EXPECT_INT(lineage.bytes[15], 15);
}

TEST(a_newer_format_names_the_remedy)
{
    struct id lineage = {{0}};
    struct err err = {0};

    EXPECT(!parse("{\"format\":2,\"lineage\":\"000102030405060708090a0b0c0d0e0f\"}", &lineage, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, "newer holdfast") != NULL);
}

TEST(anything_else_is_damage)
{
    static const char *const texts[] = {
        "",
        "{}",
        "{\"format\":1}",
        "{\"format\" 1,\"lineage\":\"000102030405060708090a0b0c0d0e0f\"}",
        "{\"format\":0,\"lineage\":\"000102030405060708090a0b0c0d0e0f\"}",
        "{\"format\":x,\"lineage\":\"000102030405060708090a0b0c0d0e0f\"}",
        "{\"format\":10000000001,\"lineage\":\"000102030405060708090a0b0c0d0e0f\"}",
        "{\"format\":1,\"lineage\":\"000102030405060708090a0b0c0d0e0\"}",
        "{\"format\":1,\"lineage\":\"000102030405060708090a0b0c0d0e0f0\"}",
        "{\"format\":1,\"lineage\":\"000102030405060708090A0B0C0D0E0F\"}",
        "{\"format\":1,\"lineage\":000102030405060708090a0b0c0d0e0f}",
        "{\"format\":1,\"lineage\":\"000102030405060708090a0b0c0d0e0f",
        "{\"format\":1,\"lineage\":\"",
    };

    for (size_t at = 0; at < sizeof(texts) / sizeof(texts[0]); at++) {
        struct id lineage = {{0}};
        struct err err = {0};
        if (!EXPECT(!parse(texts[at], &lineage, &err)))
            printf("#   %s\n", texts[at]);
        else
            EXPECT_INT(err.code, ERR_CORRUPT);
    }
}

TAP_MAIN()
