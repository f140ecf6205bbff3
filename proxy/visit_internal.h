/* What the two halves of a visit (visit.c, visit_wait.c) share. */
#ifndef PROXY_VISIT_INTERNAL_H
#define PROXY_VISIT_INTERNAL_H

#include "proxy/exchange.h"
#include "proxy/reply.h"
#include "proxy/visit.h"

enum phase {
    PHASE_NEW,
    PHASE_HEAD, /* a body follows, and we don't take it yet */
    PHASE_BODY,
    PHASE_END /* the request is complete */
};

struct visit {
    struct http_request http;
    struct exchange_owner owner;
    struct core *core;
    struct pace *pace;
    struct client *client;
    char *target;
    enum phase phase;
    struct exchange *exchange; /* NULL: `answer` is the answer */
    struct answer answer;
    struct reply *reply; /* gives the answer beside the library */
    bool parked, suspended;
    bool broken;               /* to be closed at the next chance */
    uint64_t waiting_since_ms; /* 0: not waiting */
    struct loop_source gone;   /* the client's socket, while suspended */
};

/* What wakes the visit, and what cuts it. */
struct exchange_owner visit_owner(void);

/* To be called again when there may be more to say. */
void visit_wait(struct visit *visit);
/* In every call: it is not waiting now. */
void visit_stop_waiting(struct visit *visit);
/* Something was said or taken: the library may have more to do. */
void visit_note_progress(struct visit *visit);

/* True if there is an answer, ours or the backend's. */
bool visit_has_answer(const struct visit *visit);
/* From now on the answer is given by hand, while the library goes on reading. False if that can't be. */
bool visit_begin_reply(struct visit *visit);

#endif
