#include "tests/backend/backend.h"

#include "tests/backend/pause.h"
#include "tests/backend/say.h"

#include "base/cleanup.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 32 * 1024 };

static uint64_t number_or(const struct exchange *exchange, const char *name, uint64_t otherwise)
{
    uint64_t number;

    return query_number_of(exchange, name, &number) ? number : otherwise;
}

void route_version(struct exchange *exchange)
{
    char text[64];
    int size = snprintf(text, sizeof(text), "backend 1 (SQLite %s)\n", sql_version());

    answer_text(exchange, 200, "text/plain", text, (size_t)size);
}

void route_name(struct exchange *exchange)
{
    static const char name[] = "sample-backend";

    answer_text(exchange, 200, "text/plain", name, sizeof(name) - 1);
}

/* An HTTP action: whatever comes, what it was. */
void route_site(struct exchange *exchange)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(HTTP_HEAD_MAX * 2);

    buf_printf(&text, "%s %s?%s\n", exchange->head.start[0], exchange->path, exchange->query);
    answer_text(exchange, 200, "text/plain", buf_text(&text), text.size);
}

/* Sends each piece back when it arrives, so that neither side ever holds the whole. */
void route_echo(struct exchange *exchange)
{
    uint64_t length = exchange->body.kind == HTTP_BODY_CHUNKED ? HTTP_UNKNOWN_LENGTH : exchange->body.left;
    const char *type = head_value(&exchange->head, "Content-Type");
    CLEANUP(freep) uint8_t *piece = xmalloc(PIECE);
    size_t got;

    /* The first piece before the answer's head: `Expect: 100-continue` has to be answered first. */
    if (!exchange_read(exchange, piece, PIECE, &got) ||
        !answer_begin(exchange, 200, type ? type : "application/octet-stream", length, ""))
        return;
    while (got > 0)
        if (!answer_write(exchange, piece, got) || !exchange_read(exchange, piece, PIECE, &got))
            return;
    (void)!answer_end(exchange);
}

void route_headers(struct exchange *exchange)
{
    answer_text(exchange, 200, "text/plain", buf_text(&exchange->head.raw), exchange->head.raw.size);
}

void route_stream(struct exchange *exchange)
{
    uint64_t wait_ms = number_or(exchange, "ms", 100), count = number_or(exchange, "n", 10);
    char line[32];

    if (!answer_begin(exchange, 200, "text/plain", HTTP_UNKNOWN_LENGTH, ""))
        return;
    for (uint64_t at = 1; at <= count; at++) {
        int size = snprintf(line, sizeof(line), "tick %" PRIu64 "\n", at);
        if (at > 1)
            pause_ms(wait_ms);
        if (!answer_write(exchange, line, (size_t)size))
            return;
    }
    (void)!answer_end(exchange);
}

/* Byte i is 'a' + i % 26. With chunked=1 the length is not announced. */
void route_large(struct exchange *exchange)
{
    uint64_t left = number_or(exchange, "bytes", 0), at = 0;
    CLEANUP(freep) uint8_t *piece = xmalloc(PIECE);

    if (!answer_begin(exchange, 200, "application/octet-stream",
                      number_or(exchange, "chunked", 0) ? HTTP_UNKNOWN_LENGTH : left, ""))
        return;
    while (left > 0 && !exchange->without_body) {
        size_t size = left < PIECE ? (size_t)left : PIECE;
        for (size_t in = 0; in < size; in++, at++)
            piece[in] = (uint8_t)('a' + at % 26);
        if (!answer_write(exchange, piece, size))
            return;
        left -= size;
    }
    (void)!answer_end(exchange);
}

void route_sleep(struct exchange *exchange)
{
    uint64_t wait_ms = number_or(exchange, "ms", 1000);

    pause_ms(wait_ms);
    answer_json(exchange, 200, "{\"slept_ms\":%" PRIu64 "}", wait_ms);
}

void route_env(struct exchange *exchange)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(1024 * 1024);

    for (char **entry = environ; *entry; entry++)
        buf_printf(&text, "%s\n", *entry);
    answer_text(exchange, 200, "text/plain", buf_text(&text), text.size);
}

/* The answer may not arrive: that is the point. */
void route_die(struct exchange *exchange)
{
    uint64_t number = number_or(exchange, "signal", 0), code = number_or(exchange, "code", 1);

    say("dying on request");
    answer_json(exchange, 200, "{\"dying\":true}");
    if (number)
        (void)kill(getpid(), (int)number);
    else
        _exit((int)code);
}
