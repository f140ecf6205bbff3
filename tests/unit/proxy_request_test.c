#include "proxy/request.h"

#include "base/cleanup.h"
#include "tests/tap.h"

static struct header field(const char *name, const char *value)
{
    return (struct header){
        .name = name, .name_size = strlen(name), .value = value, .value_size = strlen(value)};
}

/* A head from `Name: value` lines, separated by '\n'. The memory is static. */
static struct request_head head_of(const char *method, const char *target, const char *version,
                                   const char *lines)
{
    static char text[4096];
    struct request_head head = {.method = method, .target = target, .version = version};

    (void)snprintf(text, sizeof(text), "%s", lines);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line;) {
        char *colon = strstr(line, ": ");
        *colon = '\0';
        head.headers.items[head.headers.count++] = field(line, colon + 2);
    }
    return head;
}

static unsigned code_of(const char *method, const char *target, const char *version, const char *lines)
{
    struct request_head head = head_of(method, target, version, lines);
    struct request_facts facts;

    return request_check(&head, &facts);
}

struct check_case {
    const char *method, *target, *version, *lines;
    unsigned code;
};

static const struct check_case checks[] = {
    {"GET", "/", "HTTP/1.1", "Host: x", 0},
    {"M-SEARCH", "/", "HTTP/1.1", "Host: x", 0},
    {"GET", "/", "HTTP/1.0", "", 0},
    {"GET", "/", "HTTP/1.1", "Host: [::1]:80", 0},
    {"OPTIONS", "*", "HTTP/1.1", "Host: x", 0},
    {"GET", "http://x/y", "HTTP/1.1", "Host: x", 0},
    {"GET", "HTTPS://X:81", "HTTP/1.1", "Host: x:81", 0},
    {"POST", "/", "HTTP/1.1", "Host: x\nContent-Length: 0", 0},
    {"POST", "/", "HTTP/1.1", "Host: x\nContent-Length: 9223372036854775807", 0},
    {"POST", "/", "HTTP/1.1", "Host: x\nTransfer-Encoding: Chunked", 0},
    {"POST", "/", "HTTP/1.1", "Host: x\nExpect: 100-Continue", 0},
    {"GET", "/", "HTTP/1.1", "Host: x\nX: tab\tand \xc3\xa4", 0},
    {"GET", "/\xc3\xa4", "HTTP/1.1", "Host: x", 0},
    /* lines */
    {"GET", "/", "HTTP/2.0", "Host: x", 505},
    {"GET", "/", "HTTP/1.10", "Host: x", 505},
    {"GET", "/", "", "", 505},
    {"", "/", "HTTP/1.1", "Host: x", 400},
    {"G T", "/", "HTTP/1.1", "Host: x", 400},
    {"THIS-METHOD-IS-LONGER-THAN-ANY-OTHER", "/", "HTTP/1.1", "Host: x", 501},
    {"CONNECT", "x:80", "HTTP/1.1", "Host: x", 405},
    {"TRACE", "/", "HTTP/1.1", "Host: x", 405},
    /* targets */
    {"GET", "", "HTTP/1.1", "Host: x", 400},
    {"GET", "x", "HTTP/1.1", "Host: x", 400},
    {"GET", "*", "HTTP/1.1", "Host: x", 400},
    {"GET", "/a b", "HTTP/1.1", "Host: x", 400},
    {"GET", "/a\tb", "HTTP/1.1", "Host: x", 400},
    {"GET", "/a\x7f", "HTTP/1.1", "Host: x", 400},
    {"GET", "http://other/", "HTTP/1.1", "Host: x", 400},
    {"GET", "http://x@other/", "HTTP/1.1", "Host: x", 400},
    {"GET", "http://x/", "HTTP/1.0", "", 400},
    {"GET", "ftp://x/", "HTTP/1.1", "Host: x", 400},
    {"GET", "http://x?y", "HTTP/1.1", "Host: x", 400},
    /* hosts */
    {"GET", "/", "HTTP/1.1", "X: y", 400},
    {"GET", "/", "HTTP/1.1", "Host: x\nhost: x", 400},
    {"GET", "/", "HTTP/1.0", "Host: x\nHost: y", 400},
    {"GET", "/", "HTTP/1.1", "Host: x/y", 400},
    {"GET", "/", "HTTP/1.1", "Host: x@y", 400},
    {"GET", "/", "HTTP/1.1", "Host: x, y", 400},
    /* framing */
    {"POST", "/", "HTTP/1.1", "Host: x\nContent-Length: 2\nContent-Length: 2", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nContent-Length: 2\ncontent-length: 3", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nContent-Length: 2, 2", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nContent-Length: +2", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nContent-Length: -2", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nContent-Length: 0x2", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nContent-Length: 2 ", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nContent-Length: 18446744073709551617", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nContent-Length: 2\nTransfer-Encoding: chunked", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nTransfer-Encoding: chunked\nTransfer-Encoding: identity", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nTransfer-Encoding: gzip, chunked", 501},
    {"POST", "/", "HTTP/1.1", "Host: x\nTransfer-Encoding: xchunked", 501},
    {"POST", "/", "HTTP/1.1", "Host: x\nTransfer-Encoding: identity", 501},
    {"POST", "/", "HTTP/1.0", "Transfer-Encoding: chunked", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nTransfer-Encoding: \vchunked", 400},
    /* fields */
    {"GET", "/", "HTTP/1.1", "Host: x\nX Y: z", 400},
    {"GET", "/", "HTTP/1.1", "Host: x\nTransfer-Encoding : chunked", 400},
    {"GET", "/", "HTTP/1.1", "Host: x\n: z", 400},
    {"GET", "/", "HTTP/1.1", "Host: x\nX: y\rTransfer-Encoding: chunked", 400},
    {"GET", "/", "HTTP/1.1", "Host: x\nX: \x01", 400},
    {"POST", "/", "HTTP/1.1", "Host: x\nExpect: 200-ok", 417},
    {"POST", "/", "HTTP/1.1", "Host: x\nExpect: 100-continue\nExpect: 100-continue", 417},
};

TEST(what_could_be_read_in_two_ways_is_refused)
{
    for (size_t at = 0; at < sizeof(checks) / sizeof(checks[0]); at++) {
        const struct check_case *wanted = &checks[at];
        unsigned code = code_of(wanted->method, wanted->target, wanted->version, wanted->lines);
        if (!EXPECT(code == wanted->code))
            printf("#   %u, not %u, for %s %s %s, %s\n", code, wanted->code, wanted->method, wanted->target,
                   wanted->version, wanted->lines);
    }
}

TEST(a_nul_in_a_value_is_refused)
{
    struct request_head head = head_of("GET", "/", "HTTP/1.1", "Host: x\nX: abc");
    struct request_facts facts;

    head.headers.items[1].value = "a\0c";
    EXPECT_INT(request_check(&head, &facts), 400);
}

TEST(too_much_is_refused_by_its_own_name)
{
    static char target[16 * 1024];
    struct request_head head = head_of("GET", "/", "HTTP/1.1", "Host: x");
    struct request_facts facts;

    head.too_many_headers = true;
    EXPECT_INT(request_check(&head, &facts), 431);
    head.too_many_headers = false;
    memset(target, 'a', sizeof(target) - 1);
    target[0] = '/';
    head.target = target;
    EXPECT_INT(request_check(&head, &facts), 414);
}

/* The head towards the backend that becomes of it; "refused" if it isn't passed on. */
static const char *written(struct buf *text, const struct request_head *head, bool trusting,
                           const char *prefix)
{
    const struct request_route route = {.prefix = prefix,
                                        .client_ip = "192.0.2.1",
                                        .default_host = "127.0.0.1:13210",
                                        .trust_forwarded = trusting};
    struct request_facts facts;

    buf_reset(text);
    if (request_check(head, &facts) != 0)
        return "refused";
    request_write(text, head, &facts, &route);
    return buf_text(text);
}

struct write_case {
    bool trusting;
    const char *method, *target, *version, *lines, *prefix, *wanted;
};

#define DISTRUST_X "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: x\r\n"

static const struct write_case writes[] = {
    {false, "GET", "/a?b=%20", "HTTP/1.1", "Host: x\nAccept: */*\nCookie: a\nCookie: b", "",
     "GET /a?b=%20 HTTP/1.1\r\nhost: x\r\nAccept: */*\r\nCookie: a\r\nCookie: b\r\n" DISTRUST_X "\r\n"},
    {false, "GET", "/a", "HTTP/1.1", "Host: x", "/http",
     "GET /http/a HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "\r\n"},
    {false, "GET", "http://x/a?b", "HTTP/1.1", "Host: x", "/http",
     "GET /http/a?b HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "\r\n"},
    {false, "OPTIONS", "*", "HTTP/1.1", "Host: x", "/http",
     "OPTIONS * HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "\r\n"},
    {false, "GET", "/", "HTTP/1.0", "", "",
     "GET / HTTP/1.1\r\nhost: 127.0.0.1:13210\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: "
     "http\r\n\r\n"},
    /* the body's end is said by us */
    {false, "POST", "/", "HTTP/1.1", "Host: x\nContent-Length: 007", "",
     "POST / HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "content-length: 7\r\n\r\n"},
    {false, "POST", "/", "HTTP/1.1", "Host: x\nContent-Length: 0", "",
     "POST / HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "content-length: 0\r\n\r\n"},
    {false, "POST", "/", "HTTP/1.1", "Host: x\nTransfer-Encoding: chunked\nTrailer: y\nExpect: 100-continue",
     "", "POST / HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "transfer-encoding: chunked\r\n\r\n"},
    /* what belongs to the hop stays there */
    {false, "GET", "/", "HTTP/1.1",
     "Host: x\nConnection: close, X-Mine\nX-Mine: 1\nx-mine: 2\nX-Other: 3\nKeep-Alive: 5\nTE: trailers\n"
     "Proxy-Connection: keep-alive\nUpgrade: h2c\nHTTP2-Settings: x",
     "", "GET / HTTP/1.1\r\nhost: x\r\nX-Other: 3\r\nHTTP2-Settings: x\r\n" DISTRUST_X "\r\n"},
    {false, "POST", "/", "HTTP/1.1", "Host: x\nConnection: content-length, host\nContent-Length: 2", "",
     "POST / HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "content-length: 2\r\n\r\n"},
    /* upgrades */
    {false, "GET", "/", "HTTP/1.1", "Host: x\nConnection: keep-alive,\tUPGRADE\nUpgrade: WebSocket", "",
     "GET / HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "connection: upgrade\r\nupgrade: websocket\r\n\r\n"},
    {false, "GET", "/", "HTTP/1.1", "Host: x\nUpgrade: websocket", "",
     "GET / HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "\r\n"},
    {false, "GET", "/", "HTTP/1.1", "Host: x\nConnection: upgrade\nUpgrade: websocket, h2c", "",
     "GET / HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "\r\n"},
    {false, "POST", "/", "HTTP/1.1", "Host: x\nConnection: upgrade\nUpgrade: websocket\nContent-Length: 1",
     "", "POST / HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "content-length: 1\r\n\r\n"},
    /* where the request came from */
    {false, "GET", "/", "HTTP/1.1",
     "Host: x\nX-Forwarded-For: 9.9.9.9\nX-Forwarded-Proto: https\nX-Forwarded-Host: y\nForwarded: for=z", "",
     "GET / HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "\r\n"},
    {true, "GET", "/", "HTTP/1.1",
     "Host: x\nX-Forwarded-For: 9.9.9.9, 8.8.8.8\nx-forwarded-for: 7.7.7.7\nX-Forwarded-Proto: https\n"
     "X-Forwarded-Host: y , w\nX-Forwarded-Host: v\nForwarded: for=z",
     "",
     "GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 9.9.9.9, 8.8.8.8, 7.7.7.7, 192.0.2.1\r\n"
     "x-forwarded-proto: https\r\nx-forwarded-host: y\r\n\r\n"},
    {true, "GET", "/", "HTTP/1.1", "Host: x\nX-Forwarded-Host: ", "",
     "GET / HTTP/1.1\r\nhost: x\r\n" DISTRUST_X "\r\n"},
};

TEST(heads_are_written_anew)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);

    for (size_t at = 0; at < sizeof(writes) / sizeof(writes[0]); at++) {
        const struct write_case *one = &writes[at];
        struct request_head head = head_of(one->method, one->target, one->version, one->lines);
        EXPECT_STR(written(&text, &head, one->trusting, one->prefix), one->wanted);
    }
}

TEST(facts_say_what_the_rest_needs_to_know)
{
    struct request_head head = head_of("POST", "/", "HTTP/1.1", "Host: x\nContent-Length: 12");
    struct request_facts facts;

    REQUIRE(request_check(&head, &facts) == 0);
    EXPECT(facts.body == BODY_LENGTH && facts.length == 12 && !facts.is_idempotent && !facts.is_head);
    head = head_of("HEAD", "/", "HTTP/1.0", "");
    REQUIRE(request_check(&head, &facts) == 0);
    EXPECT(facts.body == BODY_NONE && facts.is_idempotent && facts.is_head && facts.is_http_1_0 &&
           !facts.host);
}

TEST(paths_match_globs_without_their_query)
{
    EXPECT(request_matches("/api/actions/x/y?z", "/other:/api/actions/*"));
    EXPECT(request_matches("/exact", "/exact"));
    EXPECT(request_matches("/exact?a:b", "::/exact:"));
    EXPECT(!request_matches("/exactly", "/exact"));
    EXPECT(!request_matches("/api/action", "/api/actions/*"));
    EXPECT(!request_matches("/?/exact", "/exact"));
    EXPECT(!request_matches("/", ""));
    EXPECT(!request_matches("/", NULL));
}

TAP_MAIN()
