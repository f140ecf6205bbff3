/* Plain requests through the running proxy, with the test as client and as backend. */
#include "tests/double/proxy_stand.h"

#include "tests/tap.h"

TEST(a_request_reaches_the_backend_and_its_answer_comes_back)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    const char *head;
    int client, backend;

    stand_start(&stand, &config);
    client = peer_ask(stand.front, "GET /a%20b?c=%2f HTTP/1.1\r\nHost: example.org:81\r\nX-Own: 1\r\n\r\n");
    backend = stand_backend_request(&stand, &head);
    EXPECT(strncmp(head, "GET /a%20b?c=%2f HTTP/1.1\r\n", 27) == 0);
    EXPECT(peer_has(head, "\r\nhost: example.org:81\r\n"));
    EXPECT(peer_has(head, "\r\nX-Own: 1\r\n"));
    EXPECT(peer_has(head, "\r\nx-forwarded-for: 127.0.0.1\r\n"));
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Theirs: 2\r\n\r\nhello");
    head = peer_head(client);
    EXPECT(strncmp(head, "HTTP/1.1 200 OK\r\n", 17) == 0);
    EXPECT(peer_has(head, "X-Theirs: 2\r\n"));
    EXPECT(peer_has(head, "Content-Length: 5\r\n"));
    EXPECT_STR(peer_bytes(client, 5), "hello");
    stand_stop(&stand);
}

TEST(connections_are_kept_on_both_sides)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int client, backend;

    stand_start(&stand, &config);
    client = peer_connect(stand.front);
    peer_say(client, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    backend = peer_accept(stand.backend);
    for (int round = 0; round < 3; round++) {
        EXPECT(peer_has(peer_head(backend), "host: x"));
        peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        EXPECT(peer_has(peer_head(client), "200 OK"));
        EXPECT_STR(peer_bytes(client, 2), "ok");
        peer_say(client, "GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    stand_stop(&stand);
}

TEST(a_body_is_passed_up_and_another_down)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    const char *head;
    int client, backend;

    stand_start(&stand, &config);
    client = peer_ask(stand.front, "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234");
    backend = stand_backend_request(&stand, &head);
    EXPECT(peer_has(head, "\r\ncontent-length: 10\r\n"));
    EXPECT_STR(peer_bytes(backend, 5), "01234");
    peer_say(client, "56789");
    EXPECT_STR(peer_bytes(backend, 5), "56789");
    peer_say(backend, "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n");
    head = peer_head(client);
    EXPECT(peer_has(head, "HTTP/1.1 201 Created\r\n"));
    EXPECT(peer_has(head, "Transfer-Encoding: chunked\r\n"));
    EXPECT_STR(peer_bytes(client, 9), "4\r\nfour\r\n");
    peer_say(backend, "3\r\ntri\r\n0\r\n\r\n");
    EXPECT_STR(peer_bytes(client, 13), "3\r\ntri\r\n0\r\n\r\n");
    stand_stop(&stand);
}

TEST(the_admin_port_and_the_own_paths_are_answered_in_every_state)
{
    for (enum proxy_state state = PROXY_LISTEN; state < PROXY_STATES; state++) {
        struct stand stand;
        struct proxy_config config = stand_config(&stand);
        char wanted[64];
        int client;

        stand.status.state = state;
        stand_start(&stand, &config);
        client = peer_ask(stand.admin, "GET /echo?x HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT(peer_has(peer_head(client), "HTTP/1.1 200 OK"));
        EXPECT_STR(peer_bytes(client, 10), "GET /echo\n");
        (void)close(client);
        client = peer_ask(stand.site, "GET /_holdfast/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        EXPECT(peer_has(peer_head(client), "HTTP/1.1 200 OK"));
        (void)snprintf(wanted, sizeof(wanted), "\"state\":\"%s\"", proxy_state_name(state));
        EXPECT(peer_has(peer_rest(client), wanted));
        (void)close(client);
        client =
            peer_ask(stand.front, "GET /_holdfast/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        EXPECT(peer_has(peer_head(client), state == PROXY_SERVE ? "HTTP/1.1 200 OK" : "HTTP/1.1 503 "));
        (void)close(client);
        client = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n");
        EXPECT(peer_has(peer_head(client), "HTTP/1.1 200 OK"));
        (void)close(client);
        stand_stop(&stand);
    }
}

TAP_MAIN()
