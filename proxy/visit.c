/* A request from its head to its answer.
 *
 * The library takes an answer at the end of a request, or before its body has begun (then it closes the
 * connection behind it). In between it can't: see reply.h. Upgraded sockets are duplicated and the library's
 * copy is closed at once: left inside, each would cost a pool of memory, and a step in each walk of its list.
 */
#include "proxy/visit_internal.h"

#include "base/cleanup.h"
#include "proxy/route.h"
#include "proxy/tunnel.h"

#include <assert.h>
#include <fcntl.h>
#include <netinet/tcp.h>

static bool respond(struct visit *visit, const struct http_response *response)
{
    visit_note_progress(visit);
    if (!http_respond(&visit->http, response))
        return false;
    if (visit->client->front)
        core_count(visit->core, response->code);
    return true;
}

static bool send_answer(struct visit *visit, const struct answer *answer)
{
    struct headers headers;
    char seconds[ANSWER_SECONDS_SIZE];
    bool closes = answer->closes || (gate_is_ending(&visit->core->gate) && visit->client->front);
    struct http_response response = {
        .code = answer->code,
        .bytes = answer->body.bytes,
        .size = answer->body.size,
        .closes = closes,
        .headers = &headers,
    };

    answer_headers(answer, &headers, seconds);
    return respond(visit, &response);
}

static enum http_body body_of(const struct exchange *exchange, const struct response *head)
{
    if (head->code == 101)
        return HTTP_UPGRADE;
    if (exchange->is_head || head->code == 304)
        return HTTP_HEADLESS;
    return exchange_is_complete(exchange) ? HTTP_BYTES : HTTP_STREAM;
}

static bool send_response(struct visit *visit)
{
    const struct receive_buffer *buffer = visit->exchange->buffer;
    const struct response *head = &buffer->response;
    struct http_response response = {
        .code = head->code,
        .body = body_of(visit->exchange, head),
        .bytes = buffer->bytes + buffer->at,
        .size = buffer->end - buffer->at,
        .has_length = head->has_length,
        .length = head->length,
        .is_http_1_0 = visit->exchange->is_http_1_0,
        .closes = visit->core->gate.draining,
        .headers = &head->headers,
    };

    return respond(visit, &response);
}

/* What there is to say, at a time when the library can. False closes the connection. */
static bool answer_step(struct visit *visit)
{
    if (!visit->exchange)
        return send_answer(visit, &visit->answer);
    if (visit->reply) {
        visit_wait(visit);
        return true;
    }
    switch (exchange_step(visit->exchange)) {
    case STEP_ANSWER:
        return send_answer(visit, &visit->exchange->answer);
    case STEP_RESPOND:
        if (http_fits(&visit->http, visit->exchange->buffer->response.head_size))
            return send_response(visit);
        if (!visit_begin_reply(visit))
            return false;
        visit_wait(visit);
        return true;
    case STEP_WAIT:
        visit_wait(visit);
        return true;
    case STEP_SEND:
    case STEP_CUT:
    default:
        return false;
    }
}

static bool take_head(struct visit *visit)
{
    if (!visit->exchange || exchange_step(visit->exchange) != STEP_SEND)
        return answer_step(visit);
    visit->phase = PHASE_BODY;
    visit_note_progress(visit);
    return true;
}

static bool take_body(struct visit *visit, struct http_call *call)
{
    struct exchange *exchange = visit->exchange;
    bool taken = false;

    if (exchange_wants_body(exchange))
        taken = exchange_send(exchange, call->bytes, call->size);
    if (!visit->reply && visit_has_answer(visit) && !visit_begin_reply(visit))
        return false;
    if (exchange_step(exchange) == STEP_CUT)
        return false;
    /* What nobody wants any more is dropped, until the answer is out. */
    if (taken || (visit->reply && !exchange_wants_body(exchange))) {
        call->size = 0;
        visit_note_progress(visit);
    } else {
        visit_wait(visit);
    }
    return true;
}

static bool end_body(struct visit *visit)
{
    visit->phase = PHASE_END;
    if (exchange_wants_body(visit->exchange))
        exchange_send_end(visit->exchange);
    return answer_step(visit);
}

