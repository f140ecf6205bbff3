/* One request and its answer: from the gate to the backend, and back past the durable position. Knows nothing
 * of how the client is spoken to: its owner asks for the next step, and is woken when that may have changed.
 */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include "proxy/answer.h"
#include "proxy/core.h"
#include "proxy/request.h"

struct exchange_owner {
    void (*wake)(struct exchange_owner *owner); /* exchange_step() or exchange_read() may say something new */
    void (*cut)(struct exchange_owner *owner);  /* close the client's connection, whatever it is doing */
};

enum exchange_state {
    EXCHANGE_NEW,
    EXCHANGE_HELD,       /* by the gate */
    EXCHANGE_CONNECTING, /* to the backend */
    EXCHANGE_SENDING,    /* takes the request's body */
    EXCHANGE_WAITING,    /* for the response's head */
    EXCHANGE_PENDING,    /* the head is here and held until it is durable */
    EXCHANGE_RESPONDED,
    EXCHANGE_ANSWERED, /* by ourselves */
    EXCHANGE_CUT
};

struct exchange {
    struct core *core;
    struct exchange_owner *owner;
    struct list link;
    enum exchange_state state;
    struct gate_entry gate_entry;
    bool counted; /* in core->in_flight */

    enum body_kind request_body;
    bool is_head, is_http_1_0, is_upgrade, is_idempotent;
    struct buf head; /* towards the backend */
    bool head_sent, body_begun, end_sent, retried;
    struct buf unsent; /* what the backend's socket did not take */
    size_t unsent_at;
    bool request_ended; /* the owner has no more body */
    bool upload_over;   /* the backend takes no more of it, but answers */

    struct upstream_connection *connection;
    struct receive_buffer *buffer;
    struct body body;
    struct hold hold;
    struct answer answer;
};

/* Copies what it needs of head and facts. */
struct exchange *exchange_new(struct core *core, const struct request_head *head,
                              const struct request_facts *facts, const struct request_route *route,
                              struct exchange_owner *owner);
/* Gives up whatever is not finished: a backend that still works on it sees its connection close. NULL is
 * fine. */
void exchange_free(struct exchange *exchange);

/* Asks the gate, and goes as far as possible without waiting. Once, after exchange_new(). */
void exchange_start(struct exchange *exchange);

enum exchange_step {
    STEP_WAIT,
    STEP_SEND,    /* there is no answer yet: give it more of the request's body */
    STEP_ANSWER,  /* send exchange->answer */
    STEP_RESPOND, /* send the head in exchange->buffer->response, then what exchange_read() gives */
    STEP_CUT      /* close the connection */
};

enum exchange_step exchange_step(const struct exchange *exchange);

/* True if the backend takes more of the request's body, which may go on while its answer has begun. */
bool exchange_wants_body(const struct exchange *exchange);
/* True if the piece was taken, whole; false if not: the step may have changed, or room comes with the next
 * wake. Only if the body is wanted, as exchange_send_end(). */
bool exchange_send(struct exchange *exchange, const void *bytes, size_t size);
void exchange_send_end(struct exchange *exchange);

enum { EXCHANGE_BLOCKED = 0, EXCHANGE_ENDED = -1, EXCHANGE_FAILED = -2 };

/* The next bytes of the response's body, decoded; or one of the above. From the first call on the response's
 * head is gone. */
ssize_t exchange_read(struct exchange *exchange, void *bytes, size_t size);
/* True if all of the body is here and may go out: exchange->buffer's bytes[at..end). */
bool exchange_is_complete(const struct exchange *exchange);

/* For a response with 101: the connection and what was read from it beyond the head, now the caller's. */
struct upstream_connection *exchange_take_connection(struct exchange *exchange);

/* Which exchanges to cut: what a drain waits for; what the backend has (except answers that may go out
 * already); every one. */
enum exchange_selection { EXCHANGES_COUNTED, EXCHANGES_FORWARDED, EXCHANGES_ALL };

/* Drops their responses, held or not, and has their owners close the clients' connections. */
void exchange_cut(struct core *core, enum exchange_selection selection);

#endif
