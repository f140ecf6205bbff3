#include "tests/backend/client.h"

#include "tests/backend/flags.h"

#include "base/fs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

struct client {
    char host[64];
    struct sockaddr_in address;
    struct timeval timeout;
    struct http_head head;
    struct http_body body;
    struct http_stream stream;
    bool connected;
    bool closes; /* the server ends the connection after this answer */
};

static bool parse_url(struct client *client, const char *url, struct err *err)
{
    size_t host_size;
    uint64_t port;

    if (strncmp(url, "http://", 7) != 0)
        return err_set(err, ERR_CONFIG, "--url %s is not http://HOST:PORT", url);
    url += 7;
    host_size = strcspn(url, ":");
    if (host_size >= sizeof(client->host) || !url[host_size] || !parse_number(url + host_size + 1, &port) ||
        port > 65535)
        return err_set(err, ERR_CONFIG, "--url http://%s is not http://HOST:PORT", url);
    memcpy(client->host, url, host_size);
    client->address.sin_family = AF_INET;
    client->address.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, strcmp(client->host, "localhost") == 0 ? "127.0.0.1" : client->host,
                  &client->address.sin_addr) != 1)
        return err_set(err, ERR_CONFIG, "%s is no IPv4 address", client->host);
    return true;
}

bool client_open(const char *url, unsigned timeout_ms, struct client **ret_client, struct err *err)
{
    CLEANUP(client_closep) struct client *client = xcalloc(1, sizeof(*client));

    client->timeout = (struct timeval){.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
    if (!parse_url(client, url, err))
        return false;
    *ret_client = MOVE(client);
    return true;
}

static void disconnect(struct client *client)
{
    if (client->connected)
        (void)close(client->stream.fd);
    client->connected = false;
}

void client_close(struct client *client)
{
    if (!client)
        return;
    disconnect(client);
    head_clear(&client->head);
    free(client);
}

static bool ensure_connected(struct client *client, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;
    int on = 1;

    if (client->connected)
        return true;
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &client->timeout, sizeof(client->timeout));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &client->timeout, sizeof(client->timeout));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (const struct sockaddr *)&client->address, sizeof(client->address)) != 0)
        return err_set(err, ERR_TRANSIENT, "connect: %s", strerrordesc_np(errno));
    client->stream.fd = MOVE_FD(fd);
    client->stream.at = client->stream.end = 0;
    client->connected = true;
    return true;
}

static bool send_request(struct client *client, const char *method, const char *target, const char *body,
                         struct err *err)
{
    CLEANUP(buf_clearp) struct buf request = BUF_INIT(16 * 1024 * 1024);

    buf_printf(&request, "%s %s HTTP/1.1\r\nHost: %s:%u\r\n", method, target, client->host,
               ntohs(client->address.sin_port));
    if (body)
        buf_printf(&request, "Content-Length: %zu\r\n", strlen(body));
    buf_add_text(&request, "\r\n");
    if (body)
        buf_add_text(&request, body);
    return buf_check(&request, "the request", err) &&
           fs_write_all(client->stream.fd, request.bytes, request.size, err);
}

static bool exchange_heads(struct client *client, const char *method, const char *target, const char *body,
                           unsigned *ret_status, struct err *err)
{
    uint64_t status;

    if (!send_request(client, method, target, body, err) || !head_read(&client->stream, &client->head, err))
        return false;
    if (!parse_number(client->head.start[1], &status))
        return err_set(err, ERR_CORRUPT, "the status is %s", client->head.start[1]);
    client->closes = head_has_token(&client->head, "Connection", "close");
    *ret_status = (unsigned)status;
    return body_begin(&client->body, &client->head, HTTP_BODY_TO_END, err);
}

bool client_send(struct client *client, const char *method, const char *target, const char *body,
                 unsigned *ret_status, struct err *err)
{
    head_clear(&client->head);
    if (!ensure_connected(client, err))
        return false;
    if (exchange_heads(client, method, target, body, ret_status, err))
        return true;
    disconnect(client);
    return false;
}

bool client_read(struct client *client, void *bytes, size_t size, size_t *ret_size, struct err *err)
{
    if (!body_read(&client->body, &client->stream, bytes, size, ret_size, err)) {
        disconnect(client);
        return false;
    }
    if (*ret_size == 0 && (client->closes || client->body.kind == HTTP_BODY_TO_END))
        disconnect(client);
    return true;
}

bool client_ask(struct client *client, const char *method, const char *target, const char *body,
                unsigned *ret_status, struct buf *answer, struct err *err)
{
    uint8_t piece[4096];
    unsigned status;
    size_t got;

    if (!client_send(client, method, target, body, &status, err))
        return false;
    do {
        if (!client_read(client, piece, sizeof(piece), &got, err))
            return false;
        buf_add(answer, piece, got);
    } while (got > 0);
    *ret_status = status;
    return buf_check(answer, "the answer", err);
}
