#include "snapshot/record.h"

#include "tests/tap.h"
#include "tests/unit/record_sample.h"

static void expect_body_refused(const struct buf *bytes, const char *text)
{
    struct base_body body = {.flags = 77};
    struct err err = {0};

    EXPECT(!base_body_decode(bytes->bytes, bytes->size, &body, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_INT(body.flags, 77); /* untouched */
    if (!EXPECT(strstr(err.text, text)))
        printf("#   \"%s\" has no \"%s\"\n", err.text, text);
}

TEST(a_cut_or_lengthened_body_of_a_base_is_refused)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(10000);
    struct base_body body = base_body();
    size_t whole;

    base_body_encode(&body, &bytes);
    buf_add(&bytes, "", 1);
    expect_body_refused(&bytes, "does not end");
    whole = bytes.size - 1;
    for (bytes.size = 0; bytes.size < whole; bytes.size++)
        expect_body_refused(&bytes, "does not end");
}

TEST(counts_beyond_the_bytes_are_refused_before_memory_is_taken)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(10000);
    struct base_body body = base_body();
    size_t dropped_at, pins_at;

    body.pins_count = 0;
    body.dropped_count = 0;
    base_body_encode(&body, &bytes);
    pins_at = bytes.size - 4;
    dropped_at = bytes.size - 8;
    memset(bytes.bytes + pins_at, 0xff, 4);
    expect_body_refused(&bytes, "does not end");
    memset(bytes.bytes + pins_at, 0, 4);
    memset(bytes.bytes + dropped_at, 0xff, 4);
    expect_body_refused(&bytes, "does not end");
}

TEST(every_rule_of_a_base_body_is_kept)
{
    static const struct {
        size_t offset;
        uint8_t value;
        const char *text;
    } body_breaches[] = {
        {0, 2, "flag"},
        {3, 0x80, "flag"},
        {4, 0, "lowest position"},
        {4, 42, "lowest position"},
        {12, 42, "not that of a base"},
        {54, 'p', "not that of a base"},
        {52, 0xff, "does not end"},
        {126, 0, "no horizon"},
        {142, 30, "does not restart"},
        {154, 0, "no tag"},
    };

    for (size_t at = 0; at < sizeof(body_breaches) / sizeof(body_breaches[0]); at++) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(10000);
        struct base_body body = base_body();
        base_body_encode(&body, &bytes);
        bytes.bytes[body_breaches[at].offset] = body_breaches[at].value;
        expect_body_refused(&bytes, body_breaches[at].text);
    }
}

static void expect_mismatch(struct base_body body, uint64_t data_position, const char *text)
{
    CLEANUP(buf_clearp) struct buf content = BUF_INIT(RECORD_SIZE_MAX), bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record_header header = base_header();
    struct record record;
    struct digest hash;
    struct err err = {0};

    header.data_position = data_position;
    base_body_encode(&body, &content);
    record_encode(&header, content.bytes, content.size, &bytes, &hash);
    REQUIRE_OK(record_decode(bytes.bytes, bytes.size, &record, &err), &err);
    EXPECT(!record_base_body(&record, &body, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    if (!EXPECT(strstr(err.text, text)))
        printf("#   \"%s\" has no \"%s\"\n", err.text, text);
}

TEST(header_and_body_of_a_base_record_say_the_same)
{
    struct base_body body = base_body();

    body.horizon = 18;
    expect_mismatch(body, 38, "another base or horizon");
    body = base_body();
    body.manifest.bytes[0] ^= 1;
    expect_mismatch(body, 38, "another base or horizon");
    body = base_body();
    body.key = key_base(41, &(struct id){{0}}, 7);
    expect_mismatch(body, 38, "another base or horizon");
    body = base_body();
    body.previous_base = 42;
    expect_mismatch(body, 38, "not before it");
    body = base_body();
    expect_mismatch(body, 42, "if it restarts, and only then");
    body.flags = BASE_RESTARTS;
    expect_mismatch(body, 38, "if it restarts, and only then");
    body = base_body();
    body.flags = BASE_RESTARTS;
    body.taken_from = 42;
    expect_mismatch(body, 42, "not before it");
    body = base_body();
    sample_pins[0].position = 43;
    expect_mismatch(body, 38, "a pin is above");
}

TEST(a_base_that_rolls_back_says_to_which_record)
{
    CLEANUP(buf_clearp) struct buf content = BUF_INIT(RECORD_SIZE_MAX), bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record_header header = base_header();
    struct base_body body = base_body();
    struct record record;
    struct digest hash;
    struct err err = {0};

    header.data_position = header.position;
    body.flags = BASE_RESTARTS;
    body.taken_from = 30;
    base_body_encode(&body, &content);
    record_encode(&header, content.bytes, content.size, &bytes, &hash);
    REQUIRE_OK(record_decode(bytes.bytes, bytes.size, &record, &err), &err);
    REQUIRE_OK(record_base_body(&record, &body, &err), &err);
    EXPECT_INT(body.taken_from, 30);
    base_body_clear(&body);
    header.roll_back = (struct point){.kind = POINT_NONE};
    buf_reset(&bytes);
    record_encode(&header, content.bytes, content.size, &bytes, &hash);
    REQUIRE_OK(record_decode(bytes.bytes, bytes.size, &record, &err), &err);
    EXPECT(!record_base_body(&record, &body, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
}

TEST(the_body_of_an_open_names_version_and_host)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(10000);
    struct open_body body;
    struct err err = {0};

    open_body_encode("0.1.0", "container-7", &bytes);
    REQUIRE_OK(open_body_decode(bytes.bytes, bytes.size, &body, &err), &err);
    EXPECT_STR(body.version, "0.1.0");
    EXPECT_STR(body.host, "container-7");
    for (size_t size = 0; size < bytes.size; size++)
        EXPECT(!open_body_decode(bytes.bytes, size, &body, &err));
    buf_add(&bytes, "", 1);
    EXPECT(!open_body_decode(bytes.bytes, bytes.size, &body, &err));
}

TEST(long_names_are_cut_by_the_writer_and_refused_by_the_reader)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(10000);
    char text[400];
    struct open_body body;
    struct err err = {0};

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    open_body_encode(text, text, &bytes);
    REQUIRE_OK(open_body_decode(bytes.bytes, bytes.size, &body, &err), &err);
    EXPECT_INT(strlen(body.version), 63);
    EXPECT_INT(strlen(body.host), 255);
    buf_reset(&bytes);
    wire_add_str(&bytes, text, 64);
    wire_add_str(&bytes, text, 1);
    EXPECT(!open_body_decode(bytes.bytes, bytes.size, &body, &err));
}

TEST(every_kind_has_a_name)
{
    EXPECT_STR(record_kind_name(RECORD_OPEN), "open");
    EXPECT_STR(record_kind_name(RECORD_DATA), "data");
    EXPECT_STR(record_kind_name(RECORD_BASE), "base");
    EXPECT_STR(record_kind_name(RECORD_DRAIN), "drain");
    EXPECT_STR(record_kind_name(RECORD_CLOSE), "close");
    EXPECT_STR(record_kind_name(RECORD_PIN), "pin");
    EXPECT_STR(record_kind_name((enum record_kind)99), "unknown");
}

TAP_MAIN()
