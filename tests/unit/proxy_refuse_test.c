/* Requests that are malformed, ambiguous or hostile, byte for byte, through the running proxy: each gets a
 * refusal and a closed connection, and the backend sees nothing, least of all two requests where one was
 * sent. */
#include "tests/double/proxy_stand.h"

#include "tests/tap.h"

#include <sys/socket.h>

static struct stand stand;

struct refused {
    const char *request;
    unsigned code;
    bool library; /* an older libmicrohttpd takes it, or closes without a word */
};

#define H "Host: x\r\n"

static const struct refused cases[] = {
    {"GET / HTTP/1.1\r\n\r\n", 400, false},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, false},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, false},
    {"CONNECT x:80 HTTP/1.1\r\n" H "\r\n", 405, false},
    {"TRACE / HTTP/1.1\r\n" H "\r\n", 405, false},
    {"GET / HTTP/3.0\r\n" H "\r\n", 505, false},
    {"G[T / HTTP/1.1\r\n" H "\r\n", 400, false},
    {"GET http://other/ HTTP/1.1\r\n" H "\r\n", 400, false},
    {"GET other HTTP/1.1\r\n" H "\r\n", 400, false},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 400, false},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400, true},
    {"POST / HTTP/1.1\r\n" H "Content-Length: nine\r\n\r\n", 400, false},
    {"POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400, false},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999999\r\n\r\n", 400, true},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, false},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, false},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, false},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
     400, false},
    {"POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, false},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, false},
    {"GET / HTTP/1.1\r\n" H "X: y\rTransfer-Encoding: chunked\r\n\r\n", 400, false},
    {"GET / HTTP/1.1\r\n" H "X Y: z\r\n\r\n", 400, false},
    {"GET / HTTP/1.1\r\n" H "no colon\r\n\r\n", 400, false},
    {"GET / HTTP/1.1\r\n" H "X: \x01\r\n\r\n", 400, false},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nExpect: magic\r\n\r\n", 417, false},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400,
     true}, /* known when the head is gone */
    {"GET / HTTP/1.1\r\n" H "X: y\r\n folded\r\n\r\n", 400, true},
    {"GET / HTTP/1.1\n"
     "Host: x\n\n",
     400, true},
    {"GET  / HTTP/1.1\r\n" H "\r\n", 400, true},
    {"PATCH  / HTTP/1.1\r\n" H "\r\n", 400, true},
    {" GET / HTTP/1.1\r\n" H "\r\n", 400, true},
    {"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400, true},
};

/* Everything that was answered, whatever it was. */
static uint64_t answers_counted(const struct proxy_counters *counters)
{
    uint64_t sum = 0;

    for (size_t code = 0; code < PROXY_CODES_MAX; code++)
        sum += counters->requests[code];
    return sum;
}

static bool is_counted_once(unsigned code)
{
    struct proxy_counters counters;

    proxy_counters(stand.proxy, &counters);
    return counters.requests[code] == 1 && answers_counted(&counters) == 1;
}

TEST(the_malformed_is_refused_and_the_connection_closed)
{
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        char wanted[32];
        const char *head;
        int client;
        if (cases[at].library && !proxy_http_library_is_strict())
            continue;
        stand_start_plain(&stand);
        client = peer_connect(stand.front);
        peer_say(client, cases[at].request);
        peer_say(client, "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        head = peer_head(client);
        (void)snprintf(wanted, sizeof(wanted), "HTTP/1.1 %u ", cases[at].code);
        if (!EXPECT(strstr(head, wanted) == head))
            printf("#   \"%.40s\", not %u, for %s\n", head, cases[at].code, cases[at].request);
        if (proxy_http_library_is_strict() && !EXPECT(is_counted_once(cases[at].code)))
            printf("#   of %s\n", cases[at].request);
        head = peer_rest(client);
        /* An older libmicrohttpd says some of its own refusals twice, and then closes. */
        if (!EXPECT((!strstr(head, "HTTP/1.1 2") && !strstr(head, "HTTP/1.1 4")) ||
                    !proxy_http_library_is_strict()))
            printf("#   \"%s\" for %s\n", head, cases[at].request);
        EXPECT(peer_is_silent(stand.backend) || strstr(cases[at].request, "zz"));
        stand_stop(&stand);
    }
}

TEST(a_nul_in_the_request_line_is_refused)
{
    static const char request[] = "GET /a\0b HTTP/1.1\r\n" H "\r\n";
    const char *head;
    int client;

    if (!proxy_http_library_is_strict())
        return;
    stand_start_plain(&stand);
    client = peer_connect(stand.front);
    peer_send(client, request, sizeof(request) - 1);
    head = peer_head(client);
    EXPECT(peer_has(head, "HTTP/1.1 400 Bad Request\r\n") && peer_has(head, "X-Holdfast: 1\r\n") &&
           peer_has(head, "Connection: close\r\n"));
    EXPECT_STR(peer_rest(client), "{\"error\":\"Bad Request\"}\n");
    EXPECT(is_counted_once(400));
    stand_stop(&stand);
}

TEST(what_looks_like_no_request_is_refused_on_a_kept_connection_too)
{
    struct proxy_config config = stand_config(&stand);
    int client;

    config.head_timeout_ms = 200;
    stand_start(&stand, &config);
    if (!proxy_http_library_is_strict())
        return;
    client = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "200 OK"));
    (void)peer_bytes(client, 3);
    /* What comes together with a request isn't told from it: this comes a while later. */
    EXPECT(peer_ends(peer_connect(stand.front)));
    peer_say(client, "PATCH  / HTTP/1.1\r\n" H "\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 400 "));
    stand_stop(&stand);
}

