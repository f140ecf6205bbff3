/* The seam between the run and the proxy: the status that the gate and /_holdfast/ready look at, and what it
 * tells. The functions down to run_open_front() are called by the proxy's thread. */
#include "sidecar/run_state.h"

#include "base/clock.h"
#include "base/thread.h"

#include <assert.h>
#include <string.h>

static_assert((int)LIFE_LISTEN == (int)PROXY_LISTEN && (int)LIFE_SERVE == (int)PROXY_SERVE &&
                  (int)LIFE_FENCED == (int)PROXY_FENCED && (int)LIFE_EXIT == (int)PROXY_STATES,
              "the proxy's states are the life's without its end");

static void give_status(void *context, struct proxy_status *ret_status)
{
    struct run *run = context;

    MUTEX_GUARD(&run->mutex);
    *ret_status = run->board;
}

static void note_answered(void *context)
{
    struct run *run = context;

    atomic_store(&run->answered, true);
    event_raise(run->news_fd);
}

static void note_forwarded(void *context)
{
    struct run *run = context;

    engine_note_traffic(run->engine);
}

static void note_drained(void *context)
{
    struct run *run = context;

    atomic_store(&run->drained, true);
    event_raise(run->news_fd);
}

static uint64_t position_now(void *context)
{
    struct run *run = context;

    return engine_position_now(run->engine);
}

bool run_open_front(struct run *run, struct err *err)
{
    const struct config *config = run->config;
    struct proxy_config front = {
        .fronts = {{.address = config->listen, .variable = "HOLDFAST_LISTEN", .prefix = ""},
                   {.address = config->site_listen,
                    .variable = "HOLDFAST_SITE_LISTEN",
                    .prefix = config->site_prefix}},
        .fronts_count = config->site_listen.size > 0 ? 2 : 1,
        .admin = config->admin_listen,
        .admin_variable = "HOLDFAST_ADMIN_LISTEN",
        .upstream = config->upstream,
        .health_path = config->health_path,
        .drain_allow = config->drain_allow,
        .trust_forwarded = config->trust_forwarded,
        .hold_timeout_ms = config->hold_timeout_ms,
        .durability = {.gated = config->durability == DURABILITY_SYNC,
                       .position_now = position_now,
                       .context = run},
        .context = run,
        .status = give_status,
        .admin_answer = run_answer_admin,
        .forwarded = note_forwarded,
        .answered = note_answered,
        .drained = note_drained,
    };

    return proxy_open(&front, &run->proxy, err);
}

static const char *reason(const struct run *run)
{
    static const char *const reasons[LIFE_STATES] = {
        [LIFE_LISTEN] = "starting",
        [LIFE_LAUNCH] = "the backend has not answered yet",
        [LIFE_SERVE] = "",
        [LIFE_DRAIN] = "shutting down",
        [LIFE_FLUSH] = "shutting down: shipping what is left",
        [LIFE_FENCED] = "another container has taken over",
        [LIFE_EXIT] = "ended",
    };

    if (run->start_failed)
        return run->refusal.text;
    return run->state == LIFE_RESTORE ? run->engine_status.step : reasons[run->state];
}

void run_show(struct run *run)
{
    mutex_locked(&run->mutex);
    if (run->state < LIFE_EXIT) /* the proxy's states end before: it shows the last one until it is freed */
        run->board.state = (enum proxy_state)run->state;
    run->board_state = run->state;
    run->board.progress = run->state == LIFE_RESTORE ? run->engine_status.progress : run->state == LIFE_SERVE;
    run->board.failed = run->start_failed;
    run->board.exit_code = run->start_failed ? life_exit_code(&run->outcome) : 0;
    run->board.degraded = run->config->durability == DURABILITY_SYNC && run->engine_status.degraded;
    (void)snprintf(run->board.reason, sizeof(run->board.reason), "%s", reason(run));
    pthread_mutex_unlock(&run->mutex);
    if (run->proxy)
        proxy_wake(run->proxy);
}

void run_refuse_clients(struct run *run, const struct err *refusal)
{
    run->start_failed = true;
    run->refusal = *refusal;
    run_show(run);
}

/* Who asks whether we are ready every 50 ms, as a Worker does, comes by at least twice in this time. */
enum { TELLING_MS = 150, LAST_ANSWERS_MS = 100 };

void run_tell_clients(struct run *run)
{
    uint64_t end_ms = clock_monotonic_ms() + TELLING_MS;

    assert(run->start_failed);
    if (!run->is_answering)
        return;
    while (run->stops == 0 && clock_monotonic_ms() < end_ms)
        run_attend(run, end_ms);
    proxy_drain(run->proxy, LAST_ANSWERS_MS);
    end_ms = clock_monotonic_ms() + LAST_ANSWERS_MS;
    while (!atomic_load(&run->drained) && clock_monotonic_ms() < end_ms)
        run_attend(run, end_ms);
}
