#include "proxy/header.h"

#include <string.h>
#include <strings.h>

bool text_equal(const char *text, size_t size, const char *other)
{
    return strlen(other) == size && strncasecmp(text, other, size) == 0;
}

bool text_is_token(const char *text, size_t size)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t at = 0; at < size; at++) {
        char c = text[at];
        bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alphanumeric && (c == '\0' || !strchr(others, c)))
            return false;
    }
    return size > 0;
}

bool text_is_value(const char *text, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        unsigned char c = (unsigned char)text[at];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

bool text_to_number(const char *text, size_t size, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (size == 0 || size > 19)
        return false;
    for (size_t at = 0; at < size; at++) {
        if (text[at] < '0' || text[at] > '9')
            return false;
        number = number * 10 + (unsigned)(text[at] - '0');
    }
    *ret_number = number;
    return true;
}

bool header_is(const struct header *header, const char *name)
{
    return text_equal(header->name, header->name_size, name);
}

const struct header *headers_find(const struct headers *headers, const char *name, size_t *ret_count)
{
    const struct header *found = NULL;
    size_t count = 0;

    for (size_t at = 0; at < headers->count; at++) {
        if (!header_is(&headers->items[at], name))
            continue;
        if (count++ == 0)
            found = &headers->items[at];
    }
    if (ret_count)
        *ret_count = count;
    return found;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool value_lists(const struct header *header, const char *token, size_t token_size)
{
    const char *at = header->value, *end = at + header->value_size;

    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        const char *last = stop;
        while (at < last && is_space(*at))
            at++;
        while (last > at && is_space(last[-1]))
            last--;
        if ((size_t)(last - at) == token_size && strncasecmp(at, token, token_size) == 0)
            return true;
        at = stop + 1;
    }
    return false;
}

bool headers_list_token(const struct headers *headers, const char *name, const char *token, size_t token_size)
{
    for (size_t at = 0; at < headers->count; at++)
        if (header_is(&headers->items[at], name) && value_lists(&headers->items[at], token, token_size))
            return true;
    return false;
}

bool headers_is_hop_by_hop(const struct headers *headers, const struct header *header)
{
    static const char *const names[] = {
        "connection", "content-length", "keep-alive",        "proxy-connection",
        "te",         "trailer",        "transfer-encoding", "upgrade",
    };

    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++)
        if (header_is(header, names[at]))
            return true;
    return headers_list_token(headers, "connection", header->name, header->name_size);
}
