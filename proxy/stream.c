/* The rule about short reads: with edge triggers, a read that gave fewer bytes than asked has drained the
 * socket, and the next bytes will raise an event. That saves one read in two. It does not hold once the other
 * side has closed: the end may stand right behind those bytes, and its event has been delivered already. */
#include "proxy/stream.h"

#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

static void note_events(struct loop_source *source, uint32_t events)
{
    struct stream *stream = LIST_ENTRY(source, struct stream, source);

    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        stream->hangup = stream->readable = true;
    if (events & EPOLLIN)
        stream->readable = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        stream->writable = true;
    stream->changed(stream);
}

bool stream_open(struct stream *stream, struct loop *loop, int fd, void (*changed)(struct stream *stream))
{
    int cause;

    assert(fd >= 0 && changed);
    *stream = (struct stream){.source = {.fd = fd, .ready = note_events}, .loop = loop, .changed = changed};
    if (loop_add(loop, &stream->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))
        return true;
    cause = errno;
    close_fdp(&stream->source.fd);
    stream->source.fd = -1;
    errno = cause;
    return false;
}

void stream_close(struct stream *stream)
{
    if (!stream_is_open(stream))
        return;
    loop_remove(stream->loop, &stream->source);
    close_fdp(&stream->source.fd);
    stream->source.fd = -1;
}

ssize_t stream_receive(struct stream *stream, void *bytes, size_t size)
{
    ssize_t got;

    assert(size > 0);
    if (!stream->readable)
        return STREAM_BLOCKED;
    do
        got = recv(stream->source.fd, bytes, size, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return STREAM_ENDED;
    if (got < 0 && errno != EAGAIN)
        return STREAM_BROKEN;
    if (got < 0 || ((size_t)got < size && !stream->hangup))
        stream->readable = false;
    return got < 0 ? STREAM_BLOCKED : got;
}

ssize_t stream_send(struct stream *stream, const struct iovec *pieces, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)count};
    ssize_t sent;

    if (!stream->writable)
        return STREAM_BLOCKED;
    do
        sent = sendmsg(stream->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    if (errno != EAGAIN)
        return STREAM_BROKEN;
    stream->writable = false;
    return STREAM_BLOCKED;
}

ssize_t stream_send_bytes(struct stream *stream, const void *bytes, size_t size)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};

    return stream_send(stream, &piece, 1);
}

void stream_shut(struct stream *stream)
{
    (void)shutdown(stream->source.fd, SHUT_WR); /* fails only when the other side is gone already */
}
