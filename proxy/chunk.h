/* The chunked coding of HTTP/1.1 (RFC 9112, 7.1), read strictly: lines end in CRLF, sizes are hexadecimal and
 * nothing else; extensions and trailers are skipped. Pure. */
#ifndef PROXY_CHUNK_H
#define PROXY_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER, /* at the start of a line of the trailer */
    CHUNK_TRAILER_LINE,
    CHUNK_TRAILER_LF,
    CHUNK_LAST_LF,
    CHUNK_END,
    CHUNK_BAD
};

/* Zeroed memory is a decoder at its start. */
struct chunk_decoder {
    enum chunk_state state;
    unsigned digits;  /* of the size seen so far */
    unsigned skipped; /* bytes of extension or trailer, which are limited */
    uint64_t left;    /* of the current chunk */
};

/* Decodes in place: the payload of bytes[0..size) is moved to its front. Returns how many payload bytes there
 * are; *ret_used is how many bytes were looked at: all, unless the state is CHUNK_END or CHUNK_BAD then. */
size_t chunk_decode(struct chunk_decoder *decoder, uint8_t *bytes, size_t size, size_t *ret_used);

#endif
