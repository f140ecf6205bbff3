#include "proxy/address.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

static bool parse_port(const char *text, in_port_t *ret_port)
{
    unsigned port = 0;
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 5 || text[digits])
        return false;
    for (size_t at = 0; at < digits; at++)
        port = port * 10 + (unsigned)(text[at] - '0');
    if (port < 1 || port > UINT16_MAX)
        return false;
    *ret_port = htons((uint16_t)port);
    return true;
}

static bool parse_v6(const char *host, in_port_t port, struct address *ret_address)
{
    struct address parsed = {.v6 = {.sin6_family = AF_INET6, .sin6_port = port}, .size = sizeof(parsed.v6)};

    if (inet_pton(AF_INET6, host, &parsed.v6.sin6_addr) != 1)
        return false;
    *ret_address = parsed;
    return true;
}

static bool parse_v4(const char *host, in_port_t port, struct address *ret_address)
{
    struct address parsed = {.v4 = {.sin_family = AF_INET, .sin_port = port}, .size = sizeof(parsed.v4)};

    if (inet_pton(AF_INET, host, &parsed.v4.sin_addr) != 1)
        return false;
    *ret_address = parsed;
    return true;
}

bool address_parse(const char *text, struct address *ret_address)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2];
    in_port_t port = 0;
    size_t size;

    if (!colon || !parse_port(colon + 1, &port))
        return false;
    size = (size_t)(colon - text);
    if (size >= sizeof(host))
        return false;
    memcpy(host, text, size);
    host[size] = '\0';
    if (size == 0)
        return parse_v6("::", port, ret_address);
    if (host[0] != '[')
        return parse_v4(host, port, ret_address);
    if (host[size - 1] != ']')
        return false;
    host[size - 1] = '\0';
    return parse_v6(host + 1, port, ret_address);
}

void address_format_ip(const struct sockaddr *address, char text[INET6_ADDRSTRLEN])
{
    const struct sockaddr_in6 *v6 = (const void *)address;
    const struct sockaddr_in *v4 = (const void *)address;
    const char *written;

    if (address->sa_family != AF_INET6)
        written = inet_ntop(AF_INET, &v4->sin_addr, text, INET6_ADDRSTRLEN);
    else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        written = inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, INET6_ADDRSTRLEN);
    else
        written = inet_ntop(AF_INET6, &v6->sin6_addr, text, INET6_ADDRSTRLEN);
    assert(written);
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    char ip[INET6_ADDRSTRLEN];
    bool bracketed = address->any.sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr);

    address_format_ip(&address->any, ip);
    /* The port stands at the same place in both families. */
    (void)snprintf(text, ADDRESS_TEXT_SIZE, bracketed ? "[%s]:%u" : "%s:%u", ip,
                   (unsigned)ntohs(address->v4.sin_port));
}

static void set_options(int fd, const struct address *address)
{
    static const int on = 1, off = 0, probe_after_s = 60;

    /* None of them fails on a TCP socket; where one did, the socket would still work. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &probe_after_s, sizeof(probe_after_s));
    if (address->any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
}

static bool explain(const struct address *address, struct err *err)
{
    char text[ADDRESS_TEXT_SIZE];
    int cause = errno;

    address_format(address, text);
    errno = cause;
    if (cause == EADDRINUSE)
        return err_set(err, ERR_CONFIG,
                       "%s is taken by another process: stop that one, or choose another port", text);
    if (cause == EACCES)
        return err_set(err, ERR_CONFIG, "%s may not be listened on: choose a port above 1023", text);
    if (cause == EADDRNOTAVAIL)
        return err_set(err, ERR_CONFIG, "%s is not an address of this machine: 0.0.0.0 stands for all", text);
    return err_errno(err, "listen on %s", text);
}

/* [::] where the kernel has no IPv6: all of IPv4 is what is left of "both families". */
static bool fall_back(struct address *address)
{
    in_port_t port = address->v6.sin6_port;

    if (errno != EAFNOSUPPORT || address->any.sa_family != AF_INET6 ||
        !IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr))
        return false;
    address->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    address->size = sizeof(address->v4);
    return true;
}

bool address_listen(const struct address *address, int *ret_fd, struct err *err)
{
    enum { TYPE = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK };
    struct address used = *address;
    CLEANUP(close_fdp) int fd = socket(used.any.sa_family, TYPE, 0);

    assert(used.size > 0);
    if (fd < 0 && fall_back(&used))
        fd = socket(used.any.sa_family, TYPE, 0);
    if (fd < 0)
        return explain(&used, err);
    set_options(fd, &used);
    if (bind(fd, &used.any, used.size) < 0 || listen(fd, SOMAXCONN) < 0)
        return explain(&used, err);
    *ret_fd = MOVE_FD(fd);
    return true;
}
