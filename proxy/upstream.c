#include "proxy/upstream.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>

enum { IDLE_MAX = 256, IDLE_MS = 60 * 1000, CONNECT_MS = 5 * 1000 };

void upstream_init(struct upstream *upstream, struct loop *loop, const struct address *address)
{
    *upstream = (struct upstream){.loop = loop, .address = *address};
    address_format(address, upstream->text);
    list_init(&upstream->idle);
}

void upstream_clear(struct upstream *upstream)
{
    while (!list_is_empty(&upstream->idle))
        upstream_drop(LIST_ENTRY(upstream->idle.next, struct upstream_connection, link));
    assert(upstream->idle_count == 0);
}

void upstream_drop(struct upstream_connection *connection)
{
    if (!connection)
        return;
    if (!list_is_empty(&connection->link)) {
        list_remove(&connection->link);
        connection->upstream->idle_count--;
    }
    loop_timer_clear(&connection->timer);
    stream_close(&connection->stream);
    free(connection);
}

/* An idle connection that becomes readable was closed by the backend, or holds bytes that answer nothing. */
static void stream_changed(struct stream *stream)
{
    struct upstream_connection *connection = LIST_ENTRY(stream, struct upstream_connection, stream);

    if (stream->writable && connection->changed)
        loop_timer_clear(&connection->timer); /* connected */
    if (connection->changed)
        connection->changed(connection->owner);
    else if (stream->readable)
        upstream_drop(connection);
}

static void timer_expired(struct loop_timer *timer)
{
    struct upstream_connection *connection = LIST_ENTRY(timer, struct upstream_connection, timer);

    if (!connection->changed) {
        upstream_drop(connection);
        return;
    }
    connection->failed = true;
    connection->changed(connection->owner);
}

/* Connecting to a backend on this machine has nearly always succeeded when connect(2) returns, although it
 * says that it is in progress: looking once saves a round through the event loop. */
static bool is_connected(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLOUT};

    return poll(&look, 1, 0) == 1 && (look.revents & (POLLOUT | POLLERR | POLLHUP)) == POLLOUT;
}

static int connect_socket(const struct address *address, bool *ret_connected)
{
    static const int on = 1;
    CLEANUP(close_fdp) int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* only slower without */
    if (connect(fd, &address->any, address->size) < 0 && errno != EINPROGRESS)
        return -1;
    *ret_connected = is_connected(fd);
    return MOVE_FD(fd);
}

static struct upstream_connection *connect_new(struct upstream *upstream)
{
    struct upstream_connection *connection;
    bool connected = false;
    int fd = connect_socket(&upstream->address, &connected);

    if (fd < 0)
        return NULL;
    connection = xcalloc(1, sizeof(*connection));
    connection->upstream = upstream;
    list_init(&connection->link);
    loop_timer_init(&connection->timer, timer_expired);
    if (!stream_open(&connection->stream, upstream->loop, fd, stream_changed)) {
        free(connection);
        return NULL;
    }
    connection->stream.writable = connected;
    if (!connected)
        loop_timer_set(upstream->loop, &connection->timer, CONNECT_MS);
    return connection;
}

/* The event of its end may be waiting behind the one that we are in. */
static bool is_open(const struct upstream_connection *connection)
{
    char byte;

    return recv(connection->stream.source.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static struct upstream_connection *take_idle(struct upstream *upstream)
{
    struct list *first = list_take_first(&upstream->idle);
    struct upstream_connection *connection;

    if (!first)
        return NULL;
    connection = LIST_ENTRY(first, struct upstream_connection, link);
    upstream->idle_count--;
    loop_timer_clear(&connection->timer);
    connection->pooled = true;
    return connection;
}

struct upstream_connection *upstream_take(struct upstream *upstream, enum upstream_want want,
                                          void (*changed)(void *owner), void *owner)
{
    struct upstream_connection *connection = want == UPSTREAM_FRESH ? NULL : take_idle(upstream);

    assert(changed);
    while (connection && want == UPSTREAM_OPEN && !is_open(connection)) {
        upstream_drop(connection);
        connection = take_idle(upstream);
    }
    if (!connection)
        connection = connect_new(upstream);
    if (!connection)
        return NULL;
    connection->changed = changed;
    connection->owner = owner;
    return connection;
}

void upstream_give_back(struct upstream_connection *connection)
{
    struct upstream *upstream = connection->upstream;

    assert(list_is_empty(&connection->link));
    if (connection->stream.hangup || upstream->idle_count >= IDLE_MAX) {
        upstream_drop(connection);
        return;
    }
    connection->changed = NULL;
    connection->owner = NULL;
    list_add_after(&upstream->idle, &connection->link);
    upstream->idle_count++;
    loop_timer_set(upstream->loop, &connection->timer, IDLE_MS);
}
