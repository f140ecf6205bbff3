/* WebSockets through the running proxy. */
#include "tests/double/proxy_stand.h"

#include "base/thread.h"
#include "tests/tap.h"

#include <errno.h>
#include <poll.h>

static const char upgrade[] =
    "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n"
    "Upgrade: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const char switching[] =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Theirs: 1\r\n\r\n";

/* An open WebSocket: the client's end, and the backend's in *ret_backend. */
static int open_tunnel(struct stand *stand, int *ret_backend)
{
    const char *head;
    int client = peer_ask(stand->front, upgrade);

    *ret_backend = stand_backend_request(stand, &head);
    EXPECT(strstr(head, "\r\nconnection: upgrade\r\nupgrade: websocket\r\n"));
    EXPECT(strstr(head, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="));
    peer_say(*ret_backend, switching);
    EXPECT(strstr(peer_head(client), "X-Theirs: 1\r\n"));
    EXPECT(stand_tunnels(stand, 1));
    return client;
}

TEST(bytes_go_both_ways_and_the_end_too)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int client, backend;

    stand_start(&stand, &config);
    client = open_tunnel(&stand, &backend);
    peer_say(client, "up");
    EXPECT_STR(peer_bytes(backend, 2), "up");
    peer_say(backend, "down");
    EXPECT_STR(peer_bytes(client, 4), "down");
    (void)close(backend);
    EXPECT(peer_ends(client));
    EXPECT(stand_tunnels(&stand, 0));
    (void)close(client);
    client = open_tunnel(&stand, &backend);
    peer_say(client, "last words");
    (void)close(client);
    EXPECT_STR(peer_rest(backend), "last words");
    EXPECT(stand_tunnels(&stand, 0));
    stand_stop(&stand);
}

/* Whoever asks through a WebSocket may be given a stale answer, as with a request; who only keeps it open
 * isn't. */
TEST(what_a_client_asks_counts_as_forwarded_and_its_pings_do_not)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    static const char ping[] = {(char)0x89, (char)0x80, 1, 2, 3, 4};
    static const char text[] = {(char)0x81, (char)0x81, 1, 2, 3, 4, 'x'};
    int client, backend;

    stand_start(&stand, &config);
    client = open_tunnel(&stand, &backend);
    EXPECT_INT(atomic_load(&stand.forwarded), 1);
    peer_send(client, ping, sizeof(ping));
    (void)peer_bytes(backend, sizeof(ping));
    EXPECT_INT(atomic_load(&stand.forwarded), 1);
    peer_send(client, text, sizeof(text));
    (void)peer_bytes(backend, sizeof(text));
    EXPECT_INT(atomic_load(&stand.forwarded), 2);
    (void)close(client);
    stand_stop(&stand);
}

TEST(what_comes_behind_the_heads_is_not_lost)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    const char *head;
    char text[sizeof(switching) + 8];
    int client, backend;

    stand_start(&stand, &config);
    client = peer_connect(stand.front);
    (void)snprintf(text, sizeof(text), "%searly", switching);
    peer_send(client, upgrade, strlen(upgrade));
    peer_say(client, "eager");
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, text);
    (void)peer_head(client);
    EXPECT_STR(peer_bytes(client, 5), "early");
    EXPECT_STR(peer_bytes(backend, 5), "eager");
    stand_stop(&stand);
}

TEST(a_refused_upgrade_is_an_ordinary_answer)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    const char *head;
    int client, backend;

    stand_start(&stand, &config);
    client = peer_ask(stand.front, upgrade);
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    EXPECT(strstr(peer_head(client), "403 Forbidden"));
    EXPECT_STR(peer_bytes(client, 2), "no");
    EXPECT(stand_tunnels(&stand, 0));
    stand_stop(&stand);
}

TEST(a_megabyte_each_way_arrives_whole)
{
    enum { SIZE = 1024 * 1024 };
    static char sent[SIZE];
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int client, backend;

    for (size_t at = 0; at < SIZE; at++)
        sent[at] = (char)('a' + at % 23);
    stand_start(&stand, &config);
    client = open_tunnel(&stand, &backend);
    /* More than the sockets hold would block this thread: piece by piece, both ways. */
    for (size_t at = 0; at < SIZE; at += 32 * 1024) {
        REQUIRE(peer_send(client, sent + at, 32 * 1024) && peer_send(backend, sent + at, 32 * 1024));
        EXPECT(memcmp(peer_bytes(backend, 32 * 1024), sent + at, 32 * 1024) == 0);
        EXPECT(memcmp(peer_bytes(client, 32 * 1024), sent + at, 32 * 1024) == 0);
    }
    stand_stop(&stand);
}

