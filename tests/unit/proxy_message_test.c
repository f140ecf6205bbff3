/* The finer points of HTTP/1.1, through the running proxy. */
#include "tests/double/proxy_stand.h"

#include "tests/tap.h"

static struct stand stand;

TEST(a_head_request_gets_the_length_and_no_body)
{
    const char *head;
    int client;

    stand_start_plain(&stand);
    client = stand_exchange(&stand, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: \"x\"\r\n\r\n");
    head = peer_head(client);
    EXPECT(peer_has(head, "200 OK") && peer_has(head, "Content-Length: 1234\r\n") &&
           peer_has(head, "ETag: \"x\"\r\n"));
    EXPECT(stand_is_kept(client));
    stand_stop(&stand);
}

TEST(a_head_request_for_something_of_unknown_length_gets_nothing_but_the_head)
{
    const char *head;
    int client;

    stand_start_plain(&stand);
    client = stand_exchange(&stand, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    head = peer_head(client);
    EXPECT(peer_has(head, "200 OK") && peer_lacks(head, "content-length"));
    if (strcasestr(head, "connection: close")) /* an older libmicrohttpd can't do it otherwise */
        EXPECT_STR(peer_rest(client), "");
    else
        EXPECT(stand_is_kept(client));
    stand_stop(&stand);
}

TEST(no_content_has_neither_body_nor_length)
{
    const char *head;
    int client;

    stand_start_plain(&stand);
    client = stand_exchange(&stand, "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                            "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n");
    head = peer_head(client);
    EXPECT(peer_has(head, "204 No Content") && peer_has(head, "X: y\r\n") &&
           peer_lacks(head, "content-length"));
    EXPECT(stand_is_kept(client));
    stand_stop(&stand);
}

TEST(not_modified_has_no_body_and_only_the_length_the_backend_gave)
{
    const char *head;
    int client;

    stand_start_plain(&stand);
    client = stand_exchange(&stand, "GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"x\"\r\n\r\n",
                            "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n");
    head = peer_head(client);
    EXPECT(peer_has(head, "304 Not Modified") && peer_has(head, "Content-Length: 77\r\n"));
    EXPECT(stand_is_kept(client));
    (void)close(client);
    peer_say(peer_connect(stand.front), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stand_stop(&stand);
    stand_start_plain(&stand);
    client = stand_exchange(&stand, "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n");
    head = peer_head(client);
    EXPECT(peer_has(head, "304 Not Modified") && peer_lacks(head, "content-length") &&
           peer_lacks(head, "transfer-encoding"));
    if (strcasestr(head, "connection: close"))
        EXPECT_STR(peer_rest(client), "");
    else
        EXPECT(stand_is_kept(client));
    stand_stop(&stand);
}

TEST(a_range_and_its_answer_pass)
{
    const char *head;
    int client, backend;

    stand_start_plain(&stand);
    client =
        peer_ask(stand.front, "GET /f HTTP/1.1\r\nHost: x\r\nRange: bytes=2-4\r\nIf-Range: \"e\"\r\n\r\n");
    backend = stand_backend_request(&stand, &head);
    EXPECT(peer_has(head, "Range: bytes=2-4\r\n") && peer_has(head, "If-Range: \"e\"\r\n"));
    peer_say(backend,
             "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/9\r\nContent-Length: 3\r\n\r\ncde");
    head = peer_head(client);
    EXPECT(peer_has(head, "206 Partial Content") && peer_has(head, "Content-Range: bytes 2-4/9\r\n"));
    EXPECT_STR(peer_bytes(client, 3), "cde");
    stand_stop(&stand);
}

TEST(fields_of_the_hop_are_not_passed_down)
{
    const char *head;
    int client;

    stand_start_plain(&stand);
    client = stand_exchange(
        &stand, "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
        "Set-Cookie: a\r\nSet-Cookie: b\r\nTrailer: c\r\n\r\n");
    head = peer_head(client);
    EXPECT(peer_has(head, "Set-Cookie: a\r\nSet-Cookie: b\r\n"));
    EXPECT(peer_lacks(head, "x-hop") && peer_lacks(head, "keep-alive") && peer_lacks(head, "trailer"));
    stand_stop(&stand);
}

TEST(interim_answers_are_dropped_and_the_final_one_passes)
{
    int client;

    stand_start_plain(&stand);
    client = stand_exchange(&stand, "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
                            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 200 OK\r\n"));
    EXPECT_STR(peer_bytes(client, 2), "ok");
    stand_stop(&stand);
}

TEST(heads_may_come_in_any_pieces)
{
    static const char answer[] =
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
        "Content-Length: 2\r\n\r\nok";
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const char *head;
    int client, backend;

    stand_start_plain(&stand);
    client = peer_connect(stand.front);
    for (size_t at = 0; at < strlen(request); at++)
        peer_send(client, request + at, 1);
    backend = stand_backend_request(&stand, &head);
    for (size_t at = 0; at < strlen(answer); at++)
        peer_send(backend, answer + at, 1);
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 200 OK\r\n"));
    EXPECT_STR(peer_bytes(client, 2), "ok");
    stand_stop(&stand);
}

TEST(a_client_that_waits_for_100_is_told_to_continue)
{
    const char *head;
    int client, backend;

    stand_start_plain(&stand);
    client = peer_ask(stand.front,
                      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_STR(peer_head(client), "HTTP/1.1 100 Continue\r\n\r\n");
    peer_say(client, "body");
    backend = stand_backend_request(&stand, &head);
    EXPECT(peer_lacks(head, "expect"));
    EXPECT_STR(peer_bytes(backend, 4), "body");
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 200 OK"));
    stand_stop(&stand);
}

TEST(an_old_client_is_served_without_chunks)
{
    const char *head;
    int client;

    stand_start_plain(&stand);
    client = stand_exchange(
        &stand, "GET / HTTP/1.0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    head = peer_head(client);
    EXPECT(peer_has(head, "200 OK") && peer_lacks(head, "transfer-encoding"));
    EXPECT_STR(peer_rest(client), "abcde");
    stand_stop(&stand);
}

TEST(a_slow_answer_to_an_old_client_ends_when_it_ends)
{
    const char *head;
    int client, backend;

    stand_start_plain(&stand);
    (void)peer_head(peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: ping\r\n\r\n")); /* an older connection */
    client = peer_ask(stand.front, "GET / HTTP/1.0\r\n\r\n");
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    EXPECT(peer_has(peer_head(client), "200 OK"));
    EXPECT_STR(peer_bytes(client, 3), "abc");
    peer_say(backend, "0\r\n\r\n");
    EXPECT(peer_ends(client));
    stand_stop(&stand);
}

TEST(a_body_that_ends_with_the_connection_becomes_chunked)
{
    const char *head;
    int client, backend;

    stand_start_plain(&stand);
    client = peer_ask(stand.front, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    backend = stand_backend_request(&stand, &head);
    peer_say(backend, "HTTP/1.0 200 OK\r\n\r\nabc");
    EXPECT(peer_has(peer_head(client), "Transfer-Encoding: chunked\r\n"));
    EXPECT_STR(peer_bytes(client, 8), "3\r\nabc\r\n");
    (void)close(backend);
    EXPECT_STR(peer_bytes(client, 5), "0\r\n\r\n");
    EXPECT(stand_is_kept(client));
    stand_stop(&stand);
}

TEST(a_chunked_body_goes_up_in_chunks)
{
    const char *head;
    int client, backend;

    stand_start_plain(&stand);
    client = peer_ask(stand.front,
                      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "3;ext=1\r\nabc\r\n");
    backend = stand_backend_request(&stand, &head);
    EXPECT(peer_has(head, "transfer-encoding: chunked\r\n") && peer_lacks(head, "content-length"));
    EXPECT_STR(peer_bytes(backend, 8), "3\r\nabc\r\n");
    peer_say(client, "0\r\nTrailer: dropped\r\n\r\n");
    EXPECT_STR(peer_bytes(backend, 5), "0\r\n\r\n");
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "200 OK"));
    EXPECT(stand_is_kept(client));
    stand_stop(&stand);
}

TEST(an_answer_may_begin_while_the_request_goes_on)
{
    static const struct {
        const char *head, *piece, *end;
        int piece_size;
    } requests[] = {
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n", "hello", "", 5},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", "0\r\n\r\n",
         10},
    };

    for (size_t at = 0; at < 2; at++) {
        const char *head;
        int client, backend;
        stand_start_plain(&stand);
        client = peer_ask(stand.front, requests[at].head);
        peer_say(client, requests[at].piece);
        backend = stand_backend_request(&stand, &head);
        EXPECT_STR(peer_bytes(backend, (size_t)requests[at].piece_size), requests[at].piece);
        peer_say(backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        head = peer_head(client);
        EXPECT(peer_has(head, "HTTP/1.1 200 OK\r\n") && peer_has(head, "Transfer-Encoding: chunked\r\n"));
        EXPECT_STR(peer_bytes(client, 10), "5\r\nfirst\r\n");
        for (int round = 0; round < 2; round++) {
            peer_say(client, requests[at].piece);
            EXPECT_STR(peer_bytes(backend, (size_t)requests[at].piece_size), requests[at].piece);
            peer_say(backend, "4\r\nmore\r\n");
            EXPECT_STR(peer_bytes(client, 9), "4\r\nmore\r\n");
        }
        peer_say(client, requests[at].end);
        EXPECT_STR(peer_bytes(backend, strlen(requests[at].end)), requests[at].end);
        peer_say(backend, "0\r\n\r\n");
        EXPECT_STR(peer_rest(client), "0\r\n\r\n");
        EXPECT(stand_in_flight(&stand, 0));
        stand_stop(&stand);
    }
}

TEST(pipelined_requests_are_answered_in_order)
{
    const char *head;
    int client, backend;

    stand_start_plain(&stand);
    client = peer_ask(stand.front, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    backend = stand_backend_request(&stand, &head);
    EXPECT(peer_has(head, "GET /1 "));
    EXPECT(peer_is_silent(backend));
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
    EXPECT(peer_has(peer_head(backend), "GET /2 "));
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
    (void)peer_head(client);
    EXPECT_STR(peer_bytes(client, 1), "1");
    (void)peer_head(client);
    EXPECT_STR(peer_bytes(client, 1), "2");
    stand_stop(&stand);
}

TEST(a_client_may_ask_for_the_end_of_its_connection)
{
    int client;

    stand_start_plain(&stand);
    client = stand_exchange(&stand, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    EXPECT(peer_has(peer_head(client), "Connection: close\r\n"));
    EXPECT_STR(peer_rest(client), "ok");
    stand_stop(&stand);
}

TEST(a_query_may_have_many_arguments)
{
    enum { ARGUMENTS = 2000 };
    static char query[4 * ARGUMENTS + 1], request[sizeof(query) + 100];
    const char *head;
    int client, backend;

    for (int at = 0; at < ARGUMENTS; at++)
        memcpy(query + 4 * at, "&a=b", 4);
    (void)snprintf(request, sizeof(request), "GET /list?%s HTTP/1.1\r\nHost: x\r\n\r\n", query);
    stand_start_plain(&stand);
    client = peer_ask(stand.front, request);
    backend = stand_backend_request(&stand, &head);
    EXPECT(peer_has(head, query));
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT(peer_has(peer_head(client), "HTTP/1.1 200 OK\r\n"));
    EXPECT(stand_is_kept(client));
    stand_stop(&stand);
}

TEST(large_heads_on_both_sides_pass)
{
    enum { BIG = 11000 };
    static char request[BIG + 200], answer[BIG + 200], value[BIG + 1];
    const char *head;
    int client, backend;

    memset(value, 'v', BIG);
    (void)snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: x\r\nX-Big: %s\r\n\r\n", value);
    (void)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Back: %s\r\n\r\nok",
                   value);
    stand_start_plain(&stand);
    client = peer_ask(stand.front, request);
    backend = stand_backend_request(&stand, &head);
    EXPECT(peer_has(head, value));
    peer_say(backend, answer);
    head = peer_head(client);
    EXPECT(peer_has(head, "HTTP/1.1 200 OK\r\n") && peer_has(head, value) &&
           peer_has(head, "Content-Length: 2\r\n"));
    EXPECT_STR(peer_bytes(client, 2), "ok");
    stand_stop(&stand);
}

TAP_MAIN()
