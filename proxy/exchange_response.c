/* The response's half of an exchange: reading its head, holding it, and handing out its body.
 *
 * Every read from the backend is followed by one question to the durability seam, before any byte of it goes
 * on; the end of the body counts as a byte, since to a client it says as much. While something is held
 * nothing more is read: at most RECEIVE_SIZE bytes wait in memory, and the backend feels it. */
#include "proxy/exchange_internal.h"

#include <assert.h>
#include <string.h>

static const char unusable[] = "the backend's answer is malformed";

/* The store is down, and what can't be made durable is not to wait for it. */
static void fail_held(struct exchange *exchange)
{
    exchange_fail(exchange, 503, "the answer can't be made durable at the moment");
    exchange->answer.retry_after_s = 5;
}

static void hold_changed(struct hold *hold)
{
    struct exchange *exchange = LIST_ENTRY(hold, struct exchange, hold);

    if (hold->state == HOLD_FAILED) {
        fail_held(exchange);
    } else if (exchange->state == EXCHANGE_PENDING) {
        exchange->state = EXCHANGE_RESPONDED;
    }
    exchange->owner->wake(exchange->owner);
}

void exchange_init_hold(struct exchange *exchange)
{
    hold_init(&exchange->hold, hold_changed);
}

/* All was read: the connection serves the next request, unless one side said otherwise or is not done. */
static void release_connection(struct exchange *exchange)
{
    const struct response *response = &exchange->buffer->response;

    bool sent = exchange->end_sent && exchange->unsent_at == exchange->unsent.size;

    if (response->keeps_alive && !exchange->body.excess && sent)
        upstream_give_back(exchange->connection);
    else
        upstream_drop(exchange->connection);
    exchange->connection = NULL;
}

static bool is_websocket(const struct exchange *exchange, const struct response *response)
{
    return exchange->is_upgrade &&
           headers_list_token(&response->headers, "upgrade", "websocket", strlen("websocket"));
}

/* The head is complete; what came behind it is the beginning of the body. */
static void begin_response(struct exchange *exchange)
{
    struct receive_buffer *buffer = exchange->buffer;
    const struct response *response = &buffer->response;
    size_t decoded = 0;

    buffer->at += response->head_size;
    if (response->code == 101 && !is_websocket(exchange, response)) {
        exchange_fail(exchange, 502, unusable);
        return;
    }
    body_begin(&exchange->body, response->body, response->length);
    if (response->code != 101) {
        if (!body_decode(&exchange->body, buffer->bytes + buffer->at, buffer->end - buffer->at, &decoded)) {
            exchange_fail(exchange, 502, unusable);
            return;
        }
        buffer->end = buffer->at + decoded;
    }
    switch (durable_hold(&exchange->core->durable, &exchange->hold)) {
    case HOLD_OPEN:
        exchange->state = EXCHANGE_RESPONDED;
        break;
    case HOLD_WAITING:
        exchange->state = EXCHANGE_PENDING;
        break;
    case HOLD_FAILED:
    default:
        fail_held(exchange);
        return;
    }
    if (exchange->body.ended && response->code != 101)
        release_connection(exchange);
}

/* Skips interim heads; true if the state has changed. */
static bool parse_heads(struct exchange *exchange)
{
    struct receive_buffer *buffer = exchange->buffer;

    for (;;) {
        switch (response_parse((char *)buffer->bytes + buffer->at, buffer->end - buffer->at,
                               exchange->is_head, &buffer->response)) {
        case RESPONSE_INCOMPLETE:
            return false;
        case RESPONSE_COMPLETE:
            break;
        case RESPONSE_MALFORMED:
        default:
            exchange_fail(exchange, 502, unusable);
            return true;
        }
        if (!response_is_interim(&buffer->response)) {
            begin_response(exchange);
            return true;
        }
        buffer->at += buffer->response.head_size;
    }
}

/* Room for more: what was skipped makes place. */
static size_t make_room(struct receive_buffer *buffer)
{
    if (buffer->at > 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->at, buffer->end - buffer->at);
        buffer->end -= buffer->at;
        buffer->at = 0;
    }
    return sizeof(buffer->bytes) - buffer->end;
}

