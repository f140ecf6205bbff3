/* Much data and many at once, through the running proxy: everything arrives, and a slow receiver slows its
 * sender down instead of filling our memory. */
#include "tests/double/proxy_stand.h"

#include "tests/tap.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

enum { PIECE = 64 * 1024, QUIET_MS = 300, PATIENCE_MS = PEER_PATIENCE_S * 1000 };

static const uint64_t whole = UINT64_C(192) * 1024 * 1024;
/* What kernel buffers of both connections hold, and a little of ours. */
static const uint64_t ahead_max = UINT64_C(48) * 1024 * 1024;

static struct stand stand;

/* A stream of bytes that tells each position from the others. */
static uint8_t byte_at(uint64_t position)
{
    return (uint8_t)(position * 131 + (position >> 8) * 17 + (position >> 16) * 7);
}

static void fill(uint8_t *bytes, uint64_t from)
{
    for (size_t at = 0; at < PIECE; at++)
        bytes[at] = byte_at(from + at);
}

/* Sends what is taken without waiting for longer than quiet_ms; returns the new position. */
static uint64_t push(int fd, uint64_t from, uint64_t end, int quiet_ms)
{
    static uint8_t bytes[PIECE];
    uint64_t position = from;

    while (position < end) {
        size_t offset = (size_t)(position % PIECE), size = PIECE - offset;
        struct pollfd look = {.fd = fd, .events = POLLOUT};
        ssize_t sent;
        fill(bytes, position - offset);
        if (size > end - position)
            size = (size_t)(end - position);
        sent = send(fd, bytes + offset, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0)
            position += (uint64_t)sent;
        else if (poll(&look, 1, quiet_ms) == 0)
            break;
    }
    return position;
}

/* Reads and compares up to size bytes from position on; returns how many were right. */
static uint64_t pull(int fd, uint64_t position, uint64_t size)
{
    static uint8_t bytes[PIECE];
    uint64_t done = 0;

    while (done < size) {
        size_t wanted = size - done < PIECE ? (size_t)(size - done) : PIECE;
        ssize_t got = recv(fd, bytes, wanted, 0);
        if (got <= 0)
            return done;
        for (ssize_t at = 0; at < got; at++)
            if (bytes[at] != byte_at(position + done + (uint64_t)at))
                return done;
        done += (uint64_t)got;
    }
    return done;
}

/* Moves everything behind `done` from one end to the other, which at first does not read. */
static void move(int from, int to, uint64_t done)
{
    uint64_t sent = push(from, done, whole, QUIET_MS), received = done;

    EXPECT(sent < ahead_max);
    while (received < whole) {
        REQUIRE(pull(to, received, sent - received) == sent - received);
        received = sent;
        sent = push(from, sent, sent + PIECE < whole ? sent + PIECE : whole, PATIENCE_MS);
        sent = push(from, sent, whole, 0);
    }
}

static void start(bool gated)
{
    struct proxy_config config = stand_config(&stand);

    config.durability.gated = gated;
    stand_start(&stand, &config);
}

static void download(bool gated)
{
    const char *head;
    char answer[100];
    int client, backend;

    start(gated);
    client = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    backend = stand_backend_request(&stand, &head);
    (void)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %" PRIu64 "\r\n\r\n", whole);
    peer_say(backend, answer);
    EXPECT(strstr(peer_head(client), "200 OK"));
    move(backend, client, 0);
    EXPECT(stand_in_flight(&stand, 0));
    stand_stop(&stand);
}

TEST(a_slow_client_slows_the_backend_down)
{
    download(false);
}

TEST(a_slow_client_slows_the_backend_down_behind_the_durability_gate_too)
{
    download(true);
}

TEST(a_slow_backend_slows_the_client_down)
{
    const char *head;
    char request[100];
    int client, backend;

    start(false);
    (void)snprintf(request, sizeof(request),
                   "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %" PRIu64 "\r\n\r\n", whole);
    client = peer_ask(stand.front, request);
    (void)push(client, 0, 1, 0);
    backend = stand_backend_request(&stand, &head);
    REQUIRE(pull(backend, 0, 1) == 1);
    move(client, backend, 1);
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT(strstr(peer_head(client), "200 OK"));
    stand_stop(&stand);
}

