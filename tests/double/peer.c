#include "tests/double/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static char text[PEER_HEAD_MAX + 1];

static int prepared(int fd)
{
    struct timeval patience = {.tv_sec = PEER_PATIENCE_S};
    int on = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
        abort();
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

int peer_listen(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = prepared(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 128) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        abort();
    *ret_port = ntohs(address.sin_port);
    return fd;
}

int peer_accept(int listener_fd)
{
    return prepared(accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC));
}

int peer_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = prepared(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        abort();
    return fd;
}

int peer_ask(uint16_t port, const char *request)
{
    int fd = peer_connect(port);

    if (!peer_say(fd, request))
        abort();
    return fd;
}

bool peer_send(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

bool peer_say(int fd, const char *words)
{
    return peer_send(fd, words, strlen(words));
}

const char *peer_head(int fd)
{
    size_t size = 0;

    while (size < PEER_HEAD_MAX) {
        if (recv(fd, text + size, 1, 0) != 1)
            break;
        text[++size] = '\0';
        if (size >= 4 && memcmp(text + size - 4, "\r\n\r\n", 4) == 0)
            return text;
    }
    text[0] = '\0';
    return text;
}

const char *peer_bytes(int fd, size_t size)
{
    size_t got = 0;

    if (size > PEER_HEAD_MAX)
        abort();
    while (got < size) {
        ssize_t more = recv(fd, text + got, size - got, 0);
        if (more <= 0)
            break;
        got += (size_t)more;
    }
    text[got] = '\0';
    return text;
}

const char *peer_rest(int fd)
{
    return peer_bytes(fd, PEER_HEAD_MAX);
}

bool peer_ends(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);

    return got == 0 || (got < 0 && errno == ECONNRESET);
}

bool peer_is_silent(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};

    return poll(&look, 1, 0) == 0;
}

bool peer_has(const char *words, const char *part)
{
    if (strstr(words, part))
        return true;
    printf("#   \"%s\" is not in \"%s\"\n", part, words);
    return false;
}

bool peer_lacks(const char *words, const char *part)
{
    if (!strcasestr(words, part))
        return true;
    printf("#   \"%s\" is in \"%s\"\n", part, words);
    return false;
}