static void begin_exchange(struct visit *visit, const struct request_head *head,
                           const struct request_facts *facts)
{
    struct core *core = visit->core;
    struct request_route route = {.prefix = visit->client->front->prefix,
                                  .client_ip = visit->client->ip,
                                  .default_host = core->upstream.text,
                                  .trust_forwarded = core->config.trust_forwarded};

    visit->exchange = exchange_new(core, head, facts, &route, &visit->owner);
    exchange_start(visit->exchange);
}

static bool begin_request(struct visit *visit, const struct http_call *call)
{
    struct request_head head;
    struct request_facts facts = {.body = BODY_NONE};
    unsigned refusal;

    client_enter_request(visit->client);
    request_head_init(&head, call->method, visit->target, call->version);
    http_headers(&visit->http, &head);
    refusal = request_check(&head, &facts);
    if (refusal != 0) {
        answer_refusal(&visit->answer, refusal);
        return send_answer(visit, &visit->answer);
    }
    visit->phase = facts.body == BODY_NONE ? PHASE_END : PHASE_HEAD;
    if (!route_answer(visit->core, visit->client->front, &head, &facts, &visit->answer))
        begin_exchange(visit, &head, &facts);
    /* Without a body the library calls again at once, and can then keep the connection. */
    return visit->phase == PHASE_END || take_head(visit);
}

bool visit_call(struct http_request *http, struct http_call *call)
{
    struct visit *visit = LIST_ENTRY(http, struct visit, http);

    assert(!visit->suspended);
    visit_stop_waiting(visit);
    if (visit->broken)
        return false;
    switch (visit->phase) {
    case PHASE_NEW:
        return begin_request(visit, call);
    case PHASE_HEAD:
        return take_head(visit);
    case PHASE_BODY:
        return call->size > 0 ? take_body(visit, call) : end_body(visit);
    case PHASE_END:
    default:
        return answer_step(visit);
    }
}

ssize_t visit_read(struct http_request *http, void *bytes, size_t size)
{
    struct visit *visit = LIST_ENTRY(http, struct visit, http);
    ssize_t got;

    visit_stop_waiting(visit);
    got = visit->broken ? EXCHANGE_FAILED : exchange_read(visit->exchange, bytes, size);
    if (got == EXCHANGE_BLOCKED) {
        visit_wait(visit);
        return HTTP_WAIT;
    }
    visit_note_progress(visit);
    if (got == EXCHANGE_ENDED)
        return HTTP_END;
    return got > 0 ? got : HTTP_BREAK;
}

void visit_upgrade(struct http_request *http, int fd, const void *bytes, size_t size)
{
    static const int on = 1;
    struct visit *visit = LIST_ENTRY(http, struct visit, http);
    const struct receive_buffer *buffer = visit->exchange->buffer;
    struct tunnel_ends ends = {
        .client_fd = visit->broken ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0),
        .from_client = bytes,
        .from_client_size = size,
        .from_backend = buffer->bytes + buffer->at,
        .from_backend_size = buffer->end - buffer->at,
    };

    visit_note_progress(visit);
    if (ends.client_fd < 0)
        return;
    (void)setsockopt(ends.client_fd, IPPROTO_TCP, TCP_NODELAY, &on,
                     sizeof(on)); /* the library turned it off */
    ends.backend = exchange_take_connection(visit->exchange);
    visit->client->taken = true;
    tunnel_begin(visit->core, &ends);
}

struct http_request *visit_begin(struct client *client, struct pace *pace, const char *target)
{
    struct visit *visit = xcalloc(1, sizeof(*visit));

    visit->owner = visit_owner();
    visit->core = client->clients->core;
    visit->pace = pace;
    visit->client = client;
    visit->target = xstrdup(target);
    return &visit->http;
}

void visit_end(struct http_request *http)
{
    struct visit *visit = LIST_ENTRY(http, struct visit, http);

    visit_stop_waiting(visit);
    if (visit->suspended)
        loop_remove(&visit->core->loop, &visit->gone);
    if (visit->phase == PHASE_END)
        client_leave_request(visit->client);
    visit_note_progress(visit);
    reply_free(visit->reply);
    exchange_free(visit->exchange);
    answer_clear(&visit->answer);
    free(visit->target);
    free(visit);
}
