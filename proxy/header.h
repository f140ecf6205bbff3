/* Header fields of HTTP/1.1 (RFC 9110, 5) as spans of somebody else's bytes, and the rules that requests and
 * responses share. Pure. */
#ifndef PROXY_HEADER_H
#define PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEADERS_MAX = 100 };

struct header {
    const char *name, *value; /* borrowed; not terminated */
    size_t name_size, value_size;
};

struct headers {
    size_t count;
    struct header items[HEADERS_MAX];
};

/* Names compare without regard to case; name is in lower case. */
bool header_is(const struct header *header, const char *name);

/* The first field of that name, or NULL; *ret_count (may be NULL) is how many there are. */
const struct header *headers_find(const struct headers *headers, const char *name, size_t *ret_count);

/* True if some field called name lists the token (RFC 9110, 5.6.1), whatever its case. */
bool headers_list_token(const struct headers *headers, const char *name, const char *token,
                        size_t token_size);

/* Belongs to this connection alone (RFC 9110, 7.6.1): never passed on. Besides the names that are always,
 * those that Connection lists; and those that we write anew, because they say where the message ends. */
bool headers_is_hop_by_hop(const struct headers *headers, const struct header *header);

/* A token: what names, methods and protocol names are made of. */
bool text_is_token(const char *text, size_t size);
/* No control character but tab: what two parsers read alike. */
bool text_is_value(const char *text, size_t size);
/* Compares without regard to case. */
bool text_equal(const char *text, size_t size, const char *other);

/* 1 to 19 decimal digits and nothing else, which can't overflow. */
bool text_to_number(const char *text, size_t size, uint64_t *ret_number);

#endif
