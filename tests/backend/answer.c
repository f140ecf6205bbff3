#include "tests/backend/server.h"

#include "tests/backend/flags.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool exchange_read(struct exchange *exchange, void *bytes, size_t size, size_t *ret_size)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct err err;

    if (exchange->expects_continue) {
        exchange->expects_continue = false;
        if (!fs_write_all(exchange->stream->fd, go_on, sizeof(go_on) - 1, &err))
            return false;
    }
    if (body_read(&exchange->body, exchange->stream, bytes, size, ret_size, &err))
        return true;
    exchange->closes = true;
    return false;
}

bool exchange_read_whole(struct exchange *exchange, struct buf *whole)
{
    uint8_t piece[16 * 1024];
    size_t got;

    do {
        if (!exchange_read(exchange, piece, sizeof(piece), &got)) {
            answer_json(exchange, 400, "{\"error\":\"the body is malformed or cut off\"}");
            return false;
        }
        buf_add(whole, piece, got);
    } while (got > 0 && !whole->overflowed);
    if (!whole->overflowed)
        return true;
    exchange->closes = true;
    answer_json(exchange, 413, "{\"error\":\"the body is too large\"}");
    return false;
}

static const char *reason_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {206, "Partial Content"},
        {400, "Bad Request"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {413, "Content Too Large"},
        {416, "Range Not Satisfiable"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };

    for (size_t at = 0; at < sizeof(reasons) / sizeof(reasons[0]); at++)
        if (reasons[at].status == status)
            return reasons[at].reason;
    return "Unknown";
}

static void add_framing(struct buf *head, struct exchange *exchange, uint64_t length)
{
    exchange->chunked = length == HTTP_UNKNOWN_LENGTH;
    if (exchange->chunked && strcmp(exchange->head.start[2], "HTTP/1.0") == 0) {
        exchange->chunked = false;
        exchange->closes = true;
    } else if (exchange->chunked) {
        buf_add_text(head, "Transfer-Encoding: chunked\r\n");
    } else {
        buf_printf(head, "Content-Length: %" PRIu64 "\r\n", length);
    }
    if (exchange->closes)
        buf_add_text(head, "Connection: close\r\n");
}

bool answer_begin(struct exchange *exchange, unsigned status, const char *type, uint64_t length,
                  const char *headers)
{
    CLEANUP(buf_clearp) struct buf head = BUF_INIT(HTTP_HEAD_MAX);
    time_t now = time(NULL);
    struct tm parts;
    char date[40];
    struct err err;

    assert(!exchange->answered);
    exchange->answered = true;
    (void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
    buf_printf(&head, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\n%sDate: %s\r\n", status, reason_of(status), type,
               headers, date);
    add_framing(&head, exchange, length);
    buf_add_text(&head, "\r\n");
    if (fs_write_all(exchange->stream->fd, head.bytes, head.size, &err))
        return true;
    exchange->closes = true;
    return false;
}

bool answer_write(struct exchange *exchange, const void *bytes, size_t size)
{
    struct err err;

    if (exchange->without_body)
        return true;
    if (exchange->chunked ? chunk_write(exchange->stream->fd, bytes, size, &err)
                          : fs_write_all(exchange->stream->fd, bytes, size, &err))
        return true;
    exchange->closes = true;
    return false;
}

bool answer_end(struct exchange *exchange)
{
    struct err err;

    if (!exchange->chunked || exchange->without_body || chunk_end(exchange->stream->fd, &err))
        return true;
    exchange->closes = true;
    return false;
}

void answer_text(struct exchange *exchange, unsigned status, const char *type, const char *text, size_t size)
{
    if (answer_begin(exchange, status, type, size, ""))
        (void)!answer_write(exchange, text, size);
}

void answer_json(struct exchange *exchange, unsigned status, const char *format, ...)
{
    char text[2048];
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert(size >= 0 && (size_t)size < sizeof(text));
    answer_text(exchange, status, "application/json", text, (size_t)size);
}

void answer_error(struct exchange *exchange, const struct err *err)
{
    CLEANUP(buf_clearp) struct buf json = BUF_INIT(HTTP_HEAD_MAX);
    unsigned status = err->code == ERR_NOT_FOUND ? 404 : err->code == ERR_CANCELED ? 503 : 500;

    buf_add_text(&json, "{\"error\":");
    buf_add_json(&json, err->text);
    buf_add_text(&json, "}");
    answer_text(exchange, status, "application/json", buf_text(&json), json.size);
}

/* The value of a parameter and its size, or NULL. */
static const char *find_parameter(const char *query, const char *name, size_t *ret_size)
{
    size_t name_size = strlen(name);

    while (*query) {
        size_t size = strcspn(query, "&");
        if (size > name_size && memcmp(query, name, name_size) == 0 && query[name_size] == '=') {
            *ret_size = size - name_size - 1;
            return query + name_size + 1;
        }
        query += size + (query[size] == '&');
    }
    return NULL;
}

static int hex_digit(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = digit ? strchr(digits, digit) : NULL;

    return found ? (int)((found - digits) % 16) : -1;
}

/* One character of a parameter's value of left characters; how many of them it took. */
static size_t decode_character(const char *at, size_t left, char *ret_character)
{
    int high = left > 2 ? hex_digit(at[1]) : -1, low = left > 2 ? hex_digit(at[2]) : -1;

    if (*at == '%' && high >= 0 && low >= 0) {
        *ret_character = (char)(unsigned char)(high << 4 | low);
        return 3;
    }
    *ret_character = *at;
    if (*at == '+')
        *ret_character = ' ';
    return 1;
}

bool query_text_of(const struct exchange *exchange, const char *name, char *text, size_t size)
{
    size_t left = 0, written = 0;
    const char *at = find_parameter(exchange->query, name, &left);

    while (at && left > 0 && written + 1 < size) {
        size_t taken = decode_character(at, left, &text[written++]);
        at += taken;
        left -= taken;
    }
    text[written] = '\0';
    return at && left == 0;
}

bool query_number_of(const struct exchange *exchange, const char *name, uint64_t *ret_number)
{
    char text[24];

    return query_text_of(exchange, name, text, sizeof(text)) && parse_number(text, ret_number);
}
