/* From serving to the exit code. The shares of HOLDFAST_SHUTDOWN_TIMEOUT begin with the stop; a child that
 * ends by itself leaves all of it to the flush. */
#include "sidecar/run.h"

#include "base/clock.h"
#include "base/log.h"
#include "sidecar/run_state.h"

#include <signal.h>
#include <string.h>

enum {
    KILL_LIMIT_MS = 5000, /* a killed process that doesn't go is stuck in the kernel, and would be for ever */
    SWEEP_LIMIT_MS = 1000, /* for what it left behind */
    FLUSH_GRACE_MS = 2000  /* the engine keeps to its budget; this bounds the wait if it doesn't */
};

void run_serve(struct run *run)
{
    run_move(run, LIFE_SERVE);
    run_begin_drill(run);
    while (!run_is_over(run))
        run_attend(run, EVENTS_NO_DEADLINE);
}

/* True if the child should still be waited for. */
static bool is_running(const struct run *run)
{
    return !run->child.ended && !run->outcome.fenced;
}

static void drain_requests(struct run *run)
{
    uint64_t deadline_ms = life_drain_deadline(&run->budget);

    engine_drain(run->engine, run->budget.total_ms);
    proxy_drain(run->proxy, run->budget.total_ms / 5);
    while (is_running(run) && !atomic_load(&run->drained) && run->stops <= 1 &&
           clock_monotonic_ms() < deadline_ms)
        run_attend(run, deadline_ms);
    if (run->stops > 1)
        proxy_drain(run->proxy, 0);
}

static void stop_child(struct run *run)
{
    uint64_t deadline_ms = life_child_deadline(&run->budget, clock_monotonic_ms());

    child_signal(&run->child, run->config->stop_signal);
    while (is_running(run) && clock_monotonic_ms() < deadline_ms)
        run_attend(run, deadline_ms);
    if (!is_running(run))
        return;
    log_warning("the command is still there %.1f s after SIG%s: it is killed",
                (double)run->budget.total_ms * 0.4 / 1000, sigabbrev_np(run->config->stop_signal));
    run->outcome.killed = true;
    child_kill(&run->child);
}

/* Nobody may write to the data directory any more. */
static void bury_child(struct run *run)
{
    uint64_t deadline_ms = clock_monotonic_ms() + KILL_LIMIT_MS;

    while (!run->child.ended && clock_monotonic_ms() < deadline_ms)
        run_attend(run, deadline_ms);
    if (!child_sweep(&run->child, SWEEP_LIMIT_MS))
        log_warning("processes of the command don't end although they were killed");
    run->outcome.child_exit_code = run->child.exit_code;
}

void run_drain(struct run *run)
{
    run->budget =
        (struct life_budget){.begin_ms = clock_monotonic_ms(), .total_ms = run->config->shutdown_timeout_ms};
    drill_cancel(run->drill);
    if (!run->outcome.launched)
        return;
    if (is_running(run)) {
        run_move(run, LIFE_DRAIN);
        drain_requests(run);
    }
    if (is_running(run))
        stop_child(run);
    bury_child(run);
}

static void tell_flushed(const struct run *run)
{
    const struct engine_status *status = &run->engine_status;

    if (status->phase == ENGINE_DONE && !run->has_served)
        log_info(
            "the backend never answered, so nothing of this run is shipped; the log is closed at record %llu",
            (unsigned long long)status->durable_record);
    else if (status->phase == ENGINE_DONE)
        log_info("everything is shipped, the log is closed at record %llu",
                 (unsigned long long)status->durable_record);
    else if (status->phase == ENGINE_FAILED && status->unshipped_ms == 0)
        log_error("not everything was shipped: %s", status->err.text);
    else if (status->phase == ENGINE_FAILED)
        log_error("not everything was shipped, the oldest change that is missing is %.1f s old: %s",
                  (double)status->unshipped_ms / 1000, status->err.text);
    else if (status->phase != ENGINE_FENCED)
        log_error(
            "the time of HOLDFAST_SHUTDOWN_TIMEOUT is over and not everything was shipped; the oldest change "
            "that is "
            "missing is %.1f s old",
            (double)status->lag_ms / 1000);
}

static bool is_settled(const struct run *run)
{
    enum engine_phase phase = run->engine_status.phase;

    return phase == ENGINE_DONE || phase == ENGINE_FAILED || phase == ENGINE_FENCED;
}

static void await_end(struct run *run, uint64_t deadline_ms)
{
    while (!is_settled(run) && clock_monotonic_ms() < deadline_ms)
        run_attend(run, deadline_ms);
}

/* A stop that came during the restore. The log may be ours already, and wants its close. */
static void end_start(struct run *run, uint64_t budget_ms, uint64_t deadline_ms)
{
    const struct engine_status *status = &run->engine_status;

    if (!run->engine || run->stops == 0 || is_settled(run))
        return;
    engine_flush(run->engine, budget_ms);
    await_end(run, deadline_ms);
    if (status->phase == ENGINE_DONE)
        log_info("stopped during the restore");
    else if (status->phase != ENGINE_FENCED)
        log_warning("stopped during the restore, and the log could not be closed: %s",
                    status->phase == ENGINE_FAILED ? status->err.text : "there was no more time");
}

void run_flush(struct run *run)
{
    uint64_t now_ms = clock_monotonic_ms(), budget_ms = life_flush_ms(&run->budget, now_ms);
    uint64_t deadline_ms = now_ms + budget_ms + FLUSH_GRACE_MS;

    if (run->outcome.fenced)
        return;
    if (run->state < LIFE_LAUNCH) {
        end_start(run, budget_ms, deadline_ms);
        return;
    }
    run_move(run, LIFE_FLUSH);
    if (!is_settled(run))
        engine_flush(run->engine, budget_ms);
    await_end(run, deadline_ms);
    run->outcome.shipped = run->engine_status.phase == ENGINE_DONE;
    tell_flushed(run);
}

int run_exit_code(struct run *run)
{
    int code = life_exit_code(&run->outcome);

    run_move(run, LIFE_EXIT);
    log_debug("exit code %d", code);
    return code;
}
