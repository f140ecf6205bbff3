/* From the first bind to a backend that answers.
 *
 * The order is the design's. The ports are bound before the store is opened, since opening it loads
 * certificates and libraries and a platform's port probe doesn't wait; the proxy's thread starts after, since
 * libcurl and its like want to be initialised before there are threads. Clients that connect in between wait
 * in the backlog for some milliseconds. */
#include "sidecar/run.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "sidecar/run_state.h"
#include "sidecar/shim.h"
#include "sidecar/versions.h"

#include <assert.h>
#include <inttypes.h>

struct run *run_new(const struct config *config, char *const *environment, char *const *command)
{
    struct run *run = xcalloc(1, sizeof(*run));

    assert(command[0]);
    run->config = config;
    run->command = command;
    run->environment = environment;
    run->child_environment = child_environment(environment, config);
    run->child = (struct child)CHILD_INIT;
    run->events = (struct events)EVENTS_INIT;
    run->news_fd = -1;
    run->begin_ms = clock_monotonic_ms();
    pthread_mutex_init(&run->mutex, NULL);
    run_show(run);
    return run;
}

void run_free(struct run *run)
{
    if (!run)
        return;
    proxy_free(run->proxy); /* its thread looks at all the rest */
    atomic_store(&run->canceled, true);
    run_close_drill(run);
    engine_free(run->engine);
    store_free(run->store);
    child_clear(&run->child);
    events_clear(&run->events);
    close_fdp(&run->news_fd);
    pthread_mutex_destroy(&run->mutex);
    free(run->child_environment);
    free(run->program);
    free(run);
}

/* The life ends before the child was launched. */
static bool refuse(struct run *run, const struct err *err, int exit_code)
{
    if (err->code == ERR_FENCED)
        run->outcome.fenced = true;
    if (err->code != ERR_CANCELED)
        log_error("%s", err->text);
    run->outcome.refusal = exit_code;
    run_refuse_clients(run, err);
    run_tell_clients(run);
    return false;
}

static bool open_store(struct run *run, struct err *err)
{
    run->observer = counters_observer(&run->counters);
    return store_open(&run->config->store, &run->canceled, &run->observer, &run->store, err);
}

static bool open_engine(struct run *run, struct err *err)
{
    const struct config *config = run->config;
    struct engine_config engine = {
        .store = run->store,
        .data_directory = config->data_directory,
        .exclude = config->exclude,
        .databases = config->databases,
        .version = VERSION_TEXT,
        .sync_interval_ms = config->sync_interval_ms,
        .snapshot_interval_ms = config->snapshot_interval_ms,
        .restore_budget_ms = config->restore_budget_ms,
        .spool_max_bytes = config->spool_max_bytes,
        .retention_ms = config->retention_ms,
        .restore_at = config->restore_at,
        .start_timeout_ms = config->start_timeout_ms,
        .takeover_wait_ms = config->takeover_wait_ms,
        .duel_wait_ms = config->duel_wait_ms,
        .adopt = (enum engine_adopt)config->adopt,
        .predecessor = (enum engine_predecessor)config->predecessor,
        .unsafe_no_fencing = config->unsafe_no_fencing,
        .durable_before_gate = config->durability == DURABILITY_SYNC,
    };

    if (!engine_open(&engine, &run->canceled, &run->engine, err))
        return false;
    events_watch(&run->events, EVENT_ENGINE, engine_event_fd(run->engine));
    return true;
}

static bool open_events(struct run *run, struct err *err)
{
    if (!events_open(&run->events, err) || !event_open(&run->news_fd, err) || !child_adopt_orphans(err))
        return false;
    events_watch(&run->events, EVENT_PROXY, run->news_fd);
    return true;
}

/* The Convex shim is told where the backend is to listen, which no other command learns. */
static void prepare_shim(struct run *run)
{
    if (!shim_is_program(run->program))
        return;
    free(run->child_environment);
    run->child_environment = shim_environment(run->environment, run->config);
}

/* What a start needs beside its ports. *ret_code: what the process returns if it can't be had. */
static bool open_behind_front(struct run *run, int *ret_code, struct err *err)
{
    if (!child_find(run->command[0], run->child_environment, &run->program, err)) {
        *ret_code = life_command_exit_code(err);
        return false;
    }
    prepare_shim(run);
    if (open_store(run, err) && run_open_drill(run, err) && open_engine(run, err))
        return true;
    *ret_code = life_error_exit_code(err);
    return false;
}

