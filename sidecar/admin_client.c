#include "sidecar/admin_client.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 20, ANSWER_TIMEOUT_S = 5 };

/* Whoever listens on all addresses is reached on the loopback one. */
static struct address reachable(const struct address *address)
{
    struct address target = *address;

    if (target.any.sa_family == AF_INET && target.v4.sin_addr.s_addr == htonl(INADDR_ANY))
        target.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (target.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&target.v6.sin6_addr))
        target.v6.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
    return target;
}

static bool open_connection(const struct address *address, int *ret_fd, struct err *err)
{
    struct address target = reachable(address);
    const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    char text[ADDRESS_TEXT_SIZE];
    CLEANUP(close_fdp) int fd = socket(target.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address_format(address, text);
    if (fd < 0)
        return err_errno(err, "open a socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, &target.any, target.size) != 0)
        return err_set(err, ERR_NOT_FOUND, "no holdfast answers at %s (HOLDFAST_ADMIN_LISTEN): %s", text,
                       strerrordesc_np(errno));
    *ret_fd = MOVE_FD(fd);
    return true;
}

static bool read_answer(int fd, struct buf *answer, struct err *err)
{
    char piece[4096];
    ssize_t size;

    while ((size = recv(fd, piece, sizeof(piece), 0)) > 0)
        buf_add(answer, piece, (size_t)size);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return err_set(err, ERR_TRANSIENT, "holdfast doesn't answer within %d s", ANSWER_TIMEOUT_S);
    if (size < 0)
        return err_errno(err, "read the answer of holdfast");
    return buf_check(answer, "the answer", err);
}

/* "HTTP/1.1 200 OK": three digits between two blanks; 0 if it isn't that. */
static unsigned code_of(const char *answer)
{
    const char *digits = answer + strlen("HTTP/1.1 ");

    if (strncmp(answer, "HTTP/1.", 7) != 0 || strlen(answer) < 13 || answer[8] != ' ' ||
        strspn(digits, "0123456789") != 3)
        return 0;
    return (unsigned)strtoul(digits, NULL, 10);
}

bool admin_ask(const struct address *address, const char *method, const char *path, unsigned *ret_code,
               struct buf *body, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;
    CLEANUP(buf_clearp) struct buf request = BUF_INIT(4096);
    CLEANUP(buf_clearp) struct buf answer = BUF_INIT(ANSWER_MAX);
    const char *text, *end;

    /* HTTP/1.0: the body ends with the connection, so it needs no parser for chunks. */
    buf_printf(&request,
               "%s %s HTTP/1.0\r\nHost: holdfast\r\nX-Holdfast: 1\r\nContent-Length: 0\r\nConnection: "
               "close\r\n\r\n",
               method, path);
    if (!open_connection(address, &fd, err) || !fs_write_all(fd, request.bytes, request.size, err) ||
        !read_answer(fd, &answer, err))
        return false;
    text = buf_text(&answer);
    end = strstr(text, "\r\n\r\n");
    if (code_of(text) == 0 || !end)
        return err_set(err, ERR_CORRUPT, "what answers at HOLDFAST_ADMIN_LISTEN isn't holdfast");
    *ret_code = code_of(text);
    buf_add_text(body, end + 4);
    return true;
}

bool admin_get(const struct address *address, const char *path, struct buf *body, struct err *err)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(ANSWER_MAX);
    unsigned code = 0;

    if (!admin_ask(address, "GET", path, &code, &text, err))
        return false;
    if (code != 200)
        return err_set(err, ERR_CORRUPT, "what answers at HOLDFAST_ADMIN_LISTEN isn't holdfast");
    buf_add_text(body, buf_text(&text));
    return true;
}