TEST(an_empty_line_before_a_request_is_passed_over)
{
    int client;

    stand_start_plain(&stand);
    client = peer_ask(stand.front, "\r\nGET / HTTP/1.1\r\nHost: ping\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 200 OK\r\n"));
    stand_stop(&stand);
}

TEST(who_leaves_before_the_head_is_whole_is_not_counted)
{
    struct proxy_counters counters;
    int client;

    stand_start_plain(&stand);
    client = peer_ask(stand.front, "GET / HTTP/1.1\r\nHo");
    (void)shutdown(client, SHUT_WR);
    EXPECT_STR(peer_rest(client), "");
    proxy_counters(stand.proxy, &counters);
    EXPECT_INT(answers_counted(&counters), 0);
    stand_stop(&stand);
}

TEST(what_the_admin_port_refuses_is_not_counted)
{
    struct proxy_counters counters;
    int client;

    stand_start_plain(&stand);
    client = peer_ask(stand.admin, "POST / HTTP/1.1\r\n" H "Content-Length: nine\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 400 "));
    proxy_counters(stand.proxy, &counters);
    EXPECT_INT(answers_counted(&counters), 0);
    stand_stop(&stand);
}

TEST(nothing_makes_two_requests_of_one)
{
    static const struct {
        const char *request;
        bool library; /* an older libmicrohttpd reads another request, which nobody above it can tell */
    } hidden[] = {
        {"POST / HTTP/1.1\r\n" H "Content-Length: 44\r\nContent-Length: 0\r\n\r\n", false},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" H "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" H "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
        {"GET / HTTP/1.1\r\n" H "Content-Length:\r\n 5\r\n\r\nabcde", true},
        {"GET / HTTP/1.1\r\n" H "X: y\r\n\tTransfer-Encoding: chunked\r\n\r\n", true},
    };

    for (size_t at = 0; at < sizeof(hidden) / sizeof(hidden[0]); at++) {
        struct proxy_counters counters;
        const char *head;
        int client;
        if (hidden[at].library && !proxy_http_library_is_strict())
            continue;
        stand_start_plain(&stand);
        client = peer_connect(stand.front);
        peer_say(client, hidden[at].request);
        peer_say(client, "GET /smuggled HTTP/1.1\r\n" H "\r\n");
        head = peer_head(client);
        if (!EXPECT(strstr(head, "HTTP/1.1 400 ") == head || strstr(head, "HTTP/1.1 501 ") == head))
            printf("#   \"%.60s\" for %s\n", head, hidden[at].request);
        proxy_counters(stand.proxy, &counters);
        EXPECT_INT(counters.forwarded, 0);
        stand_stop(&stand);
    }
}

TEST(a_body_that_looks_like_a_request_is_a_body)
{
    const char *head;
    int client, backend;

    stand_start_plain(&stand);
    client = peer_ask(stand.front, "POST / HTTP/1.1\r\n" H
                                   "Content-Length: 24\r\n\r\nGET /inner HTTP/1.1\r\n\r\n\n"
                                   "GET /outer HTTP/1.1\r\n" H "\r\n");
    backend = stand_backend_request(&stand, &head);
    EXPECT(strstr(head, "POST / "));
    EXPECT_STR(peer_bytes(backend, 24), "GET /inner HTTP/1.1\r\n\r\n\n");
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT(strstr(peer_head(client), "200 OK"));
    EXPECT(strstr(peer_head(backend), "GET /outer "));
    stand_stop(&stand);
}

static const char *answer_to(const char *request, size_t size)
{
    static char head[4096];
    int client;

    stand_start_plain(&stand);
    client = peer_connect(stand.front);
    (void)peer_send(client, request, size); /* it may be refused before all was sent */
    (void)snprintf(head, sizeof(head), "%s", peer_head(client));
    stand_stop(&stand);
    return head;
}

TEST(what_is_too_long_is_refused)
{
    enum { SIZE = 60000 };
    static char request[SIZE + 1];

    (void)snprintf(request, sizeof(request), "GET / HTTP/1.1\r\n" H "X: ");
    memset(request + strlen(request), 'x', SIZE - strlen(request));
    EXPECT(strstr(answer_to(request, SIZE), "HTTP/1.1 431 "));
    memset(request, 'a', SIZE);
    memcpy(request, "GET /", 5);
    EXPECT(strstr(answer_to(request, SIZE), "HTTP/1.1 414 "));
    memset(request, 'a', SIZE);
    (void)snprintf(request, sizeof(request), "GET / HTTP/1.1\r\n" H);
    for (int field = 0; field < 101; field++)
        (void)snprintf(request + strlen(request), sizeof(request) - strlen(request), "X: y\r\n");
    (void)snprintf(request + strlen(request), sizeof(request) - strlen(request), "\r\n");
    EXPECT(strstr(answer_to(request, strlen(request)), "HTTP/1.1 431 "));
}

TEST(a_refusal_is_read_although_the_client_is_still_sending)
{
    static char body[1024 * 1024];
    int client;

    stand_start_plain(&stand);
    client =
        peer_ask(stand.front, "POST / HTTP/1.1\r\n" H "Content-Length: 2000000\r\nExpect: magic\r\n\r\n");
    (void)peer_send(client, body, sizeof(body));
    EXPECT(strstr(peer_head(client), "HTTP/1.1 417 "));
    stand_stop(&stand);
}

TAP_MAIN()