bool run_listen(struct run *run)
{
    struct err err = {0}, unheard = {0};
    char address[ADDRESS_TEXT_SIZE];
    int code = EXIT_OK;
    bool opened;

    if (!open_events(run, &err) || !run_open_front(run, &err))
        return refuse(run, &err, life_error_exit_code(&err));
    opened = open_behind_front(run, &code, &err);
    /* Even if something is missing: clients want to know what. */
    run->is_answering = proxy_start(run->proxy, opened ? &err : &unheard);
    if (!opened)
        return refuse(run, &err, code);
    if (!run->is_answering)
        return refuse(run, &err, life_error_exit_code(&err));
    address_format(&run->config->listen, address);
    log_info("holdfast %s listens on %s and keeps %s in %s", VERSION_TEXT, address,
             run->config->data_directory, run->config->store_url);
    return true;
}

static void tell_roll_back(const struct engine_status *status)
{
    switch (status->roll_back) {
    case ROLL_BACK_NONE:
        break;
    case ROLL_BACK_DONE:
        log_info("rolled back to record %" PRIu64
                 ", as HOLDFAST_RESTORE_AT says; what came after it is "
                 "superseded by record %" PRIu64 " and stays restorable for HOLDFAST_RETENTION",
                 status->taken_from, status->durable_record);
        break;
    case ROLL_BACK_EARLIER:
        log_info("HOLDFAST_RESTORE_AT was carried out by an earlier start: nothing is rolled back");
        break;
    }
}

static void tell_restored(const struct run *run)
{
    const struct engine_status *status = &run->engine_status;
    char size[16];

    progress_format_bytes(status->restored_bytes, size);
    if (status->restored_bytes > 0)
        log_info("restored %s in %.2f s", size, (double)status->restore_ms / 1000);
    else
        log_info("nothing to fetch, ready after %.2f s",
                 (double)(clock_monotonic_ms() - run->begin_ms) / 1000);
    tell_roll_back(status);
}

/* The engine gives no news of every byte, so its status is asked for when the next look is due. */
static void watch_restore(struct run *run)
{
    uint64_t interval_ms = run->progress.is_terminal ? PROGRESS_BAR_MS : PROGRESS_LINE_MS;

    run_attend(run, clock_monotonic_ms() + interval_ms);
    run_look(run);
    if (run->engine_status.bytes_total > 0)
        progress_report(&run->progress, run->engine_status.bytes_done, run->engine_status.bytes_total);
}

bool run_restore(struct run *run)
{
    struct err canceled = {.code = ERR_CANCELED, .text = "shutting down before the restore is complete"};

    run_move(run, LIFE_RESTORE);
    progress_begin(&run->progress, "restoring");
    while (!run_is_over(run) && run->engine_status.phase == ENGINE_STARTING)
        watch_restore(run);
    progress_end(&run->progress);
    if (run->outcome.fenced) {
        run_tell_clients(run);
        return false;
    }
    if (run->engine_status.phase == ENGINE_FAILED)
        return refuse(run, &run->engine_status.err, life_error_exit_code(&run->engine_status.err));
    if (run->stops > 0)
        return refuse(run, &canceled, EXIT_OK);
    tell_restored(run);
    return true;
}

bool run_launch(struct run *run)
{
    struct err err = {0};
    uint64_t begin_ms = clock_monotonic_ms();

    run_move(run, LIFE_LAUNCH);
    if (!child_start(&run->child, run->program, run->command, run->child_environment, &err))
        return refuse(run, &err, life_command_exit_code(&err));
    run->outcome.launched = true;
    log_info("launched %s as process %d", run->program, (int)run->child.pid);
    proxy_health_begin(run->proxy);
    while (!run_is_over(run) && !atomic_load(&run->answered))
        run_attend(run, EVENTS_NO_DEADLINE);
    if (run_is_over(run))
        return false;
    log_info("the backend answers after %.2f s, serving", (double)(clock_monotonic_ms() - begin_ms) / 1000);
    engine_answered(run->engine);
    run->has_served = true;
    return true;
}
