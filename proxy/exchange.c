/* The request's half: gate, connection, sending. The response's half is in exchange_response.c.
 *
 * The backend may answer before it has taken the whole body: because it wants no more of it (413, 401), or
 * because it answers as it reads. Its answer counts at once, and it still gets the body for as long as it
 * takes any. A connection that was open before may turn out to be closed just when we write to it: then the
 * request is sent once more on a fresh one, if nothing came back, none of its body is gone, and doing it
 * twice would do no harm. */
#include "proxy/exchange_internal.h"

#include <assert.h>
#include <stdio.h>

enum { HEAD_SIZE_MAX = 64 * 1024, UNSENT_SIZE_MAX = 64 * 1024, CHUNK_LINE_MAX = 20 };

static void gate_changed(struct gate_entry *entry);

struct exchange *exchange_new(struct core *core, const struct request_head *head,
                              const struct request_facts *facts, const struct request_route *route,
                              struct exchange_owner *owner)
{
    struct exchange *exchange = xcalloc(1, sizeof(*exchange));

    exchange->core = core;
    exchange->owner = owner;
    list_add_last(&core->exchanges, &exchange->link);
    gate_entry_init(&exchange->gate_entry, &core->gate, facts->target, gate_changed);
    exchange_init_hold(exchange);
    exchange->request_body = facts->body;
    exchange->is_head = facts->is_head;
    exchange->is_http_1_0 = facts->is_http_1_0;
    exchange->is_upgrade = facts->is_upgrade;
    exchange->is_idempotent = facts->is_idempotent;
    exchange->head = (struct buf)BUF_INIT(HEAD_SIZE_MAX);
    exchange->unsent = (struct buf)BUF_INIT(UNSENT_SIZE_MAX);
    request_write(&exchange->head, head, facts, route);
    return exchange;
}

void exchange_disconnect(struct exchange *exchange)
{
    upstream_drop(exchange->connection);
    exchange->connection = NULL;
}

static void leave_flight(struct exchange *exchange)
{
    struct core *core = exchange->core;

    list_remove(&exchange->link);
    if (!exchange->counted)
        return;
    assert(core->in_flight > 0);
    exchange->counted = false;
    core->in_flight--;
    core_check_drained(core);
}

void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    gate_leave(&exchange->gate_entry);
    durable_forget(&exchange->core->durable, &exchange->hold);
    exchange_disconnect(exchange);
    core_give_buffer(exchange->core, exchange->buffer);
    leave_flight(exchange);
    buf_clear(&exchange->head);
    buf_clear(&exchange->unsent);
    answer_clear(&exchange->answer);
    free(exchange);
}

void exchange_fail(struct exchange *exchange, unsigned code, const char *reason)
{
    exchange_disconnect(exchange);
    durable_forget(&exchange->core->durable, &exchange->hold);
    if (exchange->state == EXCHANGE_RESPONDED) {
        exchange->state = EXCHANGE_CUT; /* too late to say anything but that it is broken */
        return;
    }
    answer_error(&exchange->answer, code, reason);
    exchange->answer.closes = exchange->request_body != BODY_NONE && !exchange->request_ended;
    exchange->state = EXCHANGE_ANSWERED;
}

static bool is_selected(const struct exchange *exchange, enum exchange_selection selection)
{
    if (selection == EXCHANGES_ALL)
        return true;
    if (selection == EXCHANGES_COUNTED)
        return exchange->counted;
    return exchange->state > EXCHANGE_HELD && exchange->state != EXCHANGE_ANSWERED &&
           !exchange_is_complete(exchange);
}

void exchange_cut(struct core *core, enum exchange_selection selection)
{
    for (struct list *link = core->exchanges.next, *next; link != &core->exchanges; link = next) {
        struct exchange *exchange = LIST_ENTRY(link, struct exchange, link);
        next = link->next;
        if (!is_selected(exchange, selection))
            continue;
        gate_leave(&exchange->gate_entry);
        exchange_disconnect(exchange);
        durable_forget(&exchange->core->durable, &exchange->hold);
        exchange->state = EXCHANGE_CUT;
        exchange->owner->cut(exchange->owner);
    }
}

/* From now on a drain waits for it, until its answer is out. */
static void enter_flight(struct exchange *exchange)
{
    assert(!exchange->counted);
    exchange->counted = true;
    exchange->core->in_flight++;
}

