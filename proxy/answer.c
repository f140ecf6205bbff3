#include "proxy/answer.h"

#include <stdio.h>
#include <string.h>

static const char json[] = "application/json";

static void begin(struct answer *answer, unsigned code, const char *content_type)
{
    answer_clear(answer);
    *answer = (struct answer){.code = code, .content_type = content_type, .body = BUF_INIT(ANSWER_SIZE_MAX)};
}

void answer_clear(struct answer *answer)
{
    buf_clear(&answer->body);
}

const char *proxy_state_name(enum proxy_state state)
{
    static const char *const names[PROXY_STATES] = {
        [PROXY_LISTEN] = "listen", [PROXY_RESTORE] = "restore", [PROXY_LAUNCH] = "launch",
        [PROXY_SERVE] = "serve",   [PROXY_DRAIN] = "drain",     [PROXY_FLUSH] = "flush",
        [PROXY_FENCED] = "fenced",
    };

    return state < PROXY_STATES ? names[state] : "unknown";
}

void answer_status(struct answer *answer, unsigned code, const struct proxy_status *status)
{
    begin(answer, code, json);
    answer->retry_after_s = code == 503 ? status->retry_after_s : 0;
    buf_printf(&answer->body, "{\"state\":\"%s\",\"progress\":%.3f,\"retry_after_s\":%u,\"reason\":",
               proxy_state_name(status->state), status->progress, status->retry_after_s);
    buf_add_json(&answer->body, status->reason);
    if (status->failed)
        buf_printf(&answer->body, ",\"exit_code\":%d", status->exit_code);
    buf_add_text(&answer->body, "}\n");
}

void answer_error(struct answer *answer, unsigned code, const char *reason)
{
    begin(answer, code, json);
    buf_add_text(&answer->body, "{\"error\":");
    buf_add_json(&answer->body, reason);
    buf_add_text(&answer->body, "}\n");
}

void answer_refusal(struct answer *answer, unsigned code)
{
    answer_error(answer, code, answer_phrase(code));
    answer->closes = true;
}

void answer_text(struct answer *answer, const char *text)
{
    begin(answer, 200, "text/plain");
    buf_add_text(&answer->body, text);
}

const char *answer_phrase(unsigned code)
{
    static const struct {
        unsigned code;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {206, "Partial Content"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };

    for (size_t at = 0; at < sizeof(phrases) / sizeof(phrases[0]); at++)
        if (phrases[at].code == code)
            return phrases[at].phrase;
    return "Status";
}

static void add(struct headers *headers, const char *name, const char *value)
{
    headers->items[headers->count++] =
        (struct header){.name = name, .name_size = strlen(name), .value = value, .value_size = strlen(value)};
}

void answer_headers(const struct answer *answer, struct headers *ret_headers,
                    char seconds[ANSWER_SECONDS_SIZE])
{
    ret_headers->count = 0;
    add(ret_headers, "Content-Type", answer->content_type);
    add(ret_headers, "Cache-Control", "no-store");
    add(ret_headers, "X-Holdfast", "1");
    if (answer->retry_after_s == 0)
        return;
    (void)snprintf(seconds, ANSWER_SECONDS_SIZE, "%u", answer->retry_after_s);
    add(ret_headers, "Retry-After", seconds);
}

void answer_write_head(const struct answer *answer, struct buf *text)
{
    char seconds[ANSWER_SECONDS_SIZE];
    struct headers headers;

    answer_headers(answer, &headers, seconds);
    buf_printf(text, "HTTP/1.1 %u %s\r\n", answer->code, answer_phrase(answer->code));
    for (size_t at = 0; at < headers.count; at++)
        buf_printf(text, "%s: %s\r\n", headers.items[at].name, headers.items[at].value);
    buf_printf(text, "Content-Length: %zu\r\nConnection: close\r\n\r\n", answer->body.size);
}
