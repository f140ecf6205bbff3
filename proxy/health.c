#include "proxy/health.h"

enum { PATIENCE_MS = 10 * 1000, REQUEST_SIZE_MAX = 8192 };

static void ask(struct health *health);

static void hang_up(struct health *health)
{
    upstream_drop(health->connection);
    health->connection = NULL;
    core_give_buffer(health->core, health->buffer);
    health->buffer = NULL;
}

static void try_later(struct health *health)
{
    hang_up(health);
    loop_timer_set(&health->core->loop, &health->timer, HEALTH_INTERVAL_MS);
}

static void timer_expired(struct loop_timer *timer)
{
    struct health *health = LIST_ENTRY(timer, struct health, timer);

    hang_up(health);
    ask(health);
}

static void finish(struct health *health)
{
    struct core *core = health->core;

    hang_up(health);
    loop_timer_clear(&health->timer);
    health->answered = true;
    core->config.answered(core->config.context);
}

/* Sends what is left of the request; false if the connection is broken. */
static bool send_request(struct health *health)
{
    ssize_t sent;

    if (health->sent == health->request.size)
        return true;
    sent = stream_send_bytes(&health->connection->stream, health->request.bytes + health->sent,
                             health->request.size - health->sent);
    if (sent < 0)
        return false;
    health->sent += (size_t)sent;
    return true;
}

enum verdict { VERDICT_WAIT, VERDICT_GOOD, VERDICT_BAD };

static enum verdict judge_heads(struct receive_buffer *buffer)
{
    for (;;) {
        switch (response_parse((char *)buffer->bytes + buffer->at, buffer->end - buffer->at, false,
                               &buffer->response)) {
        case RESPONSE_INCOMPLETE:
            return VERDICT_WAIT;
        case RESPONSE_COMPLETE:
            break;
        case RESPONSE_MALFORMED:
        default:
            return VERDICT_BAD;
        }
        if (!response_is_interim(&buffer->response))
            return buffer->response.code < 500 ? VERDICT_GOOD : VERDICT_BAD;
        buffer->at += buffer->response.head_size;
    }
}

static enum verdict read_answer(struct health *health)
{
    struct receive_buffer *buffer = health->buffer;

    for (;;) {
        ssize_t got = buffer->end == sizeof(buffer->bytes)
                          ? STREAM_BROKEN
                          : stream_receive(&health->connection->stream, buffer->bytes + buffer->end,
                                           sizeof(buffer->bytes) - buffer->end);
        enum verdict verdict;
        if (got == STREAM_BLOCKED)
            return VERDICT_WAIT;
        if (got < 0)
            return VERDICT_BAD;
        buffer->end += (size_t)got;
        verdict = judge_heads(buffer);
        if (verdict != VERDICT_WAIT)
            return verdict;
    }
}

static void connection_changed(void *owner)
{
    struct health *health = owner;
    enum verdict verdict = VERDICT_BAD;

    if (!health->connection->failed && send_request(health))
        verdict = read_answer(health);
    if (verdict == VERDICT_GOOD)
        finish(health);
    else if (verdict == VERDICT_BAD)
        try_later(health);
}

static void ask(struct health *health)
{
    struct core *core = health->core;

    health->connection = upstream_take(&core->upstream, UPSTREAM_FRESH, connection_changed, health);
    health->sent = 0;
    if (!health->connection) {
        try_later(health);
        return;
    }
    health->buffer = core_take_buffer(core);
    loop_timer_set(&core->loop, &health->timer, PATIENCE_MS);
    if (!send_request(health))
        try_later(health);
}

void health_init(struct health *health, struct core *core)
{
    *health = (struct health){.core = core, .request = BUF_INIT(REQUEST_SIZE_MAX)};
    loop_timer_init(&health->timer, timer_expired);
    buf_printf(&health->request, "GET %s HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n\r\n",
               core->config.health_path, core->upstream.text);
}

void health_clear(struct health *health)
{
    loop_timer_clear(&health->timer);
    hang_up(health);
    buf_clear(&health->request);
}

void health_begin(struct health *health)
{
    if (health->begun)
        return;
    health->begun = true;
    ask(health);
}
