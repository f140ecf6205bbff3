/* Deadlines. libmicrohttpd has one timeout, for silence, which does for idle connections and for bodies. A
 * head sent byte by byte is never silent, so each head also has a time in all. For the first one it begins
 * with the connection; for later ones the kernel tells when bytes last came (TCP_INFO), which is asked for
 * now and then, since the library doesn't say that a head has begun. */
#include "proxy/client.h"

#include "base/cleanup.h"
#include "proxy/answer.h"
#include "proxy/linger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* The kernel counts in ticks; what came together with the last request is not the next one. */
enum { SWEEP_MS = 1000, TICKS_MS = 20 };

static void sweep(struct loop_timer *timer);

void clients_init(struct clients *clients, struct core *core)
{
    *clients = (struct clients){.core = core};
    list_init(&clients->all);
    loop_timer_init(&clients->sweep, sweep);
}

struct client *client_begin(struct clients *clients, int fd, const struct sockaddr *address,
                            const struct proxy_front *front)
{
    struct client *client = xcalloc(1, sizeof(*client));

    client->clients = clients;
    client->front = front;
    client->fd = fd;
    client->is_first = true;
    client->since_ms = clients->core->loop.now_ms;
    address_format_ip(address, client->ip);
    list_add_last(&clients->all, &client->link);
    clients->count++;
    if (!loop_timer_is_set(&clients->sweep))
        loop_timer_set(&clients->core->loop, &clients->sweep, SWEEP_MS);
    return client;
}

/* Says why the connection is about to be closed, as far as the kernel takes it at once. */
static void refuse(const struct client *client, unsigned code)
{
    CLEANUP(buf_clear) struct buf text = BUF_INIT(ANSWER_SIZE_MAX);
    struct answer answer = {0};

    answer_refusal(&answer, code);
    answer_write_head(&answer, &text);
    buf_add(&text, answer.body.bytes, answer.body.size);
    answer_clear(&answer);
    if (client->front)
        core_count(client->clients->core, code);
    (void)send(client->fd, text.bytes, text.size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

enum unread { UNREAD_NOTHING, UNREAD_BYTES, UNREAD_END };

static enum unread what_is_unread(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (got > 0)
        return UNREAD_BYTES;
    return got < 0 && errno == EAGAIN ? UNREAD_NOTHING : UNREAD_END;
}

/* True if the client has sent something since its last request, if only a part of a head; and when. */
static bool has_begun(const struct client *client, uint64_t *ret_last_ms)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);

    if (getsockopt(client->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return false;
    *ret_last_ms = client->clients->core->loop.now_ms - info.tcpi_last_data_recv;
    if (client->is_first)
        return info.tcpi_bytes_received > 0;
    return client->head_since_ms > 0 || *ret_last_ms > client->since_ms + TICKS_MS;
}

/* The library closes without a word what it takes for no HTTP at all (a NUL in the request line, an unknown
 * method and one blank too many). Who was silent for too long is closed so too, and rightly. */
static bool was_dropped(const struct client *client)
{
    const struct core *core = client->clients->core;
    uint64_t last_ms = 0;

    return !client->clients->hushed && !client->busy && has_begun(client, &last_ms) &&
           core->loop.now_ms - last_ms < core->config.idle_timeout_ms;
}

void client_forget(struct client *client)
{
    struct clients *clients = client->clients;

    assert(clients->count > 0);
    clients->count--;
    list_remove(&client->link);
    if (clients->count == 0)
        loop_timer_clear(&clients->sweep);
    free(client);
}

void client_end(struct client *client)
{
    enum unread unread = client->taken ? UNREAD_END : what_is_unread(client->fd);
    bool dropped = unread != UNREAD_END && was_dropped(client);
    int fd = -1;

    if (dropped)
        refuse(client, 400);
    if (!client->taken && (client->busy || dropped || unread == UNREAD_BYTES))
        fd = fcntl(client->fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0)
        linger_begin(client->clients->core, fd);
    client_forget(client);
}

void client_enter_request(struct client *client)
{
    client->busy = true;
}

void client_leave_request(struct client *client)
{
    client->busy = client->is_first = false;
    client->since_ms = client->clients->core->loop.now_ms;
    client->head_since_ms = 0;
}

static void close_socket(const struct client *client)
{
    (void)shutdown(client->fd, SHUT_RDWR); /* the library sees the end and closes it */
}

static void check_head(struct client *client, uint64_t now_ms)
{
    uint64_t limit_ms = client->clients->core->config.head_timeout_ms, last_ms = 0;
    uint64_t since_ms = client->is_first ? client->since_ms : client->head_since_ms;
    bool begun;

    if (since_ms > 0 && now_ms - since_ms < limit_ms)
        return;
    begun = has_begun(client, &last_ms);
    if (since_ms > 0) {
        /* Who has sent a part of a head is told why; who has sent nothing expects no answer. */
        if (begun)
            refuse(client, 408);
        close_socket(client);
    } else if (begun) {
        client->head_since_ms = last_ms;
    }
}

static void sweep(struct loop_timer *timer)
{
    struct clients *clients = LIST_ENTRY(timer, struct clients, sweep);
    uint64_t now_ms = clients->core->loop.now_ms;

    for (struct list *link = clients->all.next; link != &clients->all; link = link->next) {
        struct client *client = LIST_ENTRY(link, struct client, link);
        if (!client->busy && now_ms - client->since_ms > SWEEP_MS)
            check_head(client, now_ms);
    }
    loop_timer_set(&clients->core->loop, &clients->sweep, SWEEP_MS);
}

void clients_close_idle(struct clients *clients)
{
    for (struct list *link = clients->all.next; link != &clients->all; link = link->next) {
        const struct client *client = LIST_ENTRY(link, struct client, link);
        uint64_t last_ms;
        if (!client->busy && !client->is_first && !has_begun(client, &last_ms) &&
            what_is_unread(client->fd) != UNREAD_BYTES)
            close_socket(client);
    }
}