bool exchange_read_head(struct exchange *exchange)
{
    struct receive_buffer *buffer = exchange->buffer ? exchange->buffer : core_take_buffer(exchange->core);

    for (;;) {
        size_t room = make_room(buffer);
        ssize_t got = stream_receive(&exchange->connection->stream, buffer->bytes + buffer->end, room);
        if (got <= 0 && buffer->end == 0) {
            core_give_buffer(exchange->core, buffer);
            exchange->buffer = NULL;
        } else {
            exchange->buffer = buffer;
        }
        if (got == STREAM_BLOCKED)
            return false;
        if (got < 0) {
            exchange_lost(exchange);
            return true;
        }
        buffer->end += (size_t)got;
        if (parse_heads(exchange))
            return true;
    }
}

static ssize_t take_buffered(struct receive_buffer *buffer, void *bytes, size_t size)
{
    size_t taken = buffer->end - buffer->at;

    if (taken > size)
        taken = size;
    memcpy(bytes, buffer->bytes + buffer->at, taken);
    buffer->at += taken;
    return (ssize_t)taken;
}

/* Puts aside decoded bytes that may not go out yet. */
static void keep(struct exchange *exchange, const void *bytes, size_t size)
{
    struct receive_buffer *buffer = exchange->buffer;

    assert(size <= sizeof(buffer->bytes) && buffer->at == buffer->end);
    memcpy(buffer->bytes, bytes, size);
    buffer->at = 0;
    buffer->end = size;
}

/* Bytes of the body that were read just now, decoded in place; or BLOCKED, ENDED, FAILED. */
static ssize_t receive_body(struct exchange *exchange, void *bytes, size_t size, size_t *ret_decoded)
{
    ssize_t got = stream_receive(&exchange->connection->stream, bytes, size);

    *ret_decoded = 0;
    if (got == STREAM_BLOCKED)
        return EXCHANGE_BLOCKED;
    if (got == STREAM_ENDED)
        return body_finish(&exchange->body) ? EXCHANGE_ENDED : EXCHANGE_FAILED;
    if (got < 0 || !body_decode(&exchange->body, bytes, (size_t)got, ret_decoded))
        return EXCHANGE_FAILED;
    return got;
}

static ssize_t read_body(struct exchange *exchange, void *bytes, size_t size)
{
    struct durable *durable = &exchange->core->durable;
    size_t decoded = 0;

    /* What might have to be kept has to fit. */
    if (durable->source.gated && size > RECEIVE_SIZE)
        size = RECEIVE_SIZE;
    while (!exchange->body.ended) {
        ssize_t got = receive_body(exchange, bytes, size, &decoded);
        if (got == EXCHANGE_BLOCKED)
            return EXCHANGE_BLOCKED;
        if (got == EXCHANGE_FAILED)
            return EXCHANGE_FAILED;
        if (exchange->body.ended)
            release_connection(exchange);
        switch (durable_hold(durable, &exchange->hold)) {
        case HOLD_OPEN:
            break;
        case HOLD_WAITING:
            keep(exchange, bytes, decoded);
            return EXCHANGE_BLOCKED;
        case HOLD_FAILED:
        default:
            return EXCHANGE_FAILED;
        }
        if (decoded > 0)
            return (ssize_t)decoded;
    }
    return EXCHANGE_ENDED;
}

ssize_t exchange_read(struct exchange *exchange, void *bytes, size_t size)
{
    struct receive_buffer *buffer = exchange->buffer;
    ssize_t got;

    assert(size > 0);
    if (exchange->state != EXCHANGE_RESPONDED)
        return EXCHANGE_FAILED;
    if (exchange->hold.state == HOLD_WAITING)
        return EXCHANGE_BLOCKED;
    if (buffer->at < buffer->end)
        return take_buffered(buffer, bytes, size);
    got = read_body(exchange, bytes, size);
    if (got == EXCHANGE_FAILED) {
        exchange_disconnect(exchange);
        exchange->state = EXCHANGE_CUT;
    }
    return got;
}

bool exchange_is_complete(const struct exchange *exchange)
{
    return exchange->state == EXCHANGE_RESPONDED && exchange->body.ended && exchange->hold.state == HOLD_OPEN;
}

struct upstream_connection *exchange_take_connection(struct exchange *exchange)
{
    struct upstream_connection *connection = exchange->connection;

    assert(exchange->state == EXCHANGE_RESPONDED && connection);
    exchange->connection = NULL;
    return connection;
}
