/* Backends and clients that misbehave, through the running proxy. */
#include "tests/double/proxy_stand.h"

#include "tests/tap.h"

#include <sys/socket.h>
#include <sys/time.h>

static struct stand stand;
static const char get[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static bool is_bad_gateway(int client)
{
    const char *head = peer_head(client);

    return peer_has(head, "HTTP/1.1 502 Bad Gateway\r\n") &&
           peer_has(head, "Content-Type: application/json\r\n") && peer_has(head, "X-Holdfast: 1\r\n");
}

TEST(a_backend_that_refuses_connections_is_a_bad_gateway)
{
    static const char *const requests[] = {get,
                                           "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"};

    for (size_t at = 0; at < 2; at++) {
        int client;
        stand_start_plain(&stand);
        (void)close(stand.backend);
        client = peer_ask(stand.front, requests[at]);
        EXPECT(is_bad_gateway(client));
        stand.backend = -1;
        stand_stop(&stand);
    }
}

static const char *const unusable[] = {
    "nonsense\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: y\nZ: z\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/1.1 200 O",
    "",
};

TEST(an_answer_that_can_not_be_used_is_a_bad_gateway)
{
    for (size_t at = 0; at < sizeof(unusable) / sizeof(unusable[0]); at++) {
        const char *head;
        int client, backend;
        stand_start_plain(&stand);
        client = peer_ask(stand.front, get);
        backend = stand_backend_request(&stand, &head);
        peer_say(backend, unusable[at]);
        (void)close(backend);
        if (!EXPECT(is_bad_gateway(client)))
            printf("#   for %s\n", unusable[at]);
        stand_stop(&stand);
    }
}

TEST(an_answer_cut_off_in_its_body_is_cut_off_for_the_client_too)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nbroken",
    };

    for (size_t at = 0; at < sizeof(answers) / sizeof(answers[0]); at++) {
        const char *head;
        int client, backend;
        stand_start_plain(&stand);
        (void)peer_head(
            peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n")); /* an older connection */
        client = peer_ask(stand.front, get);
        backend = stand_backend_request(&stand, &head);
        if (at < 2) {
            peer_say(backend, answers[at]);
            EXPECT(peer_has(peer_head(client), "200 OK"));
        } else { /* malformed only after the head was sent */
            peer_send(backend, answers[at], strlen(answers[at]) - 6);
            EXPECT(peer_has(peer_head(client), "200 OK"));
            peer_say(backend, "broken");
        }
        (void)close(backend);
        EXPECT(!strstr(peer_rest(client), "\r\n0\r\n"));
        EXPECT(peer_ends(client));
        stand_stop(&stand);
    }
}

TEST(a_pooled_connection_that_was_closed_costs_one_retry)
{
    const char *head;
    int client, backend, other;

    stand_start_plain(&stand);
    client = peer_ask(stand.front, get);
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, ok);
    EXPECT(peer_has(peer_head(client), "200 OK"));
    (void)peer_bytes(client, 2);
    peer_say(client, get);
    EXPECT(peer_has(peer_head(backend), "GET /x "));
    (void)close(backend); /* as if it had been closing when the request was sent */
    other = stand_backend_request(&stand, &head);
    EXPECT(peer_has(head, "GET /x "));
    (void)close(other); /* a fresh one that is closed is an answer */
    EXPECT(is_bad_gateway(client));
    stand_stop(&stand);
}

TEST(a_request_that_can_not_be_repeated_gets_no_closed_connection)
{
    const char *head;
    int client, backend;

    stand_start_plain(&stand);
    client = peer_ask(stand.front, get);
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, ok);
    EXPECT(peer_has(peer_head(client), "200 OK"));
    (void)peer_bytes(client, 2);
    (void)close(backend);
    peer_say(client, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    backend = stand_backend_request(&stand, &head);
    EXPECT(peer_has(head, "POST /x "));
    peer_say(backend, ok);
    EXPECT(peer_has(peer_head(client), "200 OK"));
    stand_stop(&stand);
}

TEST(a_backend_that_is_slow_to_accept_is_waited_for)
{
    static const char *const requests[] = {get,
                                           "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"};
    const char *head;
    int clients[2], backend, filler;

    stand_start_plain(&stand);
    REQUIRE(listen(stand.backend, 0) == 0); /* one may wait; the next has to ask again, a second later */
    filler = peer_connect(stand.backend_port);
    for (int at = 0; at < 2; at++)
        clients[at] = peer_ask(stand.front, requests[at]);
    REQUIRE(stand_in_flight(&stand, 2));
    REQUIRE(listen(stand.backend, 128) == 0);
    (void)close(peer_accept(stand.backend));
    (void)close(filler);
    for (int at = 0; at < 2; at++) {
        backend = stand_backend_request(&stand, &head);
        if (strstr(head, "POST "))
            EXPECT_STR(peer_bytes(backend, 3), "abc");
        peer_say(backend, ok);
    }
    for (int at = 0; at < 2; at++)
        EXPECT(peer_has(peer_head(clients[at]), "200 OK"));
    stand_stop(&stand);
}

