/* What is the proxy's own: its paths, its port, its numbers and what it adds to a request. */
#include "tests/double/proxy_stand.h"

#include "tests/tap.h"

static struct stand stand;

TEST(who_asks_is_said_to_the_backend)
{
    struct proxy_config config;
    const char *head;

    for (int trusting = 0; trusting < 2; trusting++) {
        config = stand_config(&stand);
        config.trust_forwarded = trusting;
        stand_start(&stand, &config);
        (void)peer_ask(stand.front,
                       "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 9.9.9.9\r\nForwarded: for=z\r\n\r\n");
        (void)stand_backend_request(&stand, &head);
        EXPECT(peer_has(head, trusting ? "x-forwarded-for: 9.9.9.9, 127.0.0.1\r\n"
                                       : "x-forwarded-for: 127.0.0.1\r\n"));
        EXPECT(peer_lacks(head, "\r\nforwarded:"));
        stand_stop(&stand);
    }
}

TEST(the_admin_port_knows_methods_and_says_404)
{
    const char *head;
    int client;

    stand_start_plain(&stand);
    client =
        peer_ask(stand.admin, "POST /echo HTTP/1.1\r\nHost: x\r\nX-Holdfast: 1\r\nContent-Length: 0\r\n\r\n");
    head = peer_head(client);
    EXPECT(peer_has(head, "HTTP/1.1 202 Accepted") && peer_has(head, "Content-Type: text/x-echo\r\n"));
    EXPECT_STR(peer_bytes(client, 11), "POST /echo\n");
    peer_say(client, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 404 "));
    stand_stop(&stand);
}

TEST(the_admin_port_knows_what_a_web_page_could_have_sent)
{
    static const struct {
        const char *fields;
        const char *line;
    } cases[] = {
        {"", "HTTP/1.1 403 "},
        {"Origin: http://127.0.0.1:9321\r\n", "HTTP/1.1 403 "},
        {"x-holdfast: 1\r\nOrigin: http://elsewhere\r\n", "HTTP/1.1 403 "},
        {"Origin: null\r\nX-Holdfast: 1\r\n", "HTTP/1.1 403 "},
        {"x-HOLDFAST: 1\r\n", "HTTP/1.1 202 "},
    };
    char request[256];

    stand_start_plain(&stand);
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        (void)snprintf(request, sizeof(request),
                       "POST /echo HTTP/1.1\r\nHost: x\r\n%sContent-Length: 0\r\n\r\n", cases[at].fields);
        EXPECT(peer_has(peer_head(peer_ask(stand.admin, request)), cases[at].line));
    }
    stand_stop(&stand);
}

TEST(own_paths_are_never_forwarded)
{
    int client;

    stand_start_plain(&stand);
    client =
        peer_ask(stand.front, "POST /_holdfast/ready?x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 405 "));
    (void)close(client);
    client = peer_ask(stand.site, "GET /_holdfast/other HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 404 "));
    stand_stop(&stand);
}

TEST(answers_are_counted_by_code)
{
    struct proxy_counters counters;
    int client;

    stand_start_plain(&stand);
    client = stand_exchange(&stand, "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "404 Not Found"));
    EXPECT(stand_is_kept(client));
    EXPECT(stand_in_flight(&stand, 0));
    proxy_counters(stand.proxy, &counters);
    EXPECT_INT(counters.requests[404], 1);
    EXPECT_INT(counters.requests[200], 1);
    EXPECT_INT(counters.forwarded, 1);
    stand_stop(&stand);
}

TAP_MAIN()
