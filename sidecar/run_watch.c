/* The one place where the main thread waits. Whatever the chapter, signals are forwarded, orphans are reaped,
 * news of the engine reach the log and the front, and a takeover by another container ends the child at once.
 */
#include "sidecar/run_state.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

void run_move(struct run *run, enum life_state to)
{
    log_debug("%s, after %s", life_state_name(to), life_state_name(run->state));
    life_move(&run->state, to);
    run_show(run);
}

static void take_signal(struct run *run, int signal)
{
    switch (signal) {
    case SIGTERM:
    case SIGINT:
        run->stops++;
        log_info("SIG%s: %s", sigabbrev_np(signal),
                 run->stops == 1 ? "stopping" : "stopping sooner; what is committed is still shipped");
        break;
    case SIGHUP:
    case SIGUSR1:
    case SIGUSR2:
    case SIGQUIT:
    case SIGWINCH:
        child_signal(&run->child, signal);
        break;
    default:
        break; /* SIGPIPE, SIGTTOU and their like: the call that caused it tells */
    }
}

/* From anywhere: nothing of ours may reach the outside any more, not even through the child's own
 * connections. */
static void fence(struct run *run)
{
    child_kill(&run->child);
    run->outcome.fenced = true;
    if (!run->outcome.launched)
        run_refuse_clients(run, &run->engine_status.err);
    run_move(run, LIFE_FENCED);
    proxy_fence(run->proxy);
    log_error("another container has taken over, this one stops: %s", run->engine_status.err.text);
}

static void tell_warnings(struct run *run)
{
    const struct engine_status *status = &run->engine_status;

    for (size_t at = 0; at < status->warnings_count; at++)
        if (status->warnings_said - status->warnings_count + at >= run->warnings_told)
            log_warning("%s", status->warnings[at]);
    run->warnings_told = status->warnings_said;
    if (status->degraded == run->degraded_told || status->phase == ENGINE_FENCED)
        return;
    run->degraded_told = status->degraded;
    if (status->degraded)
        log_warning("changes wait here and are not in the store: %s", status->err.text);
    else
        log_info("changes reach the store again");
}

void run_look(struct run *run)
{
    engine_status(run->engine, &run->engine_status);
    tell_warnings(run);
    if (run->engine_status.phase == ENGINE_FENCED && !run->outcome.fenced)
        fence(run);
    run_show(run);
}

static void take_child_news(struct run *run)
{
    bool ended_before = run->child.ended;

    if (child_reap(&run->child) && !ended_before)
        log_info("the command has ended with code %d", run->child.exit_code);
}

void run_attend(struct run *run, uint64_t deadline_ms)
{
    struct event event = events_wait(&run->events, deadline_ms);

    switch (event.kind) {
    case EVENT_SIGNAL:
        take_signal(run, event.signal);
        break;
    case EVENT_CHILD:
        take_child_news(run);
        break;
    case EVENT_ENGINE:
        run_look(run);
        break;
    case EVENT_TIME:
    case EVENT_PROXY: /* what it has to say stands in run->answered and run->drained */
    case EVENT_KINDS:
        break;
    }
}

bool run_is_over(const struct run *run)
{
    return run->stops > 0 || run->child.ended || run->engine_status.phase == ENGINE_FAILED ||
           run->engine_status.phase == ENGINE_FENCED;
}