TEST(a_websocket_slows_its_sender_down)
{
    const char *head;
    int client, backend;

    start(false);
    client = peer_ask(stand.front,
                      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    backend = stand_backend_request(&stand, &head);
    peer_say(backend,
             "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    EXPECT(strstr(peer_head(client), "101 "));
    move(backend, client, 0);
    move(client, backend, 0);
    stand_stop(&stand);
}

TEST(an_echo_of_any_length_comes_back_while_it_goes_up)
{
    const char *head;
    char text[100];
    int client, backend;
    uint64_t up = 0, echoed = 0, back = 0;

    start(false);
    (void)snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %" PRIu64 "\r\n\r\n",
                   whole);
    client = peer_ask(stand.front, text);
    up = push(client, 0, PIECE, PATIENCE_MS);
    backend = stand_backend_request(&stand, &head);
    (void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %" PRIu64 "\r\n\r\n", whole);
    peer_say(backend, text);
    EXPECT(strstr(peer_head(client), "200 OK"));
    while (back < whole) {
        REQUIRE(pull(backend, echoed, up - echoed) == up - echoed);
        echoed = push(backend, echoed, up, PATIENCE_MS);
        REQUIRE(echoed == up);
        REQUIRE(pull(client, back, echoed - back) == echoed - back);
        back = echoed;
        up = push(client, up, up + PIECE < whole ? up + PIECE : whole, PATIENCE_MS);
    }
    EXPECT(peer_ends(client));
    stand_stop(&stand);
}

TEST(a_client_that_has_not_sent_everything_slows_its_answer_down_too)
{
    const char *head;
    char answer[100];
    int client, backend;

    start(false);
    client =
        peer_ask(stand.front, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nnot yet everything");
    backend = stand_backend_request(&stand, &head);
    (void)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %" PRIu64 "\r\n\r\n", whole);
    peer_say(backend, answer);
    EXPECT(strstr(peer_head(client), "200 OK"));
    move(backend, client, 0);
    EXPECT(peer_ends(client));
    stand_stop(&stand);
}

TEST(many_at_once_are_all_answered_whatever_the_order)
{
    enum { COUNT = 200 };
    int clients[COUNT], backends[COUNT];
    char text[100];

    start(false);
    for (int at = 0; at < COUNT; at++) {
        (void)snprintf(text, sizeof(text), "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", at);
        clients[at] = peer_ask(stand.front, text);
    }
    for (int at = 0; at < COUNT; at++) {
        const char *head;
        int fd = stand_backend_request(&stand, &head);
        backends[atoi(head + strlen("GET /"))] = fd;
    }
    EXPECT(stand_in_flight(&stand, COUNT));
    for (int at = COUNT - 1; at >= 0; at--) {
        (void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n%06d", at);
        peer_say(backends[at], text);
    }
    for (int at = 0; at < COUNT; at++) {
        (void)snprintf(text, sizeof(text), "%06d", at);
        EXPECT(strstr(peer_head(clients[at]), "200 OK"));
        EXPECT_STR(peer_bytes(clients[at], 6), text);
    }
    EXPECT(stand_in_flight(&stand, 0));
    stand_stop(&stand);
}

TEST(many_streams_at_once_go_on_side_by_side)
{
    enum { COUNT = 100, ROUNDS = 5 };
    static const char piece[] = "5\r\nhello\r\n";
    int clients[COUNT], backends[COUNT];
    const char *head;

    start(false);
    for (int at = 0; at < COUNT; at++) {
        clients[at] = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        backends[at] = stand_backend_request(&stand, &head);
        peer_say(backends[at], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        EXPECT(strstr(peer_head(clients[at]), "200 OK"));
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int at = 0; at < COUNT; at++)
            peer_say(backends[at], piece);
        for (int at = 0; at < COUNT; at++)
            EXPECT_STR(peer_bytes(clients[at], strlen(piece)), piece);
    }
    stand_stop(&stand);
}

TAP_MAIN()
