/* Deadlines. libmicrohttpd has one timeout, for silence, which does for idle connections and for bodies. A
 * head sent byte by byte is never silent, so each head also has a time in all. For the first one it begins
 * with the connection; for later ones the kernel tells when bytes last came (TCP_INFO), which is asked for
 * now and then, since the library doesn't say that a head has begun. */
#include "proxy/client.h"

#include "base/cleanup.h"
#include "proxy/linger.h"

#include <assert.h>
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

static bool has_unread(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
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
    int fd = -1;

    if (!client->taken && (client->busy || has_unread(client->fd)))
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

/* A client that has sent a part of a head is told why; one that has sent nothing wouldn't expect an answer.
 */
static void refuse_slow_head(const struct client *client, bool has_sent)
{
    static const char text[] =
        "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nX-Holdfast: 1\r\n"
        "Connection: close\r\n\r\n";

    if (has_sent) {
        (void)send(client->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (client->front)
            core_count(client->clients->core, 408);
    }
    close_socket(client);
}

static void check_head(struct client *client, uint64_t now_ms)
{
    uint64_t limit_ms = client->clients->core->config.head_timeout_ms;
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);

    if (client->is_first && now_ms - client->since_ms < limit_ms)
        return;
    if (getsockopt(client->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return;
    if (client->is_first)
        refuse_slow_head(client, info.tcpi_bytes_received > 0);
    else if (client->head_since_ms > 0 && now_ms - client->head_since_ms >= limit_ms)
        refuse_slow_head(client, true);
    else if (client->head_since_ms == 0 && now_ms - info.tcpi_last_data_recv > client->since_ms + TICKS_MS)
        client->head_since_ms = now_ms - info.tcpi_last_data_recv;
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
        if (!client->busy && !client->is_first && client->head_since_ms == 0 && !has_unread(client->fd))
            close_socket(client);
    }
}