static void refuse(struct exchange *exchange)
{
    struct gate *gate = &exchange->core->gate;
    struct proxy_status status;

    gate_status(gate, &status);
    answer_status(&exchange->answer, 503, &status);
    exchange->answer.closes = gate_is_ending(gate);
    exchange->state = EXCHANGE_ANSWERED;
    enter_flight(exchange);
}

static void connection_changed(void *owner);

/* The connection to the backend stands: sends what can be sent without the owner. */
static void begin_sending(struct exchange *exchange)
{
    exchange->state = EXCHANGE_SENDING;
    if (exchange->request_body == BODY_NONE)
        exchange_send_end(exchange);
}

static void connect_backend(struct exchange *exchange, enum upstream_want want)
{
    exchange->connection = upstream_take(&exchange->core->upstream, want, connection_changed, exchange);
    if (!exchange->connection) {
        exchange_fail(exchange, 502, "the backend can't be reached");
        return;
    }
    exchange->state = EXCHANGE_CONNECTING;
    if (exchange->connection->stream.writable)
        begin_sending(exchange);
}

void exchange_start(struct exchange *exchange)
{
    struct core *core = exchange->core;
    enum gate_verdict verdict = gate_enter(&exchange->gate_entry);

    exchange->state = EXCHANGE_HELD;
    if (verdict == GATE_HOLD)
        return;
    if (verdict == GATE_REFUSE) {
        refuse(exchange);
        return;
    }
    if (!core->gate.draining) /* what passes all the same isn't waited for */
        enter_flight(exchange);
    atomic_fetch_add_explicit(&core->forwarded, 1, memory_order_relaxed);
    core_note_forwarded(core);
    /* What can't be repeated should not be lost to a connection that is known to be closed. */
    connect_backend(exchange, exchange->is_idempotent ? UPSTREAM_ANY : UPSTREAM_OPEN);
}

static void gate_changed(struct gate_entry *entry)
{
    struct exchange *exchange = LIST_ENTRY(entry, struct exchange, gate_entry);

    exchange_start(exchange);
    exchange->owner->wake(exchange->owner);
}

/* Before there is an answer, one that came before the connection broke says why it did. Afterwards the answer
 * is what counts, and the rest of the request is not. */
static void sending_failed(struct exchange *exchange)
{
    if (exchange->state > EXCHANGE_WAITING) {
        exchange->upload_over = true;
        buf_reset(&exchange->unsent);
        exchange->unsent_at = 0;
        return;
    }
    exchange->connection->stream.readable = true;
    if (!exchange_read_head(exchange))
        exchange_lost(exchange);
}

/* Sends pieces, and keeps what the socket doesn't take. False if the connection is broken. */
static bool send_or_keep(struct exchange *exchange, const struct iovec *pieces, int count)
{
    ssize_t sent = stream_send(&exchange->connection->stream, pieces, count);
    size_t skip;

    if (sent < 0) {
        sending_failed(exchange);
        return false;
    }
    skip = (size_t)sent;
    for (int at = 0; at < count; at++) {
        size_t gone = skip < pieces[at].iov_len ? skip : pieces[at].iov_len;
        buf_add(&exchange->unsent, (const char *)pieces[at].iov_base + gone, pieces[at].iov_len - gone);
        skip -= gone;
    }
    assert(!exchange->unsent.overflowed);
    return true;
}

static bool has_unsent(const struct exchange *exchange)
{
    return exchange->unsent_at < exchange->unsent.size;
}

static bool send_unsent(struct exchange *exchange)
{
    ssize_t sent;

    if (!has_unsent(exchange))
        return true;
    sent = stream_send_bytes(&exchange->connection->stream, exchange->unsent.bytes + exchange->unsent_at,
                             exchange->unsent.size - exchange->unsent_at);
    if (sent < 0) {
        sending_failed(exchange);
        return false;
    }
    exchange->unsent_at += (size_t)sent;
    if (has_unsent(exchange))
        return false;
    buf_reset(&exchange->unsent);
    exchange->unsent_at = 0;
    return true;
}

/* Adds the head to pieces if it wasn't sent yet. */
static int head_piece(struct exchange *exchange, struct iovec *pieces)
{
    if (exchange->head_sent)
        return 0;
    exchange->head_sent = true;
    pieces[0] = (struct iovec){.iov_base = exchange->head.bytes, .iov_len = exchange->head.size};
    return 1;
}

