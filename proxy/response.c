#include "proxy/response.h"

#include <assert.h>
#include <string.h>

/* `HTTP/1.1 200` and then a space with any phrase, or the end. */
static bool parse_status_line(const char *line, size_t size, struct response *response, bool *ret_http_1_0)
{
    uint64_t code = 0;

    if (size < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ')
        return false;
    if (!text_to_number(line + 9, 3, &code) || code < 100 || code > 599)
        return false;
    if (size > 12 && (line[12] != ' ' || !text_is_value(line + 13, size - 13)))
        return false;
    response->code = (unsigned)code;
    *ret_http_1_0 = line[7] == '0';
    return true;
}

static bool parse_field(char *line, size_t size, struct header *header)
{
    char *colon = memchr(line, ':', size);
    char *value, *end = line + size;

    if (!colon || !text_is_token(line, (size_t)(colon - line)))
        return false;
    for (value = colon + 1; value < end && (*value == ' ' || *value == '\t'); value++)
        ;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (!text_is_value(value, (size_t)(end - value)))
        return false;
    *header = (struct header){.name = line,
                              .name_size = (size_t)(colon - line),
                              .value = value,
                              .value_size = (size_t)(end - value)};
    return true;
}

/* The line that begins at `at`, without its CRLF. There is one: the head is known to end in an empty line. A
 * bare LF within it is refused with the field, being no part of a value. */
static size_t line_size(const char *bytes, size_t at, size_t head_size)
{
    const char *end = memmem(bytes + at, head_size - at, "\r\n", 2);

    assert(end);
    return (size_t)(end - bytes) - at;
}

static bool parse_fields(char *bytes, size_t at, struct response *response)
{
    while (at + 2 < response->head_size) {
        size_t size = line_size(bytes, at, response->head_size);
        if (response->headers.count == HEADERS_MAX)
            return false;
        if (!parse_field(bytes + at, size, &response->headers.items[response->headers.count++]))
            return false;
        at += size + 2;
    }
    return true;
}

static bool has_no_body(unsigned code, bool to_head)
{
    return to_head || code < 200 || code == 204 || code == 304;
}

static bool decide_framing(struct response *response, bool is_http_1_0, bool to_head)
{
    size_t lengths = 0, codings = 0;
    const struct header *length = headers_find(&response->headers, "content-length", &lengths);
    const struct header *coding = headers_find(&response->headers, "transfer-encoding", &codings);

    if (lengths > 1 || codings > 1 || (length && coding) || (coding && is_http_1_0))
        return false;
    if (coding && !text_equal(coding->value, coding->value_size, "chunked"))
        return false;
    if (length && !text_to_number(length->value, length->value_size, &response->length))
        return false;
    response->has_length = length != NULL;
    if (has_no_body(response->code, to_head))
        response->body = BODY_NONE;
    else if (coding)
        response->body = BODY_CHUNKED;
    else
        response->body = length ? BODY_LENGTH : BODY_UNTIL_CLOSE;
    response->keeps_alive = !is_http_1_0 && response->body != BODY_UNTIL_CLOSE && response->code != 101 &&
                            !headers_list_token(&response->headers, "connection", "close", strlen("close"));
    return true;
}

static void terminate(struct headers *headers)
{
    for (size_t at = 0; at < headers->count; at++) {
        struct header *header = &headers->items[at];
        ((char *)(uintptr_t)header->name)[header->name_size] = '\0';
        ((char *)(uintptr_t)header->value)[header->value_size] = '\0';
    }
}

/* Leaves the fields alone, of which there are none yet: they would be three kilobytes of zeros for each head.
 */
static void begin(struct response *response, size_t head_size)
{
    response->head_size = head_size;
    response->length = 0;
    response->headers.count = 0;
}

/* What can't become a head any more isn't waited for: it might never end. */
static bool may_become_head(const char *bytes, size_t size)
{
    static const char start[] = "HTTP/1.";

    if (memcmp(bytes, start, size < strlen(start) ? size : strlen(start)) != 0)
        return false;
    for (const char *at = bytes; (at = memchr(at, '\n', (size_t)(bytes + size - at))); at++)
        if (at == bytes || at[-1] != '\r')
            return false;
    return true;
}

enum response_progress response_parse(char *bytes, size_t size, bool to_head, struct response *ret_response)
{
    size_t searched = size < RESPONSE_HEAD_MAX ? size : RESPONSE_HEAD_MAX;
    const char *end = memmem(bytes, searched, "\r\n\r\n", 4);
    bool is_http_1_0 = false;
    size_t first;

    if (!end)
        return searched < RESPONSE_HEAD_MAX && may_become_head(bytes, searched) ? RESPONSE_INCOMPLETE
                                                                                : RESPONSE_MALFORMED;
    begin(ret_response, (size_t)(end - bytes) + 4);
    first = line_size(bytes, 0, ret_response->head_size);
    if (!parse_status_line(bytes, first, ret_response, &is_http_1_0) ||
        !parse_fields(bytes, first + 2, ret_response) || !decide_framing(ret_response, is_http_1_0, to_head))
        return RESPONSE_MALFORMED;
    terminate(&ret_response->headers);
    return RESPONSE_COMPLETE;
}

bool response_is_interim(const struct response *response)
{
    return response->code < 200 && response->code != 101;
}
