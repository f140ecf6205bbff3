/* Limits of time and of number, through the running proxy. */
#include "tests/double/proxy_stand.h"

#include "tests/tap.h"

static struct stand stand;
static const char get[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

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
    EXPECT(peer_has(peer_head(client), "200 OK"));
    EXPECT_STR(peer_rest(client), "ok");
    stand_stop(&stand);
}

/* Long enough for a silent connection to be closed. */
static void let_silence_end(void)
{
    int idle = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n");

    EXPECT(peer_has(peer_head(idle), "200 OK"));
    (void)peer_bytes(idle, 3);
    EXPECT(peer_ends(idle));
    (void)close(idle);
}

TEST(who_waits_for_the_backend_is_not_silent)
{
    struct proxy_config config = stand_config(&stand);
    const char *head;
    int client, backend;

    config.idle_timeout_ms = 1000;
    stand_start(&stand, &config);
    client = peer_ask(stand.front, get);
    backend = stand_backend_request(&stand, &head);
    let_silence_end();
    let_silence_end();
    peer_say(backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    EXPECT(peer_has(peer_head(client), "200 OK"));
    EXPECT_STR(peer_bytes(client, 10), "5\r\nfirst\r\n");
    let_silence_end();
    let_silence_end();
    peer_say(backend, "4\r\nlast\r\n0\r\n\r\n");
    EXPECT_STR(peer_bytes(client, 14), "4\r\nlast\r\n0\r\n\r\n");
    EXPECT(stand_is_kept(client));
    stand_stop(&stand);
}

TEST(a_websocket_may_be_silent)
{
    struct proxy_config config = stand_config(&stand);
    const char *head;
    int client, backend;

    config.idle_timeout_ms = 1000;
    stand_start(&stand, &config);
    client = peer_ask(stand.front,
                      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    backend = stand_backend_request(&stand, &head);
    peer_say(backend,
             "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 101 "));
    let_silence_end();
    let_silence_end();
    peer_say(backend, "\x81\x02hi");
    EXPECT_STR(peer_bytes(client, 4), "\x81\x02hi");
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
    EXPECT(peer_has(peer_head(slow), "HTTP/1.1 408 Request Timeout\r\n"));
    EXPECT_STR(peer_rest(slow), "{\"error\":\"Request Timeout\"}\n");
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
    EXPECT(peer_has(peer_head(client), "200 OK"));
    (void)peer_bytes(client, 3);
    EXPECT(peer_ends(peer_connect(stand.front))); /* a while later */
    peer_say(client, "GET /later HTTP/1.1\r\nHo");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 408 Request Timeout\r\n"));
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
        EXPECT(peer_has(peer_head(clients[at]), "200 OK"));
    }
    late = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n");
    admin = peer_ask(stand.admin, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(peer_has(peer_head(admin), "200 OK"));
    EXPECT(peer_is_silent(late));
    (void)close(clients[0]);
    EXPECT(peer_has(peer_head(late), "200 OK"));
    stand_stop(&stand);
}

/* Whether so many more connections are served at once. */
static bool has_places(int count)
{
    int clients[8];
    bool served = true;

    for (int at = 0; at < count; at++) {
        clients[at] = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n");
        served = served && peer_has(peer_head(clients[at]), "200 OK");
    }
    for (int at = 0; at < count; at++)
        (void)close(clients[at]);
    return served;
}

/* A client and its backend in the middle of an answer that has not gone on for a while; one more connection
 * is older, and two are left. */
static void start_streaming(int *ret_client, int *ret_backend)
{
    struct proxy_config config = stand_config(&stand);
    const char *head;

    config.connections_max = 4;
    config.head_timeout_ms = 200;
    stand_start(&stand, &config);
    EXPECT(peer_has(peer_head(peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n")), "200 OK"));
    *ret_client = peer_ask(stand.front, get);
    *ret_backend = stand_backend_request(&stand, &head);
    peer_say(*ret_backend, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    EXPECT(peer_has(peer_head(*ret_client), "200 OK"));
    EXPECT_STR(peer_bytes(*ret_client, 3), "abc");
    EXPECT(peer_ends(peer_connect(stand.front))); /* a while later */
}

TEST(who_leaves_in_the_middle_of_an_answer_leaves_its_place)
{
    int client, backend;

    start_streaming(&client, &backend);
    (void)close(client);
    EXPECT(peer_ends(backend));
    EXPECT(has_places(3));
    stand_stop(&stand);
}

TEST(an_answer_that_is_cut_off_leaves_its_place)
{
    int client, backend;

    start_streaming(&client, &backend);
    (void)close(backend);
    EXPECT(peer_ends(client));
    EXPECT(has_places(3));
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
    EXPECT(peer_has(err.text, "HOLDFAST_SITE_LISTEN: 127.0.0.1:") && peer_has(err.text, "taken"));
    EXPECT(!second);
    stand_stop(&stand);
}

TAP_MAIN()
