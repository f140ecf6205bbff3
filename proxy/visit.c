/* A request that waits for the backend is *parked*: it says nothing, the library keeps the connection in its
 * ready list and calls again at every http_run(), which happens only when something is new. That costs
 * nothing for an answer that comes within milliseconds. Suspending, the documented way, costs two epoll_ctl
 * and one useless read for each request, and each resumption walks the list of all that are suspended. So
 * only what waits for longer is suspended. The library does not look at the socket of a suspended request: we
 * do, for a client that goes away.
 *
 * An answer can be given at the end of a request, or before its body has begun (then the library closes the
 * connection behind it). In between it can't: see reply.h. Upgraded sockets are duplicated and the library's
 * copy is closed at once: left inside, each would cost a pool of memory, and a step in each of those walks.
 */
#include "proxy/visit.h"

#include "base/cleanup.h"
#include "proxy/exchange.h"
#include "proxy/reply.h"
#include "proxy/route.h"
#include "proxy/tunnel.h"

#include <assert.h>
#include <fcntl.h>
#include <netinet/tcp.h>

enum { PARKED_MAX = 64 };

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
    bool parked, suspended;
    bool broken;               /* to be closed at the next chance */
    uint64_t waiting_since_ms; /* 0: not waiting */
    struct loop_source gone;   /* the client's socket, while suspended */
};

static void resume(struct visit *visit)
{
    visit->pace->wanted = true;
    if (!visit->suspended)
        return;
    visit->suspended = false;
    loop_remove(&visit->core->loop, &visit->gone);
    http_resume(&visit->http);
}

static void cut(struct exchange_owner *owner)
{
    struct visit *visit = LIST_ENTRY(owner, struct visit, owner);

    visit->broken = true;
    (void)shutdown(visit->client->fd, SHUT_RDWR); /* also ends what is already being sent */
    resume(visit);
}

static void client_gone(struct loop_source *source, uint32_t events)
{
    struct visit *visit = LIST_ENTRY(source, struct visit, gone);

    (void)events;
    visit->broken = true;
    resume(visit);
}

static void suspend(struct visit *visit)
{
    visit->suspended = true;
    http_suspend(&visit->http);
    visit->gone = (struct loop_source){.fd = visit->client->fd, .ready = client_gone};
    /* Refused only for want of kernel memory; then a client that leaves is noticed when it is answered. */
    (void)!loop_add(&visit->core->loop, &visit->gone, EPOLLRDHUP | EPOLLET);
}

/* To be called again when there may be more to say. Before the request is complete the library would not call
 * again for what it has read already, so there is no parking then; nor for what waits long anyway. */
static void wait_for_more(struct visit *visit)
{
    struct pace *pace = visit->pace;
    uint64_t now_ms = visit->core->loop.now_ms;

    if (visit->waiting_since_ms == 0)
        visit->waiting_since_ms = now_ms;
    if (visit->phase != PHASE_END || visit->exchange->state == EXCHANGE_HELD || pace->parked >= PARKED_MAX ||
        now_ms - visit->waiting_since_ms > VISIT_PARKED_MS) {
        suspend(visit);
        return;
    }
    visit->parked = true;
    pace->parked++;
}

static void stop_waiting(struct visit *visit)
{
    if (visit->parked)
        visit->pace->parked--;
    visit->parked = false;
}

static void note_progress(struct visit *visit)
{
    visit->waiting_since_ms = 0;
    visit->pace->progress = true;
}

static bool respond(struct visit *visit, const struct http_response *response)
{
    note_progress(visit);
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
    bool closes = answer->closes || (visit->core->gate.draining && visit->client->front);
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
        .closes = visit->core->gate.draining,
        .headers = &head->headers,
    };

    return respond(visit, &response);
}

/* From here on the answer is given by hand, on that socket. */
static void hand_over(struct visit *visit, int fd)
{
    visit->broken = true;
    visit->client->taken = true;
    reply_begin(visit->core, fd, MOVE(visit->exchange));
}

/* In a call: takes the connection away from the library, which closes its copy of the socket when this
 * returns false, as it always does. */
