/* Two flows of bytes between two sockets. What a receiver does not take at once, or what is held until it is
 * durable, is the flow's `pending`; while there is any, its source is not read, so that a flow never holds
 * more than one read of SCRATCH_SIZE and a slow receiver slows its sender down. An idle tunnel has no buffer
 * at all.
 *
 * Only what the backend says is held; what a client says commits nothing.
 *
 * While draining, the flow towards the client is read up to the end of its frame and not a byte further. Then
 * our own close frame goes out, everything more from the backend is dropped, and the client's answer to the
 * close still reaches the backend, which thus sees the same handshake as ever.
 *
 * A drain waits for a tunnel as long as bytes move towards its client. A client that takes none (a phone that
 * is gone, a program that doesn't read) or a frame that doesn't go on would otherwise use up all of the time
 * that a shutdown has for its requests: after CLOSE_WAIT_MS without a byte the tunnel ends. */
#include "proxy/tunnel.h"

#include "base/cleanup.h"
#include "proxy/frame.h"
#include "proxy/linger.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

/* For a client's answer to the close frame, and for the next byte before that. */
enum { CLOSE_WAIT_MS = 2 * 1000, ROUNDS_MAX = 16 };

struct flow {
    struct stream *from, *to;
    uint8_t *pending;
    size_t pending_at, pending_size;
    uint64_t moved; /* bytes that `to` has taken */
    bool ended;     /* everything up to the end of `from` was passed on */
};

struct tunnel {
    struct core *core;
    struct list link;
    struct stream client;
    struct upstream_connection *backend;
    struct flow up, down;        /* from the client, from the backend */
    struct hold hold;            /* of down's pending bytes */
    struct frame_tracker frames; /* of what was read from the backend */
    struct frame_tracker asked;  /* of what was read from the client */
    bool draining;
    bool said_goodbye;          /* our close frame is out, or pending */
    uint64_t moved_down;        /* down.moved when patience was set */
    struct loop_timer patience; /* while draining: nothing has come of it for CLOSE_WAIT_MS */
    struct loop_timer turn;     /* there is more to move, after others had their turn */
};

static void tunnel_free(struct tunnel *tunnel)
{
    struct core *core = tunnel->core;

    assert(core->tunnels_count > 0);
    list_remove(&tunnel->link);
    loop_timer_clear(&tunnel->patience);
    loop_timer_clear(&tunnel->turn);
    durable_forget(&core->durable, &tunnel->hold);
    stream_close(&tunnel->client);
    upstream_drop(tunnel->backend);
    free(tunnel->up.pending);
    free(tunnel->down.pending);
    free(tunnel);
    core->tunnels_count--;
    core_check_drained(core);
}

/* Everything was said: the client may still be sending. */
static void tunnel_finish(struct tunnel *tunnel)
{
    int fd = fcntl(tunnel->client.source.fd, F_DUPFD_CLOEXEC, 0);

    if (fd >= 0)
        linger_begin(tunnel->core, fd);
    tunnel_free(tunnel);
}

static void keep(struct flow *flow, const uint8_t *bytes, size_t size)
{
    assert(!flow->pending && size > 0);
    flow->pending = xmalloc(size);
    memcpy(flow->pending, bytes, size);
    flow->pending_at = 0;
    flow->pending_size = size;
}

/* False if the receiver is gone. */
static bool send_pending(struct flow *flow)
{
    ssize_t sent;

    if (!flow->pending)
        return true;
    sent =
        stream_send_bytes(flow->to, flow->pending + flow->pending_at, flow->pending_size - flow->pending_at);
    if (sent < 0)
        return false;
    flow->moved += (size_t)sent;
    flow->pending_at += (size_t)sent;
    if (flow->pending_at == flow->pending_size) {
        free(flow->pending);
        flow->pending = NULL;
    }
    return true;
}

