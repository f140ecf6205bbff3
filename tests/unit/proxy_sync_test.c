/* The durability seam: what the backend said is held until it is durable. */
#include "tests/double/proxy_stand.h"

#include "base/thread.h"
#include "tests/tap.h"

static const char get[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
static const char upgrade[] =
    "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
static const char switching[] =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/* Closed behind it, so that each request comes on a connection of its own. */
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1";

static void start_gated(struct stand *stand)
{
    struct proxy_config config = stand_config(stand);

    config.durability.gated = true;
    stand_start(stand, &config);
}

/* A client whose request the backend has, and the backend's end. */
static int ask(struct stand *stand, const char *request, int *ret_backend)
{
    const char *head;
    int client = peer_ask(stand->front, request);

    *ret_backend = stand_backend_request(stand, &head);
    return client;
}

TEST(nothing_pending_means_nothing_held)
{
    struct stand stand;
    int client, backend;

    start_gated(&stand);
    atomic_store(&stand.position, 7);
    proxy_set_durable(stand.proxy, 7);
    client = ask(&stand, get, &backend);
    peer_say(backend, answer);
    EXPECT(strstr(peer_head(client), "200 OK"));
    EXPECT_INT(atomic_load(&stand.waiting_told), 0);
    stand_stop(&stand);
}

TEST(an_answer_waits_for_the_position_at_which_it_was_read)
{
    struct stand stand;
    int client, backend;

    start_gated(&stand);
    client = ask(&stand, get, &backend);
    atomic_store(&stand.position, 5);
    peer_say(backend, answer);
    REQUIRE(stand_held(&stand, 1));
    EXPECT_INT(atomic_load(&stand.waiting_told), 1);
    atomic_store(&stand.position, 9); /* later commits don't concern it */
    proxy_set_durable(stand.proxy, 4);
    EXPECT(peer_is_silent(client));
    EXPECT(stand_held(&stand, 1));
    proxy_set_durable(stand.proxy, 5);
    EXPECT(strstr(peer_head(client), "200 OK"));
    EXPECT_STR(peer_bytes(client, 1), "1");
    stand_stop(&stand);
}

TEST(answers_are_released_in_the_order_of_their_positions)
{
    enum { COUNT = 3 };
    struct stand stand;
    int clients[COUNT], backends[COUNT];

    start_gated(&stand);
    for (unsigned at = 0; at < COUNT; at++) {
        clients[at] = ask(&stand, get, &backends[at]);
        atomic_store(&stand.position, at + 1);
        peer_say(backends[at], answer);
        REQUIRE(stand_held(&stand, at + 1));
    }
    for (unsigned at = 0; at < COUNT; at++) {
        proxy_set_durable(stand.proxy, at + 1);
        EXPECT(strstr(peer_head(clients[at]), "200 OK"));
        EXPECT(stand_held(&stand, COUNT - at - 1));
        for (unsigned later = at + 1; later < COUNT; later++)
            EXPECT(peer_is_silent(clients[later]));
    }
    stand_stop(&stand);
}

TEST(each_piece_of_a_stream_is_held_and_its_end_too)
{
    struct stand stand;
    int client, backend;

    start_gated(&stand);
    client = ask(&stand, get, &backend);
    peer_say(backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    EXPECT(strstr(peer_head(client), "200 OK"));
    EXPECT_STR(peer_bytes(client, 6), "1\r\na\r\n");
    atomic_store(&stand.position, 1);
    peer_say(backend, "1\r\nb\r\n");
    REQUIRE(stand_held(&stand, 1));
    EXPECT(peer_is_silent(client));
    proxy_set_durable(stand.proxy, 1);
    EXPECT_STR(peer_bytes(client, 6), "1\r\nb\r\n");
    atomic_store(&stand.position, 2);
    peer_say(backend, "0\r\n\r\n");
    REQUIRE(stand_held(&stand, 1));
    EXPECT(peer_is_silent(client));
    proxy_set_durable(stand.proxy, 2);
    EXPECT_STR(peer_bytes(client, 5), "0\r\n\r\n");
    stand_stop(&stand);
}

TEST(websocket_bytes_to_the_client_are_held_and_those_from_it_are_not)
{
    struct stand stand;
    int client, backend;

    start_gated(&stand);
    client = ask(&stand, upgrade, &backend);
    peer_say(backend, switching);
    EXPECT(strstr(peer_head(client), "101 "));
    atomic_store(&stand.position, 1);
    peer_say(backend, "first");
    REQUIRE(stand_held(&stand, 1));
    peer_say(client, "up");
    EXPECT_STR(peer_bytes(backend, 2), "up");
    EXPECT(peer_is_silent(client));
    atomic_store(&stand.position, 2);
    peer_say(backend, "second"); /* read only when the first is out */
    proxy_set_durable(stand.proxy, 1);
    EXPECT_STR(peer_bytes(client, 5), "first");
    REQUIRE(stand_held(&stand, 1));
    EXPECT(peer_is_silent(client));
    proxy_set_durable(stand.proxy, 2);
    EXPECT_STR(peer_bytes(client, 6), "second");
    stand_stop(&stand);
}

TEST(what_fails_before_its_head_is_sent_becomes_503_and_the_rest_is_cut)
{
    struct stand stand;
    int pending, streaming, socket, backend;

    start_gated(&stand);
    streaming = ask(&stand, get, &backend);
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    EXPECT(strstr(peer_head(streaming), "200 OK"));
    EXPECT_STR(peer_bytes(streaming, 2), "ab");
    atomic_store(&stand.position, 1);
    peer_say(backend, "c");
    REQUIRE(stand_held(&stand, 1));
    atomic_store(&stand.position, 0);
    socket = ask(&stand, upgrade, &backend);
    peer_say(backend, switching);
    EXPECT(strstr(peer_head(socket), "101 "));
    atomic_store(&stand.position, 1);
    peer_say(backend, "x");
    REQUIRE(stand_held(&stand, 2));
    pending = ask(&stand, get, &backend);
    peer_say(backend, answer);
    REQUIRE(stand_held(&stand, 3));
    proxy_fail_held(stand.proxy, true);
    EXPECT(strstr(peer_head(pending), "HTTP/1.1 503 "));
    EXPECT(peer_ends(streaming));
    EXPECT(peer_ends(socket));
    (void)close(pending);
    pending = ask(&stand, get, &backend);
    peer_say(backend, answer);
    EXPECT(strstr(peer_head(pending), "HTTP/1.1 503 "));
    (void)close(pending);
    proxy_fail_held(stand.proxy, false);
    pending = ask(&stand, get, &backend);
    peer_say(backend, answer);
    REQUIRE(stand_held(&stand, 1));
    proxy_set_durable(stand.proxy, 1);
    EXPECT(strstr(peer_head(pending), "HTTP/1.1 200 "));
    stand_stop(&stand);
}

TEST(what_has_begun_is_cut_when_its_next_byte_may_not_wait)
{
    struct stand stand;
    int streaming, socket, backend, other;

    start_gated(&stand);
    streaming = ask(&stand, get, &backend);
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    EXPECT(strstr(peer_head(streaming), "200 OK"));
    EXPECT_STR(peer_bytes(streaming, 2), "ab");
    socket = ask(&stand, upgrade, &other);
    peer_say(other, switching);
    EXPECT(strstr(peer_head(socket), "101 "));
    proxy_fail_held(stand.proxy, true);
    atomic_store(&stand.position, 1);
    peer_say(backend, "c");
    EXPECT(peer_ends(streaming));
    peer_say(other, "x");
    EXPECT(peer_ends(socket));
    EXPECT(stand_held(&stand, 0));
    stand_stop(&stand);
}

/* A store that makes everything durable once each millisecond, in a thread of its own. */
struct committer {
    struct stand *stand;
    _Atomic uint64_t durable;
    int stop;
};

static void *commit(void *context)
{
    struct committer *committer = context;

    while (!event_wait(committer->stop, 1)) {
        uint64_t position = atomic_load(&committer->stand->position);
        atomic_store(&committer->durable, position);
        proxy_set_durable(committer->stand->proxy, position);
    }
    return NULL;
}

TEST(with_commits_going_on_beside_no_answer_comes_too_early_and_none_is_forgotten)
{
    enum { ROUNDS = 300 };
    struct stand stand;
    struct committer committer = {.stand = &stand};
    struct err err = {0};
    pthread_t thread;
    int client, backend;

    start_gated(&stand);
    REQUIRE_OK(event_open(&committer.stop, &err), &err);
    REQUIRE_OK(thread_start(&thread, "committer", commit, &committer, &err), &err);
    client = ask(&stand, get, &backend);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        atomic_store(&stand.position, round);
        peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        REQUIRE(strstr(peer_head(client), "200 OK"));
        EXPECT(atomic_load(&committer.durable) >= round);
        EXPECT_STR(peer_bytes(client, 2), "ok");
        peer_say(client, get);
        REQUIRE(strstr(peer_head(backend), "GET /x "));
    }
    event_raise(committer.stop);
    (void)pthread_join(thread, NULL);
    stand_stop(&stand);
}

TEST(fenced_drops_what_is_held_and_refuses_what_is_new)
{
    struct stand stand;
    int pending, waiting, client, backend, other;

    start_gated(&stand);
    atomic_store(&stand.position, 1);
    pending = ask(&stand, get, &backend);
    peer_say(backend, answer);
    REQUIRE(stand_held(&stand, 1));
    waiting = ask(&stand, get, &other);
    proxy_fence(stand.proxy);
    EXPECT_STR(peer_rest(pending), "");
    EXPECT_STR(peer_rest(waiting), "");
    EXPECT(peer_ends(other));
    EXPECT(stand_held(&stand, 0));
    client = peer_ask(stand.front, get);
    EXPECT(strstr(peer_head(client), "HTTP/1.1 503 "));
    EXPECT(strstr(peer_rest(client), "\"state\":\"fenced\""));
    stand_stop(&stand);
}

TAP_MAIN()
