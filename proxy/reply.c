#include "proxy/reply.h"

#include "base/cleanup.h"
#include "proxy/linger.h"

#include <assert.h>
#include <fcntl.h>

enum { PENDING_SIZE_MAX = 64 * 1024, PIECE_SIZE = 16 * 1024 };

struct reply {
    struct exchange_owner owner;
    struct core *core;
    struct list link;
    struct stream client;
    struct exchange *exchange;
    struct buf pending; /* for the client */
    size_t pending_at;
    bool complete; /* nothing will be added to pending */
    struct loop_timer timer;
};

static void reply_free(struct reply *reply)
{
    list_remove(&reply->link);
    loop_timer_clear(&reply->timer);
    stream_close(&reply->client);
    exchange_free(reply->exchange);
    buf_clear(&reply->pending);
    free(reply);
}

static void write_response_head(struct reply *reply)
{
    const struct response *response = &reply->exchange->buffer->response;
    struct buf *text = &reply->pending;

    buf_printf(text, "HTTP/1.1 %u %s\r\n", response->code, answer_phrase(response->code));
    for (size_t at = 0; at < response->headers.count; at++) {
        const struct header *header = &response->headers.items[at];
        if (!headers_is_hop_by_hop(&response->headers, header))
            buf_printf(text, "%s: %s\r\n", header->name, header->value);
    }
    if (response->has_length)
        buf_printf(text, "Content-Length: %llu\r\n", (unsigned long long)response->length);
    buf_add_text(text, "Connection: close\r\n\r\n");
    reply->complete = response->body == BODY_NONE;
    core_count(reply->core, response->code);
}

static void write_answer(struct reply *reply)
{
    const struct answer *answer = &reply->exchange->answer;

    answer_write_head(answer, &reply->pending);
    if (!reply->exchange->is_head)
        buf_add(&reply->pending, answer->body.bytes, answer->body.size);
    reply->complete = true;
    core_count(reply->core, answer->code);
}

/* Puts the next piece of the body into pending; false if there is none now. */
static bool fill(struct reply *reply, bool *ret_failed)
{
    ssize_t got = exchange_read(reply->exchange, reply->core->scratch, PIECE_SIZE);

    if (got == EXCHANGE_ENDED)
        reply->complete = true;
    if (got == EXCHANGE_FAILED)
        *ret_failed = true;
    if (got <= 0)
        return false;
    buf_add(&reply->pending, reply->core->scratch, (size_t)got);
    return true;
}

static bool has_pending(const struct reply *reply)
{
    return reply->pending_at < reply->pending.size;
}

/* False if the client is gone. */
static bool send_pending(struct reply *reply)
{
    ssize_t sent = stream_send_bytes(&reply->client, reply->pending.bytes + reply->pending_at,
                                     reply->pending.size - reply->pending_at);

    if (sent < 0)
        return false;
    if (sent > 0)
        loop_timer_set(&reply->core->loop, &reply->timer, reply->core->config.idle_timeout_ms);
    reply->pending_at += (size_t)sent;
    if (!has_pending(reply)) {
        buf_reset(&reply->pending);
        reply->pending_at = 0;
    }
    return true;
}

static void finish(struct reply *reply)
{
    int fd = fcntl(reply->client.source.fd, F_DUPFD_CLOEXEC, 0);

    if (fd >= 0)
        linger_begin(reply->core, fd);
    reply_free(reply);
}

static void pump(struct reply *reply)
{
    bool failed = false;

    for (;;) {
        if (has_pending(reply) && !send_pending(reply)) {
            reply_free(reply);
            return;
        }
        if (has_pending(reply))
            return; /* the client is slow: the rest waits, and so does the backend */
        if (reply->complete) {
            finish(reply);
            return;
        }
        if (!fill(reply, &failed) && !reply->complete)
            break;
    }
    if (failed)
        reply_free(reply);
}

static void client_changed(struct stream *stream)
{
    struct reply *reply = LIST_ENTRY(stream, struct reply, client);
    ssize_t got;

    /* The rest of the request's body. A client that has stopped sending may still be reading. */
    while ((got = stream_receive(stream, reply->core->scratch, SCRATCH_SIZE)) > 0)
        ;
    if (got == STREAM_BROKEN)
        reply_free(reply);
    else
        pump(reply);
}

static void wake(struct exchange_owner *owner)
{
    pump(LIST_ENTRY(owner, struct reply, owner));
}

static void cut(struct exchange_owner *owner)
{
    reply_free(LIST_ENTRY(owner, struct reply, owner));
}

static void timer_expired(struct loop_timer *timer)
{
    reply_free(LIST_ENTRY(timer, struct reply, timer));
}

void reply_begin(struct core *core, int fd, struct exchange *exchange)
{
    struct reply *reply = xcalloc(1, sizeof(*reply));

    *reply = (struct reply){.owner = {.wake = wake, .cut = cut}, .core = core, .exchange = exchange};
    reply->pending = (struct buf)BUF_INIT(PENDING_SIZE_MAX);
    list_init(&reply->link);
    loop_timer_init(&reply->timer, timer_expired);
    if (!stream_open(&reply->client, &core->loop, fd, client_changed)) {
        exchange_free(exchange);
        free(reply);
        return;
    }
    list_add_last(&core->replies, &reply->link);
    exchange->owner = &reply->owner;
    loop_timer_set(&core->loop, &reply->timer, core->config.idle_timeout_ms);
    if (exchange_step(exchange) == STEP_RESPOND)
        write_response_head(reply);
    else
        write_answer(reply);
    /* The first event, which says that the socket is writable, comes at once and sends. */
}

void reply_end_all(struct core *core)
{
    while (!list_is_empty(&core->replies))
        reply_free(LIST_ENTRY(core->replies.next, struct reply, link));
}
