#include "proxy/body.h"

#include "tests/tap.h"

struct chunk_case {
    const char *bytes, *payload;
    enum chunk_state state;
    size_t unused;
};

static const struct chunk_case cases[] = {
    {"0\r\n\r\n", "", CHUNK_END, 0},
    {"1\r\na\r\n0\r\n\r\n", "a", CHUNK_END, 0},
    {"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", "abc0123456789", CHUNK_END, 0},
    {"00000000000000a\r\n0123456789\r\n0\r\n\r\n", "0123456789", CHUNK_END, 0},
    {"2;name=value;\"x\"\r\nab\r\n0;last\r\n\r\n", "ab", CHUNK_END, 0},
    {"2\r\nab\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n", "ab", CHUNK_END, 0},
    {"1\r\na\r\n0\r\n\r\nHTTP/1.1", "a", CHUNK_END, 8},
    {"5\r\nab", "ab", CHUNK_DATA, 0},
    {"", "", CHUNK_SIZE, 0},
    {"\r\n", "", CHUNK_BAD, 1},
    {"x\r\n", "", CHUNK_BAD, 2},
    {"-1\r\n", "", CHUNK_BAD, 3},
    {"0x1\r\na", "", CHUNK_BAD, 4},
    {" 1\r\na", "", CHUNK_BAD, 4},
    {"1 \r\na", "", CHUNK_BAD, 3},
    {"1\na\r\n", "", CHUNK_BAD, 3},
    {"1\rXa", "", CHUNK_BAD, 1},
    {"1\r\nab\r\n", "a", CHUNK_BAD, 2},
    {"1\r\na\n0\r\n\r\n", "a", CHUNK_BAD, 5},
    {"1;x\ny\r\na", "", CHUNK_BAD, 4},
    {"0\r\nTrailer: x\n\r\n", "", CHUNK_BAD, 2},
    {"0\r\n\rX", "", CHUNK_BAD, 0},
    {"1000000000000000\r\n", "", CHUNK_BAD, 2},
};

static void check(const struct chunk_case *wanted, size_t piece)
{
    struct chunk_decoder decoder = {0};
    uint8_t bytes[128], payload[128];
    size_t size = strlen(wanted->bytes), used_in_all = 0, payload_size = 0;

    for (size_t at = 0; at < size; at += piece) {
        size_t given = size - at < piece ? size - at : piece, used = 0, decoded;
        memcpy(bytes, wanted->bytes + at, given);
        decoded = chunk_decode(&decoder, bytes, given, &used);
        memcpy(payload + payload_size, bytes, decoded);
        payload_size += decoded;
        used_in_all += used;
    }
    payload[payload_size] = '\0';
    EXPECT_STR((char *)payload, wanted->payload);
    EXPECT_INT(decoder.state, wanted->state);
    EXPECT_INT(size - used_in_all, wanted->unused);
}

TEST(chunks_are_decoded_whatever_the_pieces_they_come_in)
{
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++)
        for (size_t piece = 1; piece <= 64; piece = piece * 2 + 1)
            check(&cases[at], piece);
}

TEST(extensions_and_trailers_without_end_are_malformed)
{
    static uint8_t bytes[64 * 1024];
    static const char *const beginnings[] = {"1;", "0\r\nX: "};

    for (size_t at = 0; at < 2; at++) {
        struct chunk_decoder decoder = {0};
        size_t used = 0;
        memset(bytes, 'x', sizeof(bytes));
        memcpy(bytes, beginnings[at], strlen(beginnings[at]));
        EXPECT_INT(chunk_decode(&decoder, bytes, sizeof(bytes), &used), 0);
        EXPECT_INT(decoder.state, CHUNK_BAD);
    }
}

TEST(a_body_of_known_length_ends_there)
{
    struct body body;
    uint8_t bytes[] = "abcdef";
    size_t decoded = 0;

    body_begin(&body, BODY_LENGTH, 5);
    EXPECT(body_decode(&body, bytes, 3, &decoded) && decoded == 3 && !body.ended);
    EXPECT(!body_finish(&body)); /* cut off */
    EXPECT(body_decode(&body, bytes, 3, &decoded) && decoded == 2 && body.ended && body.excess);
    EXPECT(body_finish(&body));
}

TEST(a_body_until_the_end_of_the_connection_ends_there)
{
    struct body body;
    uint8_t bytes[] = "abc";
    size_t decoded = 0;

    body_begin(&body, BODY_UNTIL_CLOSE, 0);
    EXPECT(body_decode(&body, bytes, 3, &decoded) && decoded == 3 && !body.ended);
    EXPECT(body_finish(&body) && body.ended);
}

TEST(no_body_has_ended_and_anything_more_is_excess)
{
    static const enum body_kind kinds[] = {BODY_NONE, BODY_LENGTH};

    for (size_t at = 0; at < 2; at++) {
        struct body body;
        uint8_t bytes[] = "x";
        size_t decoded = 7;
        body_begin(&body, kinds[at], 0);
        EXPECT(body.ended && !body.excess);
        EXPECT(body_decode(&body, bytes, 1, &decoded) && decoded == 0 && body.excess);
    }
}

TEST(a_chunked_body_cut_off_is_not_complete)
{
    struct body body;
    uint8_t bytes[] = "1\r\na\r\n0\r\n";
    size_t decoded = 0;

    body_begin(&body, BODY_CHUNKED, 0);
    EXPECT(body_decode(&body, bytes, sizeof(bytes) - 1, &decoded) && decoded == 1);
    EXPECT(!body.ended && !body_finish(&body));
}

TAP_MAIN()
