#include "snapshot/point.h"

#include "tests/tap.h"

static bool parses(const char *text, enum point_kind kind, uint64_t value)
{
    struct point point = {.kind = POINT_NONE};

    return point_parse(text, &point) && point.kind == kind && point.value == value;
}

TEST(a_point_is_a_record_or_a_time)
{
    EXPECT(parses("1", POINT_RECORD, 1));
    EXPECT(parses("0042", POINT_RECORD, 42));
    EXPECT(parses("999999999999999999", POINT_RECORD, UINT64_C(999999999999999999)));
    EXPECT(parses("1970-01-01T00:00:01Z", POINT_TIME, 1000000000));
    EXPECT(parses("1970-01-01T00:00:01.5Z", POINT_TIME, 1500000000));
    EXPECT(parses("9999-12-31T23:59:59Z", POINT_TIME, UINT64_MAX));
}

TEST(anything_else_is_none_and_nothing_is_touched)
{
    static const char *const texts[] = {
        "",   "0",      "000",   "-1",         "+1",
        " 1", "1 ",     "1.0",   "0x1",        "1000000000000000000",
        "1a", "latest", "12:00", "2026-11-21", "2026-11-21T10:00:00+01:00",
    };
    struct point point = {POINT_TIME, 77};

    for (size_t at = 0; at < sizeof(texts) / sizeof(texts[0]); at++)
        if (!EXPECT(!point_parse(texts[at], &point)))
            printf("#   %s\n", texts[at]);
    EXPECT(point.kind == POINT_TIME && point.value == 77);
}

TEST(points_are_equal_that_mean_the_same)
{
    struct point one, other;

    REQUIRE(point_parse("7", &one) && point_parse("007", &other));
    EXPECT(point_equal(&one, &other));
    REQUIRE(point_parse("2026-11-21T10:00:00Z", &one) && point_parse("2026-11-21T10:00:00.000Z", &other));
    EXPECT(point_equal(&one, &other));
    REQUIRE(point_parse("2026-11-21T10:00:00.001Z", &other));
    EXPECT(!point_equal(&one, &other));
    EXPECT(!point_equal(&(struct point){POINT_RECORD, 7}, &(struct point){POINT_TIME, 7}));
}

TAP_MAIN()