static bool send_or_keep(struct flow *flow, const uint8_t *bytes, size_t size)
{
    ssize_t sent = stream_send_bytes(flow->to, bytes, size);

    if (sent < 0)
        return false;
    flow->moved += (size_t)sent;
    if ((size_t)sent < size)
        keep(flow, bytes + sent, size - (size_t)sent);
    return true;
}

/* What a client says may be a question. */
static void note_asked(struct tunnel *tunnel, const uint8_t *bytes, size_t size)
{
    uint64_t before = tunnel->asked.messages;

    frame_advance(&tunnel->asked, bytes, size);
    if (tunnel->asked.messages != before)
        core_note_forwarded(tunnel->core);
}

/* One piece from the client to the backend. False when the tunnel is to end; *ret_more if it is worth going
 * on. */
static bool move_up(struct tunnel *tunnel, bool *ret_more)
{
    struct flow *flow = &tunnel->up;
    ssize_t got;

    *ret_more = false;
    if (!send_pending(flow))
        return false;
    if (flow->pending || flow->ended)
        return true;
    got = stream_receive(flow->from, tunnel->core->scratch, SCRATCH_SIZE);
    if (got == STREAM_BLOCKED)
        return true;
    if (got < 0) {
        flow->ended = true;
        return got == STREAM_ENDED;
    }
    *ret_more = true;
    note_asked(tunnel, tunnel->core->scratch, (size_t)got);
    return send_or_keep(flow, tunnel->core->scratch, (size_t)got);
}

/* The close frame, once nothing is before it. The client has a moment to answer. */
static bool say_goodbye(struct tunnel *tunnel)
{
    static const uint8_t going_away[] = {0x88, 2, 1001 >> 8, 1001 & 0xff};

    tunnel->said_goodbye = true;
    loop_timer_set(&tunnel->core->loop, &tunnel->patience, CLOSE_WAIT_MS);
    return send_or_keep(&tunnel->down, going_away, sizeof(going_away));
}

/* How much may be read from the backend at once: while draining, only what belongs to the frame that has
 * begun. */
static size_t wanted(const struct tunnel *tunnel)
{
    uint64_t in_frame = frame_wanted(&tunnel->frames);

    if (!tunnel->draining || tunnel->said_goodbye || in_frame > SCRATCH_SIZE)
        return SCRATCH_SIZE;
    return (size_t)in_frame;
}

/* What was just read from the backend, if it may go out; else it waits. */
static bool release(struct tunnel *tunnel, const uint8_t *bytes, size_t size)
{
    frame_advance(&tunnel->frames, bytes, size);
    switch (durable_hold(&tunnel->core->durable, &tunnel->hold)) {
    case HOLD_OPEN:
        return send_or_keep(&tunnel->down, bytes, size);
    case HOLD_WAITING:
        keep(&tunnel->down, bytes, size);
        return true;
    case HOLD_FAILED:
    default:
        return false;
    }
}

static bool move_down(struct tunnel *tunnel, bool *ret_more)
{
    struct flow *flow = &tunnel->down;
    ssize_t got;

    *ret_more = false;
    if (tunnel->hold.state == HOLD_WAITING)
        return true;
    if (!send_pending(flow))
        return false;
    if (flow->pending || flow->ended)
        return true;
    if (tunnel->draining && !tunnel->said_goodbye && frame_is_boundary(&tunnel->frames))
        return say_goodbye(tunnel);
    got = stream_receive(flow->from, tunnel->core->scratch, wanted(tunnel));
    if (got == STREAM_BLOCKED)
        return true;
    if (got < 0) {
        flow->ended = true;
        return got == STREAM_ENDED;
    }
    *ret_more = true;
    return tunnel->said_goodbye || release(tunnel, tunnel->core->scratch, (size_t)got);
}

/* A WebSocket is over when either side has ended: there is no talking in one direction (RFC 6455, 7.1.1).
 * What the other has sent before goes out first. */
static bool is_over(const struct tunnel *tunnel)
{
    return (tunnel->up.ended && !tunnel->down.pending) || (tunnel->down.ended && !tunnel->up.pending);
}

