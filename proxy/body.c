#include "proxy/body.h"

#include <assert.h>

void body_begin(struct body *body, enum body_kind kind, uint64_t length)
{
    *body = (struct body){.kind = kind, .left = length};
    body->ended = kind == BODY_NONE || (kind == BODY_LENGTH && length == 0);
}

static size_t take_length(struct body *body, size_t size)
{
    size_t taken = size < body->left ? size : (size_t)body->left;

    body->left -= taken;
    body->ended = body->left == 0;
    body->excess = taken < size;
    return taken;
}

static bool take_chunks(struct body *body, uint8_t *bytes, size_t size, size_t *ret_decoded)
{
    size_t used = 0;

    *ret_decoded = chunk_decode(&body->chunks, bytes, size, &used);
    body->ended = body->chunks.state == CHUNK_END;
    body->excess = body->ended && used < size;
    return body->chunks.state != CHUNK_BAD;
}

bool body_decode(struct body *body, uint8_t *bytes, size_t size, size_t *ret_decoded)
{
    *ret_decoded = 0;
    if (size == 0)
        return true;
    if (body->ended) {
        body->excess = true;
        return true;
    }
    switch (body->kind) {
    case BODY_LENGTH:
        *ret_decoded = take_length(body, size);
        return true;
    case BODY_CHUNKED:
        return take_chunks(body, bytes, size, ret_decoded);
    case BODY_UNTIL_CLOSE:
        *ret_decoded = size;
        return true;
    case BODY_NONE:
    default:
        assert(body->ended);
        return true;
    }
}

bool body_finish(struct body *body)
{
    if (body->kind == BODY_UNTIL_CLOSE)
        body->ended = true;
    return body->ended;
}