TEST(what_can_not_be_repeated_is_not)
{
    static const char post[] = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    const char *head;
    int client, backend;

    stand_start_plain(&stand);
    client = peer_ask(stand.front, get);
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, ok);
    EXPECT(peer_has(peer_head(client), "200 OK"));
    (void)peer_bytes(client, 2);
    peer_say(client, post);
    EXPECT(peer_has(peer_head(backend), "POST /x "));
    (void)close(backend);
    EXPECT(is_bad_gateway(client));
    EXPECT(peer_is_silent(stand.backend));
    stand_stop(&stand);
}

TEST(a_connection_with_bytes_too_many_is_not_used_again)
{
    const char *head;
    int client, backend, other;

    stand_start_plain(&stand);
    client = peer_ask(stand.front, get);
    backend = stand_backend_request(&stand, &head);
    peer_say(
        backend,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    EXPECT(peer_has(peer_head(client), "200 OK"));
    EXPECT_STR(peer_bytes(client, 2), "ok");
    EXPECT(peer_ends(backend));
    peer_say(client, get);
    other = stand_backend_request(&stand, &head);
    peer_say(other, ok);
    (void)peer_head(client);
    EXPECT_STR(peer_bytes(client, 2), "ok");
    stand_stop(&stand);
}

TEST(an_early_answer_ends_the_upload)
{
    static const char *const requests[] = {
        "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nthe beginning",
        "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nthe beginning\r\n",
    };
    static const struct {
        const char *answer, *body;
    } answers[] = {
        {"HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\nX: y\r\n\r\ntoo much", "too much"},
        {"HTTP/1.1 413 Content Too Large\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntoo\r\n5\r\n "
         "much\r\n0\r\n\r\n",
         "8\r\ntoo much\r\n0\r\n\r\n"},
        {"HTTP/1.1 413 Content Too Large\r\nX: y\r\nContent-Length: 0\r\n\r\n", ""},
    };

    for (size_t at = 0; at < 6; at++) {
        const char *head;
        int client, backend;
        stand_start_plain(&stand);
        client = peer_ask(stand.front, requests[at % 2]);
        backend = stand_backend_request(&stand, &head);
        (void)peer_bytes(backend, 13);
        peer_say(backend, answers[at / 2].answer);
        /* It goes on sending, as most clients do, before it looks. */
        peer_say(client, at % 2 ? "4\r\nmore\r\n" : "more");
        head = peer_head(client);
        EXPECT(peer_has(head, "HTTP/1.1 413 ") && peer_has(head, "Connection: close\r\n") &&
               peer_has(head, "X: y\r\n"));
        EXPECT_STR(peer_rest(client), answers[at / 2].body);
        (void)close(backend);
        EXPECT(stand_in_flight(&stand, 0));
        stand_stop(&stand);
    }
}

TEST(an_answer_that_comes_before_a_reset_is_not_lost)
{
    enum { SIZE = 32 * 1024 * 1024 };
    static char body[SIZE];
    const char *head;
    int client, backend;
    struct timeval moment = {.tv_usec = 200 * 1000};

    stand_start_plain(&stand);
    client = peer_ask(stand.front, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n");
    backend = -1;
    (void)setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof(moment));
    EXPECT(!peer_send(client, body, SIZE)); /* nobody reads: everything in between is full */
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    (void)close(backend); /* with bytes unread: a reset */
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 413 "));
    EXPECT_STR(peer_bytes(client, 2), "no");
    stand_stop(&stand);
}

TEST(a_backend_that_dies_during_an_upload_is_a_bad_gateway)
{
    const char *head;
    int client, backend;

    stand_start_plain(&stand);
    client = peer_ask(stand.front, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nthe beginning");
    backend = stand_backend_request(&stand, &head);
    (void)peer_bytes(backend, 13);
    (void)close(backend);
    EXPECT(is_bad_gateway(client));
    EXPECT(strstr(peer_rest(client), "\"error\":"));
    stand_stop(&stand);
}

TEST(a_client_that_leaves_is_noticed_and_the_backend_told)
{
    static const char *const answers[] = {"",
                                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"};

    for (size_t at = 0; at < 2; at++) {
        const char *head;
        int client, backend;
        stand_start_plain(&stand);
        client = peer_ask(stand.front, get);
        backend = stand_backend_request(&stand, &head);
        peer_say(backend, answers[at]);
        if (at == 1)
            EXPECT(peer_has(peer_head(client), "200 OK"));
        (void)close(client);
        EXPECT(peer_ends(backend));
        EXPECT(stand_in_flight(&stand, 0));
        stand_stop(&stand);
    }
}

TEST(a_client_that_leaves_in_mid_upload_is_noticed_too)
{
    const char *head;
    int client, backend;

    stand_start_plain(&stand);
    client = peer_ask(stand.front, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nthe beginning");
    backend = stand_backend_request(&stand, &head);
    EXPECT_STR(peer_bytes(backend, 13), "the beginning");
    (void)close(client);
    EXPECT(peer_ends(backend));
    stand_stop(&stand);
}

TAP_MAIN()
