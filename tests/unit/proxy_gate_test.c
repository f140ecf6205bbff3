/* Holding, passing and refusing requests, through the running proxy. */
#include "tests/double/proxy_stand.h"

#include "base/thread.h"
#include "tests/tap.h"

static const char get[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
static const char upgrade[] =
    "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

TEST(requests_are_held_until_the_state_is_serve)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    const char *head;
    int plain, with_body, socket, backend;

    stand.status.state = PROXY_RESTORE;
    stand_start(&stand, &config);
    plain = peer_ask(stand.front, get);
    REQUIRE(stand_held(&stand, 1));
    with_body = peer_ask(stand.site, "POST /y HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    REQUIRE(stand_held(&stand, 2));
    socket = peer_ask(stand.front, upgrade);
    REQUIRE(stand_held(&stand, 3));
    stand_set_state(&stand, PROXY_LAUNCH);
    EXPECT(peer_is_silent(plain) && peer_is_silent(with_body) && peer_is_silent(socket));
    stand_set_state(&stand, PROXY_SERVE);
    backend = stand_backend_request(&stand, &head);
    EXPECT(peer_has(head, "GET /x HTTP/1.1\r\n"));
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
    EXPECT(peer_has(peer_head(plain), "200 OK"));
    backend = stand_backend_request(&stand, &head);
    EXPECT(peer_has(head, "POST /http/y HTTP/1.1\r\n"));
    EXPECT_STR(peer_bytes(backend, 3), "abc");
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
    EXPECT(peer_has(peer_head(with_body), "200 OK"));
    backend = stand_backend_request(&stand, &head);
    EXPECT(peer_has(head, "\r\nupgrade: websocket\r\n"));
    peer_say(backend,
             "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    EXPECT(peer_has(peer_head(socket), "101 Switching Protocols"));
    EXPECT(stand_held(&stand, 0));
    stand_stop(&stand);
}

TEST(who_has_waited_too_long_is_told_when_to_come_back)
{
    static const char body[] =
        "{\"state\":\"restore\",\"progress\":0.250,\"retry_after_s\":7,\"reason\":\"restoring "
        "\\\"it\\\"\"}\n";
    static const char *const requests[] = {
        "GET /x HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nonly a part of it",
        "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        upgrade,
    };

    for (size_t at = 0; at < sizeof(requests) / sizeof(requests[0]); at++) {
        struct stand stand;
        struct proxy_config config = stand_config(&stand);
        const char *head;
        int client;

        stand.status = (struct proxy_status){.state = PROXY_RESTORE, .progress = 0.25, .retry_after_s = 7};
        (void)snprintf(stand.status.reason, sizeof(stand.status.reason), "restoring \"it\"");
        config.hold_timeout_ms = 30;
        stand_start(&stand, &config);
        client = peer_ask(stand.front, requests[at]);
        head = peer_head(client);
        EXPECT(peer_has(head, "HTTP/1.1 503 Service Unavailable\r\n"));
        EXPECT(peer_has(head, "Retry-After: 7\r\n"));
        EXPECT(peer_has(head, "Content-Type: application/json\r\n"));
        EXPECT(peer_has(head, "X-Holdfast: 1\r\n"));
        EXPECT_STR(peer_bytes(client, strlen(body)), body);
        (void)close(client);
        stand_stop(&stand);
    }
}

TEST(a_client_that_goes_away_while_held_is_let_go)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int client;

    stand.status.state = PROXY_LISTEN;
    stand_start(&stand, &config);
    client = peer_ask(stand.front, get);
    REQUIRE(stand_held(&stand, 1));
    (void)close(client);
    EXPECT(stand_held(&stand, 0));
    stand_stop(&stand);
}

TEST(more_than_may_be_held_are_refused_at_once)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int first, second;

    stand.status.state = PROXY_LISTEN;
    config.held_max = 1;
    stand_start(&stand, &config);
    first = peer_ask(stand.front, get);
    REQUIRE(stand_held(&stand, 1));
    second = peer_ask(stand.front, get);
    EXPECT(peer_has(peer_head(second), "HTTP/1.1 503 "));
    EXPECT(peer_is_silent(first));
    stand_stop(&stand);
}