static bool detach(struct visit *visit)
{
    int fd = fcntl(visit->client->fd, F_DUPFD_CLOEXEC, 0);

    if (fd >= 0)
        hand_over(visit, fd);
    return false;
}

/* An answer that comes while the library waits for more of the request's body, which may never come: it won't
 * call. */
static bool is_stuck(const struct visit *visit)
{
    enum exchange_step step = exchange_step(visit->exchange);

    return visit->phase == PHASE_BODY && !visit->suspended && (step == STEP_ANSWER || step == STEP_RESPOND);
}

static void wake(struct exchange_owner *owner)
{
    struct visit *visit = LIST_ENTRY(owner, struct visit, owner);
    int fd = -1;

    if (is_stuck(visit)) {
        if (http_take_socket(&visit->http, &fd))
            hand_over(visit, fd);
        else
            cut(owner);
    }
    resume(visit);
}

/* What there is to say, at a time when the library can. False closes the connection. */
static bool answer_step(struct visit *visit)
{
    if (!visit->exchange)
        return send_answer(visit, &visit->answer);
    switch (exchange_step(visit->exchange)) {
    case STEP_ANSWER:
        return send_answer(visit, &visit->exchange->answer);
    case STEP_RESPOND:
        if (!http_fits(&visit->http, visit->exchange->buffer->response.head_size))
            return detach(visit);
        return send_response(visit);
    case STEP_WAIT:
        wait_for_more(visit);
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
    note_progress(visit);
    return true;
}

static bool take_body(struct visit *visit, struct http_call *call)
{
    struct exchange *exchange = visit->exchange;

    if (exchange_step(exchange) == STEP_SEND && exchange_send(exchange, call->bytes, call->size)) {
        call->size = 0;
        note_progress(visit);
        return true;
    }
    switch (exchange_step(exchange)) {
    case STEP_WAIT:
    case STEP_SEND:
        wait_for_more(visit);
        return true;
    case STEP_ANSWER:
    case STEP_RESPOND:
        return detach(visit);
    case STEP_CUT:
    default:
        return false;
    }
}

static bool end_body(struct visit *visit)
{
    visit->phase = PHASE_END;
    if (exchange_step(visit->exchange) == STEP_SEND)
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
    struct request_head head = {.method = call->method, .target = visit->target, .version = call->version};
    struct request_facts facts = {.body = BODY_NONE};
    unsigned refusal;

    client_enter_request(visit->client);
    http_headers(&visit->http, &head);
    refusal = request_check(&head, &facts);
    if (refusal != 0) {
        answer_refusal(&visit->answer, refusal);
        return send_answer(visit, &visit->answer);
    }
    visit->phase = facts.body == BODY_NONE ? PHASE_END : PHASE_HEAD;
    if (!route_answer(visit->core, visit->client->front, call->method, &facts, &visit->answer))
        begin_exchange(visit, &head, &facts);
    /* Without a body the library calls again at once, and can then keep the connection. */
    return visit->phase == PHASE_END || take_head(visit);
}

bool visit_call(struct http_request *http, struct http_call *call)
{
    struct visit *visit = LIST_ENTRY(http, struct visit, http);

    assert(!visit->suspended);
    stop_waiting(visit);
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

    stop_waiting(visit);
    got = visit->broken ? EXCHANGE_FAILED : exchange_read(visit->exchange, bytes, size);
    if (got == EXCHANGE_BLOCKED) {
        wait_for_more(visit);
        return HTTP_WAIT;
    }
    note_progress(visit);
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

    note_progress(visit);
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

    visit->owner = (struct exchange_owner){.wake = wake, .cut = cut};
    visit->core = client->clients->core;
    visit->pace = pace;
    visit->client = client;
    visit->target = xstrdup(target);
    return &visit->http;
}

void visit_end(struct http_request *http)
{
    struct visit *visit = LIST_ENTRY(http, struct visit, http);

    stop_waiting(visit);
    if (visit->suspended)
        loop_remove(&visit->core->loop, &visit->gone);
    if (visit->phase == PHASE_END)
        client_leave_request(visit->client);
    note_progress(visit);
    exchange_free(visit->exchange);
    answer_clear(&visit->answer);
    free(visit->target);
    free(visit);
}
