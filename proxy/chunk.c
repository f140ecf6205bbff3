#include "proxy/chunk.h"

#include <assert.h>
#include <string.h>

enum { SIZE_DIGITS_MAX = 15, SKIPPED_MAX = 16 * 1024 };

static int digit_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

static enum chunk_state read_size(struct chunk_decoder *decoder, uint8_t byte)
{
    int digit = digit_value(byte);

    if (digit >= 0) {
        if (++decoder->digits > SIZE_DIGITS_MAX)
            return CHUNK_BAD;
        decoder->left = decoder->left * 16 + (unsigned)digit;
        return CHUNK_SIZE;
    }
    if (decoder->digits == 0)
        return CHUNK_BAD;
    decoder->digits = 0;
    if (byte == ';')
        return CHUNK_EXTENSION;
    return byte == '\r' ? CHUNK_SIZE_LF : CHUNK_BAD;
}

/* The inside of a line that nobody wants; `ended` follows its CR. */
static enum chunk_state skip(struct chunk_decoder *decoder, uint8_t byte, enum chunk_state ended)
{
    if (byte == '\r')
        return ended;
    if (byte == '\n' || byte == '\0' || ++decoder->skipped > SKIPPED_MAX)
        return CHUNK_BAD;
    return decoder->state;
}

static enum chunk_state begin_trailer_line(struct chunk_decoder *decoder, uint8_t byte)
{
    if (byte == '\r')
        return CHUNK_LAST_LF;
    decoder->state = CHUNK_TRAILER_LINE;
    return skip(decoder, byte, CHUNK_TRAILER_LF);
}

static enum chunk_state step(struct chunk_decoder *decoder, uint8_t byte)
{
    switch (decoder->state) {
    case CHUNK_SIZE:
        return read_size(decoder, byte);
    case CHUNK_EXTENSION:
        return skip(decoder, byte, CHUNK_SIZE_LF);
    case CHUNK_SIZE_LF:
        if (byte != '\n')
            return CHUNK_BAD;
        return decoder->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
    case CHUNK_DATA_CR:
        return byte == '\r' ? CHUNK_DATA_LF : CHUNK_BAD;
    case CHUNK_DATA_LF:
        return byte == '\n' ? CHUNK_SIZE : CHUNK_BAD;
    case CHUNK_TRAILER:
        return begin_trailer_line(decoder, byte);
    case CHUNK_TRAILER_LINE:
        return skip(decoder, byte, CHUNK_TRAILER_LF);
    case CHUNK_TRAILER_LF:
        return byte == '\n' ? CHUNK_TRAILER : CHUNK_BAD;
    case CHUNK_LAST_LF:
        return byte == '\n' ? CHUNK_END : CHUNK_BAD;
    case CHUNK_DATA:
    case CHUNK_END:
    case CHUNK_BAD:
    default:
        return CHUNK_BAD;
    }
}

/* Moves the payload at bytes[at] to bytes[to]; returns its size. */
static size_t take_data(struct chunk_decoder *decoder, uint8_t *bytes, size_t to, size_t at, size_t size)
{
    size_t taken = size - at;

    if (taken > decoder->left)
        taken = (size_t)decoder->left;
    if (to != at)
        memmove(bytes + to, bytes + at, taken);
    decoder->left -= taken;
    if (decoder->left == 0)
        decoder->state = CHUNK_DATA_CR;
    return taken;
}

size_t chunk_decode(struct chunk_decoder *decoder, uint8_t *bytes, size_t size, size_t *ret_used)
{
    size_t decoded = 0, at = 0;

    while (at < size && decoder->state != CHUNK_END && decoder->state != CHUNK_BAD) {
        if (decoder->state == CHUNK_DATA) {
            size_t taken = take_data(decoder, bytes, decoded, at, size);
            decoded += taken;
            at += taken;
        } else {
            decoder->state = step(decoder, bytes[at++]);
        }
    }
    assert(decoded <= at && at <= size);
    *ret_used = at;
    return decoded;
}
