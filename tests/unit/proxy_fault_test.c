/* Backends and clients that misbehave, through the running proxy. */
#include "tests/double/proxy_stand.h"

#include "base/thread.h"
#include "tests/tap.h"

static struct stand stand;
static const char get[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static void start(void)
{
    struct proxy_config config = stand_config(&stand);

    stand_start(&stand, &config);
}

static bool has(const char *text, const char *part)
{
    if (strstr(text, part))
        return true;
    printf("#   \"%s\" is not in \"%s\"\n", part, text);
    return false;
}

static bool is_bad_gateway(int client)
{
    const char *head = peer_head(client);

    return has(head, "HTTP/1.1 502 Bad Gateway\r\n") && has(head, "Content-Type: application/json\r\n") &&
           has(head, "X-Holdfast: 1\r\n");
}

TEST(a_backend_that_refuses_connections_is_a_bad_gateway)
{
    static const char *const requests[] = {get,
                                           "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"};

    for (size_t at = 0; at < 2; at++) {
        int client;
        start();
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
        start();
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
        start();
        client = peer_ask(stand.front, get);
        backend = stand_backend_request(&stand, &head);
        if (at < 2) {
            peer_say(backend, answers[at]);
            EXPECT(has(peer_head(client), "200 OK"));
        } else { /* malformed only after the head was sent */
            peer_send(backend, answers[at], strlen(answers[at]) - 6);
            EXPECT(has(peer_head(client), "200 OK"));
            peer_say(backend, "broken");
        }
        (void)close(backend);
        EXPECT(!strstr(peer_rest(client), "\r\n0\r\n"));
        stand_stop(&stand);
    }
}

TEST(a_pooled_connection_that_was_closed_costs_one_retry)
{
    const char *head;
    int client, backend, other;

    start();
    client = peer_ask(stand.front, get);
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, ok);
    EXPECT(has(peer_head(client), "200 OK"));
    (void)peer_bytes(client, 2);
    peer_say(client, get);
    EXPECT(has(peer_head(backend), "GET /x "));
    (void)close(backend); /* as if it had been closing when the request was sent */
    other = stand_backend_request(&stand, &head);
    EXPECT(has(head, "GET /x "));
    (void)close(other); /* a fresh one that is closed is an answer */
    EXPECT(is_bad_gateway(client));
    stand_stop(&stand);
}

TEST(what_can_not_be_repeated_is_not)
{
    static const char post[] = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    const char *head;
    int client, backend;

    start();
    client = peer_ask(stand.front, get);
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, ok);
    EXPECT(has(peer_head(client), "200 OK"));
    (void)peer_bytes(client, 2);
    peer_say(client, post);
    EXPECT(has(peer_head(backend), "POST /x "));
    (void)close(backend);
    EXPECT(is_bad_gateway(client));
    EXPECT(peer_is_silent(stand.backend));
    stand_stop(&stand);
}

TEST(a_connection_with_bytes_too_many_is_not_used_again)
{
    const char *head;
    int client, backend, other;

    start();
    client = peer_ask(stand.front, get);
    backend = stand_backend_request(&stand, &head);
    peer_say(
        backend,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    EXPECT(has(peer_head(client), "200 OK"));
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
        start();
        client = peer_ask(stand.front, requests[at % 2]);
        backend = stand_backend_request(&stand, &head);
        (void)peer_bytes(backend, 13);
        peer_say(backend, answers[at / 2].answer);
        /* It goes on sending, as most clients do, before it looks. */
        peer_say(client, at % 2 ? "4\r\nmore\r\n" : "more");
        head = peer_head(client);
        EXPECT(has(head, "HTTP/1.1 413 ") && has(head, "Connection: close\r\n") && has(head, "X: y\r\n"));
        EXPECT_STR(peer_rest(client), answers[at / 2].body);
        (void)close(backend);
        EXPECT(stand_in_flight(&stand, 0));
        stand_stop(&stand);
    }
}

TEST(a_backend_that_dies_during_an_upload_is_a_bad_gateway)
{
    const char *head;
    int client, backend;

    start();
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
        start();
        client = peer_ask(stand.front, get);
        backend = stand_backend_request(&stand, &head);
        peer_say(backend, answers[at]);
        if (at == 1)
            EXPECT(has(peer_head(client), "200 OK"));
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

    start();
    client = peer_ask(stand.front, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nthe beginning");
    backend = stand_backend_request(&stand, &head);
    EXPECT_STR(peer_bytes(backend, 13), "the beginning");
    (void)close(client);
    EXPECT(peer_ends(backend));
    stand_stop(&stand);
}

TEST(silence_ends_an_idle_connection)
{
    struct proxy_config config = stand_config(&stand);
    const char *head;
    int client, backend;

    config.idle_timeout_ms = 1000;
    stand_start(&stand, &config);
    client = peer_ask(stand.front, get);
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, ok);
    EXPECT(has(peer_head(client), "200 OK"));
    EXPECT_STR(peer_rest(client), "ok");
    stand_stop(&stand);
}

TEST(a_slow_head_is_refused_and_a_silent_connection_just_closed)
{
    struct proxy_config config = stand_config(&stand);
    int slow, silent;

    config.head_timeout_ms = 200;
    stand_start(&stand, &config);
    slow = peer_ask(stand.front, "GET / HTTP/1.1\r\nHo");
    silent = peer_connect(stand.front);
    EXPECT(has(peer_head(slow), "HTTP/1.1 408 Request Timeout\r\n"));
    EXPECT(peer_ends(slow));
    EXPECT(peer_ends(silent));
    stand_stop(&stand);
}

TEST(a_slow_later_head_is_refused_too)
{
    struct proxy_config config = stand_config(&stand);
    int client;

    config.head_timeout_ms = 200;
    stand_start(&stand, &config);
    client = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n");
    EXPECT(has(peer_head(client), "200 OK"));
    (void)peer_bytes(client, 3);
    EXPECT(peer_ends(peer_connect(stand.front))); /* a while later */
    peer_say(client, "GET /later HTTP/1.1\r\nHo");
    EXPECT(has(peer_head(client), "HTTP/1.1 408 Request Timeout\r\n"));
    stand_stop(&stand);
}

TEST(a_full_house_waits_in_the_backlog_and_the_admin_port_answers)
{
    struct proxy_config config = stand_config(&stand);
    int clients[4], late, admin;

    config.connections_max = 4;
    stand_start(&stand, &config);
    for (int at = 0; at < 4; at++) {
        clients[at] = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n");
        EXPECT(has(peer_head(clients[at]), "200 OK"));
    }
    late = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n");
    admin = peer_ask(stand.admin, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(has(peer_head(admin), "200 OK"));
    EXPECT(peer_is_silent(late));
    (void)close(clients[0]);
    EXPECT(has(peer_head(late), "200 OK"));
    stand_stop(&stand);
}

TEST(a_port_that_is_taken_is_named_by_its_variable)
{
    struct proxy_config config = stand_config(&stand);
    struct proxy *second = NULL;
    struct err err = {0};

    stand_start(&stand, &config);
    config.fronts[1].address.v4.sin_port = htons(stand.site);
    EXPECT(!proxy_open(&config, &second, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT(has(err.text, "HOLDFAST_SITE_LISTEN: 127.0.0.1:") && has(err.text, "taken"));
    EXPECT(!second);
    stand_stop(&stand);
}

TAP_MAIN()
