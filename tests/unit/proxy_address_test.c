#include "proxy/address.h"

#include "base/cleanup.h"
#include "tests/tap.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>

TEST(an_address_is_an_ip_address_and_a_port)
{
    struct address address;
    char text[ADDRESS_TEXT_SIZE];

    REQUIRE(address_parse("0.0.0.0:3210", &address));
    EXPECT_INT(address.any.sa_family, AF_INET);
    EXPECT_INT(ntohs(address.v4.sin_port), 3210);
    EXPECT_INT(address.size, sizeof(struct sockaddr_in));
    REQUIRE(address_parse("[::1]:1", &address));
    EXPECT_INT(address.any.sa_family, AF_INET6);
    EXPECT(IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr));
    address_format(&address, text);
    EXPECT_STR(text, "[::1]:1");
    REQUIRE(address_parse(":65535", &address));
    EXPECT(IN6_IS_ADDR_UNSPECIFIED(&address.v6.sin6_addr));
    address_format(&address, text);
    EXPECT_STR(text, "[::]:65535");
    REQUIRE(address_parse("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535", &address));
    address_format(&address, text);
    EXPECT_STR(text, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

TEST(anything_else_is_not_an_address)
{
    static const char *const cases[] = {
        "",
        "3210",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "1.2.3.4:65536",
        "localhost:80",
        "::1:80",
        "[::1]",
        "[::1:80",
        "[]:80",
        "]:80",
        "[:80",
        ":",
        ":+80",
        ": 80",
        "1.2.3.4: 80",
        "1.2.3.4:80 ",
        "1.2.3:80",
        "1.2.3.4:0000080",
        "[1.2.3.4]:80",
        ":080000x",
        "1.2.3.4:8a",
        " 1.2.3.4:80",
        "[::1]x:80",
        "[g::]:80",
    };

    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        struct address address = {.size = 7};
        if (!EXPECT(!address_parse(cases[at], &address)))
            printf("#   \"%s\" was taken for one\n", cases[at]);
        EXPECT_INT(address.size, 7);
    }
}

TEST(a_mapped_client_reads_as_ipv4)
{
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
    char text[INET6_ADDRSTRLEN];

    REQUIRE(inet_pton(AF_INET6, "::ffff:192.0.2.7", &mapped.sin6_addr) == 1);
    address_format_ip((const struct sockaddr *)&mapped, text);
    EXPECT_STR(text, "192.0.2.7");
}

/* A socket that listens where the kernel chose. */
static int listen_somewhere(struct address *address, struct err *err)
{
    socklen_t size = sizeof(address->v6);
    int fd = -1;

    address->v4.sin_port = 0;
    if (!address_listen(address, &fd, err) || getsockname(fd, &address->any, &size) < 0)
        return -1;
    return fd;
}

TEST(a_dual_stack_port_answers_ipv4)
{
    struct address address;
    struct sockaddr_in client = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct err err = {0};
    CLEANUP(close_fdp) int fd = -1;
    CLEANUP(close_fdp) int client_fd = socket(AF_INET, SOCK_STREAM, 0);
    CLEANUP(close_fdp) int accepted_fd = -1;
    int on = 0;
    socklen_t size = sizeof(on);

    REQUIRE(address_parse(":1", &address));
    fd = listen_somewhere(&address, &err);
    REQUIRE(fd >= 0);
    client.sin_port = address.v4.sin_port;
    REQUIRE(connect(client_fd, (struct sockaddr *)&client, sizeof(client)) == 0);
    accepted_fd = accept(fd, NULL, NULL);
    REQUIRE(accepted_fd >= 0);
    EXPECT(getsockopt(accepted_fd, IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0 && on);
    EXPECT(getsockopt(accepted_fd, SOL_SOCKET, SO_KEEPALIVE, &on, &size) == 0 && on);
}

TEST(a_taken_port_is_named_with_the_remedy)
{
    struct address address;
    struct err err = {0};
    CLEANUP(close_fdp) int fd = -1;
    int second = -1;

    REQUIRE(address_parse("127.0.0.1:1", &address));
    fd = listen_somewhere(&address, &err);
    REQUIRE(fd >= 0);
    EXPECT(!address_listen(&address, &second, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT(strstr(err.text, "127.0.0.1:") && strstr(err.text, "taken"));
    EXPECT_INT(second, -1);
}

TEST(an_address_of_another_machine_is_refused)
{
    struct address address;
    struct err err = {0};
    int fd = -1;

    REQUIRE(address_parse("192.0.2.1:3210", &address));
    EXPECT(!address_listen(&address, &fd, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
}

TAP_MAIN()
