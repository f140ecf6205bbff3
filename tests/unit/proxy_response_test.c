#include "proxy/response.h"

#include "tests/tap.h"

static char bytes[32 * 1024];
static struct response response;

static enum response_progress parse(const char *text, bool to_head)
{
    (void)snprintf(bytes, sizeof(bytes), "%s", text);
    return response_parse(bytes, strlen(text), to_head, &response);
}

struct framing_case {
    const char *text;
    bool to_head;
    enum body_kind body;
    uint64_t length;
    bool keeps_alive;
};

static const struct framing_case framings[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, BODY_LENGTH, 5, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, BODY_NONE, 5, true},
    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, BODY_LENGTH, 0, true},
    {"HTTP/1.1 200 \r\ntransfer-encoding: CHUNKED\r\n\r\n", false, BODY_CHUNKED, 0, true},
    {"HTTP/1.1 200 OK\r\n\r\n", false, BODY_UNTIL_CLOSE, 0, false},
    {"HTTP/1.1 204 No Content\r\n\r\n", false, BODY_NONE, 0, true},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, BODY_NONE, 9, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, close\r\n\r\n", false, BODY_LENGTH, 5, false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, BODY_LENGTH, 5, false},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", false, BODY_NONE, 0, false},
    {"HTTP/1.1 100 Continue\r\n\r\n", false, BODY_NONE, 0, true},
    {"HTTP/1.1 299 Any Words, even \xc3\xa4\r\n\r\n", false, BODY_UNTIL_CLOSE, 0, false},
};

TEST(the_framing_follows_from_the_head)
{
    for (size_t at = 0; at < sizeof(framings) / sizeof(framings[0]); at++) {
        const struct framing_case *wanted = &framings[at];
        if (!EXPECT(parse(wanted->text, wanted->to_head) == RESPONSE_COMPLETE))
            printf("#   %s\n", wanted->text);
        EXPECT_INT(response.body, wanted->body);
        EXPECT_INT(response.length, wanted->length);
        EXPECT_INT(response.keeps_alive, wanted->keeps_alive);
        EXPECT_INT(response.head_size, strlen(wanted->text));
    }
}

TEST(names_and_values_are_terminated_and_trimmed)
{
    REQUIRE(parse("HTTP/1.1 200 OK\r\nA: 1\r\nBee:\t two words \t\r\nEmpty:\r\n\r\nbody", false) ==
            RESPONSE_COMPLETE);
    REQUIRE(response.headers.count == 3);
    EXPECT_STR(response.headers.items[0].name, "A");
    EXPECT_STR(response.headers.items[0].value, "1");
    EXPECT_STR(response.headers.items[1].name, "Bee");
    EXPECT_STR(response.headers.items[1].value, "two words");
    EXPECT_STR(response.headers.items[2].value, "");
    EXPECT_STR(bytes + response.head_size, "body");
}

TEST(every_beginning_of_a_head_is_incomplete)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n";

    for (size_t size = 0; size < strlen(text); size++) {
        (void)snprintf(bytes, sizeof(bytes), "%s", text);
        EXPECT_INT(response_parse(bytes, size, false, &response), RESPONSE_INCOMPLETE);
    }
}

static const char *const malformed[] = {
    "SSH-2.0-server\r\n",
    "H1",
    "HTTP/2",
    "\n",
    "HTTP/1.1 200 OK\nContent-Length: 1\n\n",
    "HTTP/1.1 200 OK\r\nX: y\n",
    "HTTP/2 200 OK\r\n\r\n",
    "HTTP/1.2 200 OK\r\n\r\n",
    "http/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 600 OK\r\n\r\n",
    "HTTP/1.1 099 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "HTTP/1.1 200 O\x01K\r\n\r\n",
    "\r\n\r\n",
    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX : space\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: y\rZ: bare CR\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: y\nZ: bare LF\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
};

TEST(what_a_client_could_read_differently_is_malformed)
{
    for (size_t at = 0; at < sizeof(malformed) / sizeof(malformed[0]); at++)
        if (!EXPECT(parse(malformed[at], false) == RESPONSE_MALFORMED))
            printf("#   %s\n", malformed[at]);
}

TEST(a_head_that_is_too_long_is_malformed)
{
    memset(bytes, 'x', sizeof(bytes));
    (void)snprintf(bytes, 64, "HTTP/1.1 200 OK\r\nX: ");
    bytes[strlen(bytes)] = 'x';
    EXPECT_INT(response_parse(bytes, RESPONSE_HEAD_MAX - 1, false, &response), RESPONSE_INCOMPLETE);
    EXPECT_INT(response_parse(bytes, RESPONSE_HEAD_MAX, false, &response), RESPONSE_MALFORMED);
}

TEST(too_many_fields_are_malformed)
{
    size_t size = (size_t)snprintf(bytes, sizeof(bytes), "HTTP/1.1 200 OK\r\n");

    for (int field = 0; field < HEADERS_MAX + 1; field++)
        size += (size_t)snprintf(bytes + size, sizeof(bytes) - size, "X: y\r\n");
    size += (size_t)snprintf(bytes + size, sizeof(bytes) - size, "\r\n");
    EXPECT_INT(response_parse(bytes, size, false, &response), RESPONSE_MALFORMED);
}

TEST(interim_heads_are_those_that_only_announce)
{
    REQUIRE(parse("HTTP/1.1 103 Early Hints\r\n\r\n", false) == RESPONSE_COMPLETE);
    EXPECT(response_is_interim(&response));
    REQUIRE(parse("HTTP/1.1 101 Switching Protocols\r\n\r\n", false) == RESPONSE_COMPLETE);
    EXPECT(!response_is_interim(&response));
}

TAP_MAIN()
