/* How the body of a message is delimited, and where it ends. Pure. */
#ifndef PROXY_BODY_H
#define PROXY_BODY_H

#include "proxy/chunk.h"

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE };

struct body {
    enum body_kind kind;
    uint64_t left; /* BODY_LENGTH */
    struct chunk_decoder chunks;
    bool ended;
    bool excess; /* bytes came after the end */
};

void body_begin(struct body *body, enum body_kind kind, uint64_t length);

/* Decodes in place what arrived: the first *ret_decoded bytes are payload then. False if it is malformed. */
bool body_decode(struct body *body, uint8_t *bytes, size_t size, size_t *ret_decoded)
    __attribute__((warn_unused_result));

/* The connection has ended; false if that cut the body off. */
bool body_finish(struct body *body) __attribute__((warn_unused_result));

#endif