TEST(a_drain_says_goodbye_between_two_frames)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int client, backend;

    stand_start(&stand, &config);
    client = open_tunnel(&stand, &backend);
    peer_send(backend,
              "\x82\x05"
              "abc",
              5); /* two bytes of its payload are missing */
    EXPECT(memcmp(peer_bytes(client, 5),
                  "\x82\x05"
                  "abc",
                  5) == 0);
    proxy_drain(stand.proxy, 60 * 1000);
    peer_say(client, "still heard");
    EXPECT_STR(peer_bytes(backend, 11), "still heard");
    EXPECT(peer_is_silent(client));
    peer_send(backend, "de\x82\x01x", 5); /* its end, and a frame that comes too late */
    EXPECT(memcmp(peer_bytes(client, 6), "de\x88\x02\x03\xe9", 6) == 0);
    EXPECT(!event_take(stand.drained));
    peer_send(client,
              "\x88\x80"
              "mask",
              6); /* the answer to the close goes to the backend */
    EXPECT(memcmp(peer_bytes(backend, 6),
                  "\x88\x80"
                  "mask",
                  6) == 0);
    (void)close(backend);
    EXPECT(peer_ends(client));
    EXPECT(event_wait(stand.drained, PEER_PATIENCE_S * 1000));
    stand_stop(&stand);
}

TEST(a_client_that_does_not_answer_the_goodbye_is_left)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int client, backend;

    stand_start(&stand, &config);
    client = open_tunnel(&stand, &backend);
    proxy_drain(stand.proxy, 60 * 1000);
    EXPECT(memcmp(peer_bytes(client, 4), "\x88\x02\x03\xe9", 4) == 0);
    EXPECT(event_wait(stand.drained, PEER_PATIENCE_S * 1000));
    EXPECT(peer_ends(client));
    EXPECT(peer_ends(backend));
    stand_stop(&stand);
}

TEST(a_drain_cuts_what_never_reaches_a_boundary)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int client, backend;

    stand_start(&stand, &config);
    client = open_tunnel(&stand, &backend);
    peer_send(backend,
              "\x82\x05"
              "abc",
              5);
    EXPECT(memcmp(peer_bytes(client, 5),
                  "\x82\x05"
                  "abc",
                  5) == 0);
    proxy_drain(stand.proxy, 60 * 1000);
    proxy_drain(stand.proxy, 20); /* the second signal */
    EXPECT(event_wait(stand.drained, PEER_PATIENCE_S * 1000));
    EXPECT(peer_ends(client));
    EXPECT(peer_ends(backend));
    stand_stop(&stand);
}

/* Half a frame, and nothing more. */
TEST(a_drain_does_not_wait_for_a_frame_that_does_not_go_on)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int client, backend;

    stand_start(&stand, &config);
    client = open_tunnel(&stand, &backend);
    peer_send(backend,
              "\x82\x05"
              "abc",
              5);
    (void)peer_bytes(client, 5);
    proxy_drain(stand.proxy, 600 * 1000);
    EXPECT(event_wait(stand.drained, PEER_PATIENCE_S * 1000));
    EXPECT(peer_ends(client) && peer_ends(backend));
    stand_stop(&stand);
}

/* Sends frames until nobody takes any. */
static void fill(int backend)
{
    static const char frame[4 + 65535] = {'\x82', 126, '\xff', '\xff'};
    struct pollfd room = {.fd = backend, .events = POLLOUT};

    while (poll(&room, 1, 200) > 0)
        if (send(backend, frame, sizeof(frame), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
            return;
}

TEST(a_drain_does_not_wait_for_a_client_that_takes_nothing)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int client, backend;

    stand_start(&stand, &config);
    client = open_tunnel(&stand, &backend);
    fill(backend);
    proxy_drain(stand.proxy, 600 * 1000);
    EXPECT(event_wait(stand.drained, PEER_PATIENCE_S * 1000));
    (void)close(client);
    stand_stop(&stand);
}

TEST(a_drain_waits_for_a_client_that_takes_little)
{
    struct stand stand;
    struct proxy_config config = stand_config(&stand);
    int client, backend;

    stand_start(&stand, &config);
    client = open_tunnel(&stand, &backend);
    peer_send(backend, "\x82\x0c", 2);
    (void)peer_bytes(client, 2);
    proxy_drain(stand.proxy, 600 * 1000);
    for (int round = 0; round < 12; round++) {
        EXPECT(!event_wait(stand.drained, 250));
        peer_send(backend, "x", 1);
        EXPECT_STR(peer_bytes(client, 1), "x");
    }
    EXPECT(memcmp(peer_bytes(client, 4), "\x88\x02\x03\xe9", 4) == 0);
    stand_stop(&stand);
}

TAP_MAIN()
