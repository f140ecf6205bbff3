/* Waiting. A request that waits for the backend is *parked*: it says nothing, the library keeps the
 * connection in its ready list and calls again at every http_run(), which happens only when something is new.
 * That costs nothing for an answer that comes within milliseconds. Suspending, the documented way, costs two
 * epoll_ctl and one useless read for each request, and each resumption walks the list of all that are
 * suspended. So only what waits for longer is suspended. The library does not look at the socket of a
 * suspended request: we do, for a client that goes away. */
#include "proxy/visit_internal.h"

#include "proxy/linger.h"

#include <fcntl.h>

/* Each run of the library calls all that are parked: cheap, compared with four epoll_ctl for each that isn't.
 */
enum { PARKED_MAX = 256 };

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

/* Before the request is complete the library would not call again for what it has read already, so there is
 * no parking then; nor for what waits long anyway. */
void visit_wait(struct visit *visit)
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

void visit_stop_waiting(struct visit *visit)
{
    if (visit->parked)
        visit->pace->parked--;
    visit->parked = false;
}

void visit_note_progress(struct visit *visit)
{
    visit->waiting_since_ms = 0;
    visit->pace->progress = true;
}

/* True while the library waits for more of the request's body, and calls for nothing else. */
static bool is_reading(const struct visit *visit)
{
    return visit->phase == PHASE_BODY && !visit->suspended;
}

/* The answer was given by hand: the connection is at its end. */
static void reply_done(void *context)
{
    struct visit *visit = context;
    int fd = -1;

    visit->broken = true;
    if (is_reading(visit) && http_take_socket(&visit->http, &fd)) {
        visit->client->taken = true;
        linger_begin(visit->core, fd);
    }
    resume(visit);
}

bool visit_begin_reply(struct visit *visit)
{
    int fd = fcntl(visit->client->fd, F_DUPFD_CLOEXEC, 0);

    if (fd >= 0)
        visit->reply = reply_begin(fd, visit->exchange, reply_done, visit);
    return visit->reply != NULL;
}

bool visit_has_answer(const struct visit *visit)
{
    enum exchange_step step = exchange_step(visit->exchange);

    return step == STEP_ANSWER || step == STEP_RESPOND;
}

static void wake(struct exchange_owner *owner)
{
    struct visit *visit = LIST_ENTRY(owner, struct visit, owner);

    if (visit->reply)
        reply_pump(visit->reply);
    else if (is_reading(visit) && visit_has_answer(visit) && !visit_begin_reply(visit))
        cut(owner);
    resume(visit);
}

struct exchange_owner visit_owner(void)
{
    return (struct exchange_owner){.wake = wake, .cut = cut};
}
