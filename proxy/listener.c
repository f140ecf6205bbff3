/* When there is no room the port is simply not looked at: clients wait in the kernel's backlog at no cost,
 * and the next look is a moment later. */
#include "proxy/listener.h"

#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>

enum { RETRY_MS = 50, ACCEPTS_MAX = 64 };

static void pause_listening(struct listener *listener)
{
    if (listener->watched)
        loop_remove(&listener->core->loop, &listener->source);
    listener->watched = false;
    loop_timer_set(&listener->core->loop, &listener->retry, RETRY_MS);
}

/* These concern one client that is already gone; anything else is about ourselves. */
static bool is_passing(int cause)
{
    return cause == ECONNABORTED || cause == EINTR || cause == EPERM || cause == EPROTO;
}

static void accept_clients(struct loop_source *source, uint32_t events)
{
    struct listener *listener = LIST_ENTRY(source, struct listener, source);

    (void)events;
    for (int round = 0; round < ACCEPTS_MAX; round++) {
        struct address address;
        socklen_t size = sizeof(address.v6);
        int fd;
        if (!listener->has_room(listener->context, listener->front)) {
            pause_listening(listener);
            return;
        }
        fd = accept4(source->fd, &address.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            listener->accepted(listener->context, fd, &address.any, size, listener->front);
        else if (errno == EAGAIN)
            return;
        else if (!is_passing(errno)) {
            pause_listening(listener);
            return;
        }
    }
}

static void retry_expired(struct loop_timer *timer)
{
    struct listener *listener = LIST_ENTRY(timer, struct listener, retry);

    listener->watched = loop_add(&listener->core->loop, &listener->source, EPOLLIN);
    if (!listener->watched)
        pause_listening(listener);
}

bool listener_open(struct listener *listener, struct core *core, const struct address *address,
                   const char *variable, struct err *err)
{
    int fd = -1;

    assert(variable);
    if (!address_listen(address, &fd, err))
        return err_wrap(err, "%s", variable);
    *listener = (struct listener){.core = core, .source = {.fd = fd, .ready = accept_clients}};
    loop_timer_init(&listener->retry, retry_expired);
    return true;
}

void listener_close(struct listener *listener)
{
    if (listener->source.fd < 0)
        return;
    loop_timer_clear(&listener->retry);
    if (listener->watched)
        loop_remove(&listener->core->loop, &listener->source);
    close_fdp(&listener->source.fd);
    listener->source.fd = -1;
}

bool listener_start(struct listener *listener, struct err *err)
{
    assert(listener->has_room && listener->accepted);
    listener->watched = loop_add(&listener->core->loop, &listener->source, EPOLLIN);
    if (!listener->watched)
        return err_errno(err, "watch a listening socket");
    return true;
}

uint16_t listener_port(const struct listener *listener)
{
    struct address address = {.size = 0};
    socklen_t size = sizeof(address.v6);

    if (getsockname(listener->source.fd, &address.any, &size) < 0)
        return 0;
    return ntohs(address.v4.sin_port);
}