TEST(the_backend_is_asked_until_it_answers_once)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    const char *head;
    int backend;

    stand.status.state = PROXY_LAUNCH;
    stand_start(&stand, &config);
    proxy_health_begin(stand.proxy);
    backend = stand_backend_request(&stand, &head);
    EXPECT(strncmp(head, "GET /version HTTP/1.1\r\n", 23) == 0);
    (void)close(backend);
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, "nonsense\r\n\r\n");
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 Not Yet\r\nContent-Length: 0\r\n\r\n");
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, "HTTP/1.1 200");
    EXPECT(!event_take(stand.answered));
    peer_say(backend, " OK\r\nContent-Length: 10\r\n\r\n");
    EXPECT(event_wait(stand.answered, PEER_PATIENCE_S * 1000));
    stand_stop(&stand);
}

TEST(while_degraded_it_serves_and_is_not_ready)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    const char *head;
    int client;

    stand_start(&stand, &config);
    stand_set_degraded(&stand, true);
    client = peer_ask(stand.front, "GET /_holdfast/ready HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 503 "));
    (void)peer_ask(stand.front, get);
    (void)stand_backend_request(&stand, &head);
    EXPECT(peer_has(head, "GET /x "));
    stand_stop(&stand);
}

/* Who comes when the start has failed, and who was there before, is told the same. */
TEST(a_start_that_has_failed_is_told_with_its_sentence_and_exit_code)
{
    static const char body[] =
        "{\"state\":\"restore\",\"progress\":0.250,\"retry_after_s\":5,\"reason\":\"part/1 is damaged\","
        "\"exit_code\":65}\n";
    static const char *const requests[] = {
        get,
        "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nonly a part of it",
        "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        upgrade,
    };
    enum { COUNT = sizeof(requests) / sizeof(requests[0]) };
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int clients[2 * COUNT + 1];

    stand.status = (struct proxy_status){.state = PROXY_RESTORE, .progress = 0.25};
    stand_start(&stand, &config);
    for (size_t at = 0; at < COUNT; at++)
        clients[at] = peer_ask(stand.front, requests[at]);
    REQUIRE(stand_held(&stand, COUNT));
    stand_set_failed(&stand, "part/1 is damaged", 65);
    for (size_t at = 0; at < COUNT; at++)
        clients[COUNT + at] = peer_ask(stand.site, requests[at]);
    clients[2 * COUNT] = peer_ask(stand.front, "GET /_holdfast/ready HTTP/1.1\r\nHost: x\r\n\r\n");
    for (size_t at = 0; at < sizeof(clients) / sizeof(clients[0]); at++) {
        const char *head = peer_head(clients[at]);
        EXPECT(peer_has(head, "HTTP/1.1 503 Service Unavailable\r\n") &&
               peer_has(head, "Retry-After: 5\r\n"));
        EXPECT(peer_has(head, "X-Holdfast: 1\r\n") && peer_has(head, "Connection: close\r\n"));
        EXPECT_STR(peer_rest(clients[at]), body);
    }
    EXPECT(stand_held(&stand, 0));
    stand_stop(&stand);
}

TEST(a_start_that_has_failed_is_alive_until_the_end_and_still_says_where_it_failed)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int client;

    stand.status.state = PROXY_LISTEN;
    stand_start(&stand, &config);
    stand_set_failed(&stand, "no such command", 127);
    proxy_drain(stand.proxy, 60 * 1000);
    REQUIRE(event_wait(stand.drained, PEER_PATIENCE_S * 1000));
    client = peer_ask(stand.front, "GET /_holdfast/live HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 200 OK"));
    EXPECT(peer_has(peer_rest(client), "{\"state\":\"listen\""));
    stand_stop(&stand);
}

TAP_MAIN()
