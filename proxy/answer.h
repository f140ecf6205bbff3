/* What the proxy says itself: small, complete, and marked with `X-Holdfast: 1`, so that a layer above can
 * tell it from the backend's answers. */
#ifndef PROXY_ANSWER_H
#define PROXY_ANSWER_H

#include "base/buf.h"
#include "proxy/header.h"
#include "proxy/proxy.h"

enum { ANSWER_SECONDS_SIZE = 12 };
enum { ANSWER_SIZE_MAX = 16 * 1024 * 1024 };

struct answer {
    unsigned code;
    unsigned retry_after_s; /* 0: no Retry-After */
    const char *content_type;
    bool closes; /* Connection: close */
    struct buf body;
};

void answer_clear(struct answer *answer);

/* JSON with state, progress, retry_after_s and reason, and exit_code if the start has failed; Retry-After for
 * a 503. */
void answer_status(struct answer *answer, unsigned code, const struct proxy_status *status);
/* JSON with one sentence. */
void answer_error(struct answer *answer, unsigned code, const char *reason);
/* The refusal of a request that is malformed: closes. */
void answer_refusal(struct answer *answer, unsigned code);
void answer_text(struct answer *answer, const char *text);

/* The phrase that goes with a code; "Status" for one that has none here. Static. */
const char *answer_phrase(unsigned code);

/* The answer's header fields, terminated; they point to it and to seconds. */
void answer_headers(const struct answer *answer, struct headers *ret_headers,
                    char seconds[ANSWER_SECONDS_SIZE]);

/* The head of the answer as bytes, for a socket that libmicrohttpd no longer has; it closes. */
void answer_write_head(const struct answer *answer, struct buf *text);

#endif