static void begin_patience(struct tunnel *tunnel)
{
    tunnel->moved_down = tunnel->down.moved;
    loop_timer_set(&tunnel->core->loop, &tunnel->patience, CLOSE_WAIT_MS);
}

static void begin_drain(struct tunnel *tunnel)
{
    tunnel->draining = true;
    begin_patience(tunnel);
}

static void pump(struct tunnel *tunnel)
{
    bool more_up = true, more_down = true;

    for (int round = 0; round < ROUNDS_MAX && (more_up || more_down); round++) {
        if (!move_up(tunnel, &more_up) || !move_down(tunnel, &more_down)) {
            tunnel_free(tunnel);
            return;
        }
    }
    if (is_over(tunnel))
        tunnel_finish(tunnel);
    else if (more_up || more_down)
        loop_timer_set(&tunnel->core->loop, &tunnel->turn, 1);
}

static void client_changed(struct stream *stream)
{
    pump(LIST_ENTRY(stream, struct tunnel, client));
}

static void backend_changed(void *owner)
{
    pump(owner);
}

static void hold_changed(struct hold *hold)
{
    struct tunnel *tunnel = LIST_ENTRY(hold, struct tunnel, hold);

    if (hold->state == HOLD_FAILED)
        tunnel_free(tunnel);
    else
        pump(tunnel);
}

/* What waits for the store is not the client's fault: the drain's own deadline ends it. */
static void patience_expired(struct loop_timer *timer)
{
    struct tunnel *tunnel = LIST_ENTRY(timer, struct tunnel, patience);

    if (tunnel->said_goodbye)
        tunnel_finish(tunnel);
    else if (tunnel->down.moved != tunnel->moved_down || tunnel->hold.state == HOLD_WAITING)
        begin_patience(tunnel);
    else
        tunnel_free(tunnel);
}

static void turn_expired(struct loop_timer *timer)
{
    pump(LIST_ENTRY(timer, struct tunnel, turn));
}

void tunnel_begin(struct core *core, const struct tunnel_ends *ends)
{
    struct tunnel *tunnel = xcalloc(1, sizeof(*tunnel));

    tunnel->core = core;
    tunnel->backend = ends->backend;
    tunnel->backend->changed = backend_changed;
    tunnel->backend->owner = tunnel;
    tunnel->up = (struct flow){.from = &tunnel->client, .to = &tunnel->backend->stream};
    tunnel->down = (struct flow){.from = &tunnel->backend->stream, .to = &tunnel->client};
    hold_init(&tunnel->hold, hold_changed);
    loop_timer_init(&tunnel->patience, patience_expired);
    loop_timer_init(&tunnel->turn, turn_expired);
    list_add_last(&core->tunnels, &tunnel->link);
    core->tunnels_count++;
    if (ends->from_client_size > 0) {
        note_asked(tunnel, ends->from_client, ends->from_client_size);
        keep(&tunnel->up, ends->from_client, ends->from_client_size);
    }
    if (ends->from_backend_size > 0) {
        frame_advance(&tunnel->frames, ends->from_backend, ends->from_backend_size);
        keep(&tunnel->down, ends->from_backend, ends->from_backend_size);
    }
    if (core->gate.draining)
        begin_drain(tunnel);
    /* The client's first event comes at once and moves what is pending. */
    if (!stream_open(&tunnel->client, &core->loop, ends->client_fd, client_changed))
        tunnel_free(tunnel);
}

void tunnel_drain_all(struct core *core)
{
    for (struct list *link = core->tunnels.next, *next; link != &core->tunnels; link = next) {
        struct tunnel *tunnel = LIST_ENTRY(link, struct tunnel, link);
        next = link->next;
        begin_drain(tunnel);
        pump(tunnel);
    }
}

void tunnel_cut_all(struct core *core)
{
    while (!list_is_empty(&core->tunnels))
        tunnel_free(LIST_ENTRY(core->tunnels.next, struct tunnel, link));
}
