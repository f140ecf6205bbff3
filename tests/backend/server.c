#include "tests/backend/server.h"

#include "tests/backend/say.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/thread.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BACKLOG = 256, LEFTOVER_MAX = 1024 * 1024 };

struct server {
    struct server_options options;
    int drain_fd; /* raised, and never taken, when draining begins */
    int done_fd;  /* raised when the last listener and the last connection are gone */
    pthread_mutex_t mutex;
    size_t open;   /* guarded; listeners, and connections that draining waits for */
    bool draining; /* guarded */
};

struct listener {
    struct server *server;
    int fd;
    bool site;
};

struct connection {
    struct server *server;
    bool site;
    bool forgotten; /* no longer counted */
    struct http_stream stream;
};

static void server_count(struct server *server)
{
    MUTEX_GUARD(&server->mutex);
    server->open++;
}

static void server_uncount(struct server *server)
{
    MUTEX_GUARD(&server->mutex);
    assert(server->open > 0);
    server->open--;
    if (server->open == 0)
        event_raise(server->done_fd);
}

void server_forget(struct exchange *exchange)
{
    assert(!exchange->connection->forgotten);
    exchange->connection->forgotten = true;
    server_uncount(exchange->connection->server);
}

static bool server_is_draining(struct server *server)
{
    MUTEX_GUARD(&server->mutex);
    return server->draining;
}

/* Waits for the first byte of a request; false when there will be none. */
static bool wait_for_request(struct connection *connection)
{
    struct pollfd waiting[] = {{.fd = connection->stream.fd, .events = POLLIN},
                               {.fd = connection->server->drain_fd, .events = POLLIN}};

    if (connection->stream.at < connection->stream.end)
        return true;
    while (poll(waiting, 2, -1) < 0)
        assert(errno == EINTR);
    return waiting[0].revents != 0;
}

static bool exchange_begin(struct exchange *exchange, struct err *err)
{
    struct connection *connection = exchange->connection;
    char *query;

    if (!head_read(exchange->stream, &exchange->head, err) ||
        !body_begin(&exchange->body, &exchange->head, HTTP_BODY_NONE, err))
        return false;
    exchange->path = xasprintf("%s%s", connection->site ? "/http" : "", exchange->head.start[1]);
    query = strchr(exchange->path, '?');
    if (query)
        *query++ = '\0';
    exchange->query = query ? query : "";
    exchange->without_body = strcmp(exchange->head.start[0], "HEAD") == 0;
    exchange->expects_continue = head_has_token(&exchange->head, "Expect", "100-continue");
    exchange->closes = head_has_token(&exchange->head, "Connection", "close") ||
                       strcmp(exchange->head.start[2], "HTTP/1.1") != 0 ||
                       server_is_draining(connection->server);
    return true;
}

/* What the handler didn't read stands before the next request. A client that still waits for 100 will not
 * send it. */
static void discard_body(struct exchange *exchange)
{
    uint8_t piece[4096];
    size_t got = 1, total = 0;

    if (exchange->closes || exchange->expects_continue) {
        exchange->closes = exchange->closes || !exchange->body.ended;
        return;
    }
    while (got > 0 && total < LEFTOVER_MAX && exchange_read(exchange, piece, sizeof(piece), &got))
        total += got;
    if (!exchange->body.ended)
        exchange->closes = true;
}

/* One request; false if the connection is to be closed. */
static bool serve_one(struct connection *connection)
{
    struct exchange exchange = {.context = connection->server->options.context,
                                .connection = connection,
                                .stream = &connection->stream};
    struct err err;

    if (exchange_begin(&exchange, &err)) {
        connection->server->options.handle(&exchange);
        discard_body(&exchange);
    } else {
        exchange.closes = true;
        if (err.code == ERR_CORRUPT)
            answer_json(&exchange, 400, "{\"error\":\"malformed request\"}");
    }
    head_clear(&exchange.head);
    free(exchange.path);
    return !exchange.closes;
}

/* Closes so that an answer isn't lost to the reset that unread bytes would cause. */
static void connection_close(struct connection *connection)
{
    struct pollfd waiting = {.fd = connection->stream.fd, .events = POLLIN};
    char ignored[4096];

    (void)shutdown(connection->stream.fd, SHUT_WR);
    while (poll(&waiting, 1, 200) > 0 && recv(connection->stream.fd, ignored, sizeof(ignored), 0) > 0)
        continue;
    (void)close(connection->stream.fd);
}

static void *connection_loop(void *context)
{
    struct connection *connection = context;
    bool open = true;

    while (open && wait_for_request(connection))
        open = serve_one(connection);
    connection_close(connection);
    if (!connection->forgotten)
        server_uncount(connection->server);
    free(connection);
    return NULL;
}

static void connection_start(struct listener *listener, int fd)
{
    struct connection *connection = xcalloc(1, sizeof(*connection));
    int on = 1;
    pthread_t thread;
    struct err err;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->server = listener->server;
    connection->site = listener->site;
    connection->stream.fd = fd;
    server_count(listener->server);
    if (thread_start(&thread, "connection", connection_loop, connection, &err)) {
        (void)pthread_detach(thread);
        return;
    }
    complain("%s", err.text);
    (void)close(fd);
    server_uncount(listener->server);
    free(connection);
}

static void *listener_loop(void *context)
{
    struct listener *listener = context;
    struct pollfd waiting[] = {{.fd = listener->fd, .events = POLLIN},
                               {.fd = listener->server->drain_fd, .events = POLLIN}};

    for (;;) {
        int fd;
        while (poll(waiting, 2, -1) < 0)
            assert(errno == EINTR);
        if (waiting[1].revents)
            break;
        fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            connection_start(listener, fd);
    }
    (void)close(listener->fd);
    server_uncount(listener->server);
    free(listener);
    return NULL;
}

static bool bind_port(const char *interface, unsigned port, int *ret_fd, struct err *err)
{
    CLEANUP(close_fdp) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;

    if (fd < 0)
        return err_errno(err, "socket");
    if (inet_pton(AF_INET, interface, &address.sin_addr) != 1)
        return err_set(err, ERR_CONFIG, "--interface %s is no IPv4 address", interface);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, BACKLOG) != 0)
        return err_errno(err, "listen on %s:%u", interface, port);
    *ret_fd = MOVE_FD(fd);
    return true;
}

static bool listener_start(struct server *server, int fd, bool site, struct err *err)
{
    struct listener *listener = xcalloc(1, sizeof(*listener));
    pthread_t thread;

    *listener = (struct listener){.server = server, .fd = fd, .site = site};
    server_count(server);
    if (!thread_start(&thread, "listener", listener_loop, listener, err)) {
        free(listener);
        return false;
    }
    (void)pthread_detach(thread);
    return true;
}

bool server_open(const struct server_options *options, struct server **ret_server, struct err *err)
{
    struct server *server = xcalloc(1, sizeof(*server));
    int fd = -1, site_fd = -1;

    server->options = *options;
    pthread_mutex_init(&server->mutex, NULL);
    /* Nothing is undone on failure: the program ends then. */
    if (!event_open(&server->drain_fd, err) || !event_open(&server->done_fd, err) ||
        !bind_port(options->interface, options->port, &fd, err) ||
        (options->site_port && !bind_port(options->interface, options->site_port, &site_fd, err)))
        return false;
    *ret_server = server;
    return listener_start(server, fd, false, err) &&
           (site_fd < 0 || listener_start(server, site_fd, true, err));
}

int server_drain(struct server *server)
{
    MUTEX_GUARD(&server->mutex);
    server->draining = true;
    event_raise(server->drain_fd);
    return server->done_fd;
}