bool exchange_send(struct exchange *exchange, const void *bytes, size_t size)
{
    struct iovec pieces[4];
    char line[CHUNK_LINE_MAX];
    bool chunked = exchange->request_body == BODY_CHUNKED;
    int count;

    assert(exchange_wants_body(exchange) && size > 0);
    if (!send_unsent(exchange))
        return false;
    count = head_piece(exchange, pieces);
    if (chunked)
        pieces[count++] = (struct iovec){.iov_base = line,
                                         .iov_len = (size_t)snprintf(line, sizeof(line), "%zx\r\n", size)};
    pieces[count++] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    if (chunked)
        pieces[count++] = (struct iovec){.iov_base = (void *)(uintptr_t) "\r\n", .iov_len = 2};
    exchange->body_begun = true;
    return send_or_keep(exchange, pieces, count);
}

static void finish_sending(struct exchange *exchange)
{
    struct iovec pieces[2];
    int count;

    if (!send_unsent(exchange))
        return;
    count = head_piece(exchange, pieces);
    if (exchange->request_body == BODY_CHUNKED)
        pieces[count++] = (struct iovec){.iov_base = (void *)(uintptr_t) "0\r\n\r\n", .iov_len = 5};
    if (exchange->state == EXCHANGE_SENDING)
        exchange->state = EXCHANGE_WAITING;
    exchange->end_sent = true;
    if (count > 0)
        (void)send_or_keep(exchange, pieces, count); /* broken: the state says so */
}

bool exchange_wants_body(const struct exchange *exchange)
{
    return exchange->state >= EXCHANGE_SENDING && exchange->state <= EXCHANGE_RESPONDED &&
           exchange->connection && !exchange->request_ended && !exchange->upload_over;
}

void exchange_send_end(struct exchange *exchange)
{
    assert(exchange_wants_body(exchange));
    exchange->request_ended = true;
    finish_sending(exchange);
}

static bool may_retry(const struct exchange *exchange)
{
    return exchange->connection->pooled && !exchange->retried && exchange->is_idempotent &&
           !exchange->body_begun && !exchange->buffer;
}

void exchange_lost(struct exchange *exchange)
{
    if (!may_retry(exchange)) {
        exchange_fail(exchange, 502,
                      exchange->head_sent ? "the backend closed the connection without an answer"
                                          : "the backend can't be reached");
        return;
    }
    exchange->retried = true;
    exchange->head_sent = exchange->end_sent = exchange->request_ended = false;
    buf_reset(&exchange->unsent);
    exchange->unsent_at = 0;
    exchange_disconnect(exchange);
    connect_backend(exchange, UPSTREAM_FRESH);
}

static void progress_sending(struct exchange *exchange)
{
    const struct stream *stream = &exchange->connection->stream;

    if (exchange->state == EXCHANGE_CONNECTING) {
        if (exchange->connection->failed || stream->hangup)
            exchange_fail(exchange, 502, "the backend can't be reached");
        else if (stream->writable)
            begin_sending(exchange);
        return;
    }
    if (stream->writable && send_unsent(exchange) && exchange->request_ended && !exchange->end_sent)
        finish_sending(exchange);
}

/* Something happened on the backend's connection. An answer is read before anything more is sent: when both
 * are possible, it explains why sending is about to fail. */
static void connection_changed(void *owner)
{
    struct exchange *exchange = owner;
    struct exchange_owner *client = exchange->owner;

    if ((exchange->state == EXCHANGE_SENDING || exchange->state == EXCHANGE_WAITING) &&
        exchange->connection->stream.readable)
        exchange_read_head(exchange);
    if (exchange->connection)
        progress_sending(exchange);
    client->wake(client);
}

enum exchange_step exchange_step(const struct exchange *exchange)
{
    switch (exchange->state) {
    case EXCHANGE_SENDING:
        return exchange->request_ended ? STEP_WAIT : STEP_SEND;
    case EXCHANGE_RESPONDED:
        return STEP_RESPOND;
    case EXCHANGE_ANSWERED:
        return STEP_ANSWER;
    case EXCHANGE_CUT:
        return STEP_CUT;
    case EXCHANGE_NEW:
    case EXCHANGE_HELD:
    case EXCHANGE_CONNECTING:
    case EXCHANGE_WAITING:
    case EXCHANGE_PENDING:
    default:
        return STEP_WAIT;
    }
}
