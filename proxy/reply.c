#include "proxy/reply.h"

#include <assert.h>

enum { PENDING_SIZE_MAX = 64 * 1024, PIECE_SIZE = 16 * 1024 };

struct reply {
    struct stream client;
    struct exchange *exchange;
    void (*done)(void *context);
    void *context;
    struct buf pending; /* for the client */
    size_t pending_at;
    bool chunked;
    bool complete; /* nothing will be added to pending */
    bool over;     /* done was called */
};

static void write_response_head(struct reply *reply)
{
    const struct response *response = &reply->exchange->buffer->response;
    struct buf *text = &reply->pending;

    reply->complete = response->body == BODY_NONE;
    reply->chunked = !reply->complete && !response->has_length && !reply->exchange->is_http_1_0;
    buf_printf(text, "HTTP/1.1 %u %s\r\n", response->code, answer_phrase(response->code));
    for (size_t at = 0; at < response->headers.count; at++) {
        const struct header *header = &response->headers.items[at];
        if (!headers_is_hop_by_hop(&response->headers, header))
            buf_printf(text, "%s: %s\r\n", header->name, header->value);
    }
    if (response->has_length)
        buf_printf(text, "Content-Length: %llu\r\n", (unsigned long long)response->length);
    else if (reply->chunked)
        buf_add_text(text, "Transfer-Encoding: chunked\r\n");
    buf_add_text(text, "Connection: close\r\n\r\n");
    core_count(reply->exchange->core, response->code);
}

static void write_answer(struct reply *reply)
{
    const struct answer *answer = &reply->exchange->answer;

    answer_write_head(answer, &reply->pending);
    if (!reply->exchange->is_head)
        buf_add(&reply->pending, answer->body.bytes, answer->body.size);
    reply->complete = true;
    core_count(reply->exchange->core, answer->code);
}

static void add_piece(struct reply *reply, const void *bytes, size_t size)
{
    if (reply->chunked)
        buf_printf(&reply->pending, "%zx\r\n", size);
    buf_add(&reply->pending, bytes, size);
    if (reply->chunked)
        buf_add_text(&reply->pending, "\r\n");
}

/* Puts the next piece of the body into pending; BLOCKED, ENDED or FAILED as exchange_read(). */
static ssize_t fill(struct reply *reply)
{
    uint8_t *scratch = reply->exchange->core->scratch;
    ssize_t got = exchange_read(reply->exchange, scratch, PIECE_SIZE);

    if (got > 0)
        add_piece(reply, scratch, (size_t)got);
    if (got == EXCHANGE_ENDED) {
        reply->complete = true;
        if (reply->chunked)
            buf_add_text(&reply->pending, "0\r\n\r\n");
    }
    assert(!reply->pending.overflowed);
    return got;
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
    reply->pending_at += (size_t)sent;
    if (!has_pending(reply)) {
        buf_reset(&reply->pending);
        reply->pending_at = 0;
    }
    return true;
}

/* True as long as there will be more to do. */
static bool go_on(struct reply *reply)
{
    for (;;) {
        ssize_t got;
        if (has_pending(reply) && !send_pending(reply))
            return false;
        if (has_pending(reply))
            return true; /* the client is slow: the rest waits, and so does the backend */
        if (reply->complete)
            return false;
        got = fill(reply);
        if (got == EXCHANGE_BLOCKED)
            return true;
        if (got == EXCHANGE_FAILED)
            return false;
    }
}

void reply_pump(struct reply *reply)
{
    if (reply->over || go_on(reply))
        return;
    reply->over = true;
    reply->done(reply->context);
}

static void client_changed(struct stream *stream)
{
    reply_pump(LIST_ENTRY(stream, struct reply, client));
}

void reply_free(struct reply *reply)
{
    if (!reply)
        return;
    stream_close(&reply->client);
    buf_clear(&reply->pending);
    free(reply);
}

struct reply *reply_begin(int fd, struct exchange *exchange, void (*done)(void *context), void *context)
{
    struct reply *reply = xcalloc(1, sizeof(*reply));

    *reply = (struct reply){.exchange = exchange, .done = done, .context = context};
    reply->pending = (struct buf)BUF_INIT(PENDING_SIZE_MAX);
    if (!stream_open(&reply->client, &exchange->core->loop, fd, client_changed)) {
        free(reply);
        return NULL;
    }
    if (exchange_step(exchange) == STEP_RESPOND)
        write_response_head(reply);
    else
        write_answer(reply);
    return reply; /* its first event, which says that the socket is writable, comes at once */
}
