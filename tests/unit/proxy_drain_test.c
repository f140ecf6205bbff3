/* Draining, through the running proxy. */
#include "tests/double/proxy_stand.h"

#include "base/thread.h"
#include "tests/tap.h"

static struct stand stand;
static const char get[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";

static void start(void)
{
    struct proxy_config config = stand_config(&stand);

    config.drain_allow = "/api/actions/*:/other";
    stand_start(&stand, &config);
}

static bool is_drained(void)
{
    return event_wait(stand.drained, PEER_PATIENCE_S * 1000);
}

TEST(without_anything_to_wait_for_it_is_drained_at_once)
{
    start();
    proxy_drain(stand.proxy, 60 * 1000);
    EXPECT(is_drained());
    stand_stop(&stand);
}

TEST(what_is_in_flight_finishes_and_new_work_is_refused)
{
    const char *head;
    int busy, idle, fresh, backend;

    start();
    idle = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n");
    EXPECT(peer_has(peer_head(idle), "200 OK"));
    (void)peer_bytes(idle, 3);
    busy = peer_ask(stand.front, get);
    backend = stand_backend_request(&stand, &head);
    proxy_drain(stand.proxy, 60 * 1000);
    EXPECT(peer_ends(idle));
    fresh = peer_ask(stand.front, get);
    head = peer_head(fresh);
    EXPECT(peer_has(head, "HTTP/1.1 503 Service Unavailable\r\n") && peer_has(head, "Connection: close\r\n"));
    EXPECT(peer_has(head, "Retry-After: ") && peer_has(head, "X-Holdfast: 1\r\n"));
    EXPECT(peer_has(peer_rest(fresh), "\"state\":\"drain\""));
    EXPECT(!event_take(stand.drained));
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    head = peer_head(busy);
    EXPECT(peer_has(head, "HTTP/1.1 200 OK\r\n") && peer_has(head, "Connection: close\r\n"));
    EXPECT_STR(peer_rest(busy), "ok");
    EXPECT(is_drained());
    stand_stop(&stand);
}

TEST(a_request_whose_head_has_begun_is_answered)
{
    struct proxy_config config = stand_config(&stand);
    int kept;

    config.head_timeout_ms = 1500;
    stand_start(&stand, &config);
    kept = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n");
    EXPECT(peer_has(peer_head(kept), "200 OK"));
    (void)peer_bytes(kept, 3);
    EXPECT(peer_ends(peer_connect(stand.front))); /* a while later */
    peer_say(kept, "GET /x HTTP/1.1\r\nHo");
    EXPECT(peer_has(peer_head(peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n")), "200 OK"));
    proxy_drain(stand.proxy, 60 * 1000);
    EXPECT(is_drained());
    peer_say(kept, "st: x\r\n\r\n");
    EXPECT(peer_has(peer_head(kept), "HTTP/1.1 503 Service Unavailable\r\n"));
    stand_stop(&stand);
}

TEST(readiness_ends_and_liveness_does_not)
{
    int client;

    start();
    proxy_drain(stand.proxy, 60 * 1000);
    EXPECT(is_drained());
    client = peer_ask(stand.front, "GET /_holdfast/live HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 200 OK"));
    (void)close(client);
    client = peer_ask(stand.front, "GET /_holdfast/ready HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 503 "));
    EXPECT(peer_has(peer_rest(client), "\"state\":\"drain\""));
    (void)close(client);
    client = peer_ask(stand.admin, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 200 OK"));
    stand_stop(&stand);
}

TEST(who_waits_for_the_gate_is_refused)
{
    struct proxy_config config = stand_config(&stand);
    int client;

    stand.status.state = PROXY_RESTORE;
    stand_start(&stand, &config);
    client = peer_ask(stand.front, get);
    REQUIRE(stand_held(&stand, 1));
    proxy_drain(stand.proxy, 60 * 1000);
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 503 "));
    EXPECT(is_drained());
    stand_stop(&stand);
}

TEST(allowed_paths_pass_and_are_not_waited_for)
{
    const char *head;
    int client, backend;

    start();
    proxy_drain(stand.proxy, 60 * 1000);
    client =
        peer_ask(stand.front, "POST /api/actions/query?x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    backend = stand_backend_request(&stand, &head);
    EXPECT(is_drained());
    EXPECT(peer_has(head, "POST /api/actions/query?x "));
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 200 OK"));
    EXPECT_STR(peer_bytes(client, 2), "ok");
    stand_set_state(&stand, PROXY_FLUSH);
    (void)close(client);
    client = peer_ask(stand.front, "GET /api/actions/query HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 503 "));
    stand_stop(&stand);
}

TEST(what_does_not_finish_in_time_is_cut)
{
    const char *head;
    int waiting, streaming, uploading, backend, other, third;

    start();
    waiting = peer_ask(stand.front, get);
    backend = stand_backend_request(&stand, &head);
    streaming = peer_ask(stand.front, get);
    other = stand_backend_request(&stand, &head);
    peer_say(other, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    EXPECT(peer_has(peer_head(streaming), "200 OK"));
    EXPECT_STR(peer_bytes(streaming, 6), "1\r\na\r\n");
    uploading = peer_ask(stand.front, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
    third = stand_backend_request(&stand, &head);
    REQUIRE(stand_in_flight(&stand, 3));
    proxy_drain(stand.proxy, 20);
    EXPECT(is_drained());
    EXPECT_STR(peer_rest(waiting), "");
    EXPECT_STR(peer_rest(streaming), "");
    EXPECT_STR(peer_rest(uploading), "");
    EXPECT(peer_ends(backend) && peer_ends(other));
    EXPECT_STR(peer_rest(third), "abc");
    stand_stop(&stand);
}

/* The process may end when it hears that all is drained: no answer may be on its way then. */
TEST(refusals_are_out_when_it_is_drained)
{
    enum { COUNT = 200 };
    static const char half[] = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly a part";
    struct proxy_config config = stand_config(&stand);
    int clients[COUNT];

    stand.status.state = PROXY_RESTORE;
    stand_start(&stand, &config);
    for (size_t at = 0; at < COUNT; at++)
        clients[at] = peer_ask(stand.front, at % 2 == 0 ? get : half);
    REQUIRE(stand_held(&stand, COUNT));
    proxy_drain(stand.proxy, 60 * 1000);
    EXPECT(is_drained());
    EXPECT_INT(stand.at_drained.requests[503], COUNT);
    stand_stop(&stand);
    for (size_t at = 0; at < COUNT; at++)
        EXPECT(peer_has(peer_head(clients[at]), "HTTP/1.1 503 "));
}

TAP_MAIN()
