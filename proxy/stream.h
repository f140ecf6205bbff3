/* A connected TCP socket in the loop, watched once for everything and edge-triggered: it remembers what the
 * kernel said, so that each read and each write is tried at most once too often. */
#ifndef PROXY_STREAM_H
#define PROXY_STREAM_H

#include "proxy/loop.h"

#include <sys/types.h>
#include <sys/uio.h>

struct stream {
    struct loop_source source; /* source.fd: -1 when closed */
    struct loop *loop;
    void (*changed)(struct stream *stream); /* one of the flags became true */
    bool readable;                          /* a read may give bytes, the end, or an error */
    bool writable;
    bool hangup; /* the other side has closed its direction, or everything is broken */
};

/* What stream_receive() and stream_send() return beside a count. */
enum { STREAM_BLOCKED = 0, STREAM_ENDED = -1, STREAM_BROKEN = -2 };

/* Takes fd, which is non-blocking. False with errno, and fd is closed, if it can't be watched. */
bool stream_open(struct stream *stream, struct loop *loop, int fd,
                 void (*changed)(struct stream *stream)) CHECKED;
/* No callback comes any more. Closed twice is fine. */
void stream_close(struct stream *stream);
static inline bool stream_is_open(const struct stream *stream)
{
    return stream->source.fd >= 0;
}

/* Bytes read; BLOCKED when there are none now; ENDED; BROKEN. */
ssize_t stream_receive(struct stream *stream, void *bytes, size_t size);
/* Bytes taken by the kernel, maybe fewer than given; BLOCKED; BROKEN. */
ssize_t stream_send(struct stream *stream, const struct iovec *pieces, int count);
/* The same for one piece. */
ssize_t stream_send_bytes(struct stream *stream, const void *bytes, size_t size);
/* No more will be sent. */
void stream_shut(struct stream *stream);

#endif
