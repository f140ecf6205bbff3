/* IP addresses with a port, as the configuration writes them. Any thread may call everything here. */
#ifndef PROXY_ADDRESS_H
#define PROXY_ADDRESS_H

#include "base/err.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* `[::]` and an empty host stand for both families. */
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size; /* 0: not set */
};

enum { ADDRESS_TEXT_SIZE = INET6_ADDRSTRLEN + sizeof("[]:65535") };

/* Reads `0.0.0.0:3210`, `[::]:3210` or `:3210`, ports 1 to 65535. Names aren't resolved: that can fail at run
 * time, and a listening address has none. *ret_address is untouched when it is false. */
bool address_parse(const char *text, struct address *ret_address) CHECKED;

/* What address_parse() reads. */
void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

/* The IP address alone, without brackets; an IPv4 client of a dual-stack socket reads as IPv4. */
void address_format_ip(const struct sockaddr *address, char text[INET6_ADDRSTRLEN]);

/* A listening, non-blocking socket. Accepted sockets inherit TCP_NODELAY and keepalive probes. ERR_CONFIG if
 * the port is taken, may not be bound, or the address is not of this machine; the text says which, and the
 * remedy. */
bool address_listen(const struct address *address, int *ret_fd, struct err *err) CHECKED;

#endif
