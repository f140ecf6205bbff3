/* GET /api/sync: what Convex's clients keep open. It echoes what it gets, apart from these texts:
 *
 *   write VALUE    commits and answers {"id":…,"ts":…}
 *   push N MS      sends "push 1" … "push N", one each MS milliseconds, while it goes on reading
 *   close CODE     closes from this side
 *
 * It sends a Ping every 5 s, as Convex does, answers Pings, and tells standard output how each socket ended.
 */
#include "tests/backend/backend.h"

#include "tests/backend/flags.h"
#include "tests/backend/say.h"
#include "tests/backend/websocket.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct session {
    struct backend *backend;
    struct http_stream *stream;
    struct websocket_reader reader;
    uint64_t ping_at_ms; /* UINT64_MAX: never */
    uint64_t push_at_ms; /* UINT64_MAX: nothing to push */
    uint64_t push_every_ms;
    uint64_t pushed, push_count;
    bool ended;
};

static void session_end(struct session *session, const char *who, unsigned code)
{
    session->ended = true;
    say("websocket closed by the %s with %u", who, code);
}

static void session_send(struct session *session, enum websocket_opcode opcode, const void *bytes,
                         size_t size)
{
    struct err err;

    if (!session->ended && !websocket_write(session->stream->fd, opcode, bytes, size, &err))
        session_end(session, "network", 1006);
}

static void session_close(struct session *session, unsigned code, const char *reason)
{
    struct err err;

    (void)!websocket_write_close(session->stream->fd, code, reason, &err);
    session_end(session, "server", code);
}

static void session_write(struct session *session, const char *value)
{
    char text[128];
    int64_t first, ts;
    struct err err;

    if (!backend_write(session->backend, value, 1, &first, &ts, &err)) {
        session_close(session, 1011, "the write failed");
        return;
    }
    (void)snprintf(text, sizeof(text), "{\"id\":%" PRId64 ",\"ts\":%" PRId64 "}", first, ts);
    session_send(session, WEBSOCKET_TEXT, text, strlen(text));
}

/* "N MS" */
static bool take_push(struct session *session, const char *text)
{
    uint64_t count, every_ms;

    if (!take_number(&text, &count) || *text++ != ' ' || !parse_number(text, &every_ms) || count == 0)
        return false;
    session->push_count = count;
    session->pushed = 0;
    session->push_every_ms = every_ms;
    return true;
}

static void session_text(struct session *session, struct buf *payload)
{
    const char *text = buf_text(payload);
    uint64_t code;

    if (strncmp(text, "write ", 6) == 0) {
        session_write(session, text + 6);
    } else if (strncmp(text, "push ", 5) == 0 && take_push(session, text + 5)) {
        session->push_at_ms = clock_monotonic_ms() + session->push_every_ms;
    } else if (strncmp(text, "close ", 6) == 0 && parse_number(text + 6, &code)) {
        session_close(session, (unsigned)code, "as requested");
    } else {
        session_send(session, WEBSOCKET_TEXT, text, payload->size);
    }
}

static void session_closed(struct session *session, const struct buf *payload)
{
    unsigned code = websocket_close_code(payload);
    struct err err;

    (void)!websocket_write(session->stream->fd, WEBSOCKET_CLOSE, payload->bytes, payload->size < 2 ? 0 : 2,
                           &err);
    session_end(session, "client", code);
}

static void session_read(struct session *session)
{
    CLEANUP(buf_clearp) struct buf empty = BUF_INIT(WEBSOCKET_MESSAGE_MAX);
    struct websocket_message message = {.payload = empty};
    struct err err;

    if (!websocket_read(session->stream, &session->reader, &message, &err)) {
        if (err.code == ERR_CORRUPT)
            session_close(session, 1002, "protocol error");
        else
            session_end(session, "network", 1006);
    } else if (message.opcode == WEBSOCKET_TEXT) {
        session_text(session, &message.payload);
    } else if (message.opcode == WEBSOCKET_BINARY) {
        session_send(session, WEBSOCKET_BINARY, message.payload.bytes, message.payload.size);
    } else if (message.opcode == WEBSOCKET_PING) {
        session_send(session, WEBSOCKET_PONG, message.payload.bytes, message.payload.size);
    } else if (message.opcode == WEBSOCKET_CLOSE) {
        session_closed(session, &message.payload);
    }
    buf_clear(&message.payload);
}

/* Sends what is due. */
static void session_tick(struct session *session, uint64_t now_ms)
{
    char text[32];

    if (now_ms >= session->ping_at_ms) {
        session_send(session, WEBSOCKET_PING, "backend", 7);
        session->ping_at_ms = now_ms + session->backend->websocket_ping_ms;
    }
    if (now_ms >= session->push_at_ms) {
        session->pushed++;
        session_send(session, WEBSOCKET_TEXT, text,
                     (size_t)snprintf(text, sizeof(text), "push %" PRIu64, session->pushed));
        session->push_at_ms =
            session->pushed < session->push_count ? now_ms + session->push_every_ms : UINT64_MAX;
    }
}

static void session_run(struct session *session)
{
    while (!session->ended) {
        struct pollfd waiting = {.fd = session->stream->fd, .events = POLLIN};
        uint64_t now_ms = clock_monotonic_ms();
        uint64_t due_ms =
            session->ping_at_ms < session->push_at_ms ? session->ping_at_ms : session->push_at_ms;
        int timeout_ms = due_ms == UINT64_MAX ? -1 : due_ms > now_ms ? (int)(due_ms - now_ms) : 0;
        bool buffered = session->stream->at < session->stream->end;
        if (buffered || poll(&waiting, 1, timeout_ms) > 0)
            session_read(session);
        session_tick(session, clock_monotonic_ms());
    }
}

void route_sync(struct exchange *exchange)
{
    struct backend *backend = exchange->context;
    struct session session = {.backend = backend, .stream = exchange->stream, .push_at_ms = UINT64_MAX};
    struct err err;

    if (!websocket_accept(exchange->stream, &exchange->head, &err)) {
        answer_json(exchange, 400, "{\"error\":\"%s\"}", err.text);
        return;
    }
    exchange->closes = true;
    server_forget(exchange);
    session.ping_at_ms =
        backend->websocket_ping_ms ? clock_monotonic_ms() + backend->websocket_ping_ms : UINT64_MAX;
    session_run(&session);
    buf_clear(&session.reader.message);
}
