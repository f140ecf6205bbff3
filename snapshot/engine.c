/* The engine's outside: a thread, a mailbox of orders, and a status that anyone may copy. */
#include "snapshot/engine_internal.h"

#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/standby_state.h"
#include "snapshot/store/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    WORKERS = 8,
    SERVING_RETRY_MS = 5000, /* for one request, while changes come in; after that all is begun again */
};

void engine_set_phase(struct engine *engine, enum engine_phase phase)
{
    MUTEX_GUARD(&engine->mutex);
    if (engine->status.phase == phase)
        return;
    engine->status.phase = phase;
    event_raise(engine->event_fd);
}

void engine_set_step(struct engine *engine, const char *format, ...)
{
    va_list args;

    MUTEX_GUARD(&engine->mutex);
    va_start(args, format);
    (void)vsnprintf(engine->status.step, sizeof(engine->status.step), format, args);
    va_end(args);
    event_raise(engine->event_fd);
}

void engine_warn(void *context, const char *text)
{
    struct engine *engine = context;
    struct engine_status *status = &engine->status;

    MUTEX_GUARD(&engine->mutex);
    if (status->warnings_count == ENGINE_WARNINGS_MAX)
        memmove(status->warnings, status->warnings + 1,
                --status->warnings_count * sizeof(status->warnings[0]));
    status->warnings_said++;
    (void)snprintf(status->warnings[status->warnings_count++], sizeof(status->warnings[0]), "%s", text);
    event_raise(engine->event_fd);
}

void engine_set_degraded(struct engine *engine, const struct err *why)
{
    MUTEX_GUARD(&engine->mutex);
    if (!why && !engine->status.degraded)
        return;
    engine->status.degraded = why != NULL;
    engine->status.err = why ? *why : (struct err){0};
    event_raise(engine->event_fd);
}

struct engine_orders engine_orders(struct engine *engine)
{
    MUTEX_GUARD(&engine->mutex);
    atomic_store(&engine->interrupted, false);
    return engine->orders;
}

bool engine_is_final(const struct engine *engine, const struct err *err)
{
    return err->code == ERR_FENCED ||
           (err->code == ERR_CANCELED && engine->canceled && atomic_load(engine->canceled));
}

int engine_event_fd(const struct engine *engine)
{
    return engine->event_fd;
}

uint64_t engine_position_now(void *context)
{
    struct engine *engine = context;
    struct follower *follower;

    mutex_locked(&engine->mutex);
    follower = engine->follower;
    pthread_mutex_unlock(&engine->mutex);
    return follower ? follower_position(follower) : 0;
}

uint64_t engine_durable_position(void *context)
{
    struct engine *engine = context;

    return atomic_load(&engine->shipper.durable);
}

void engine_watch_durable(struct engine *engine, int watch_fd)
{
    atomic_store(&engine->durable_watch_fd, watch_fd);
}

void engine_note_change(struct engine *engine)
{
    uint64_t position = engine_position_now(engine);

    MUTEX_GUARD(&engine->mutex);
    if (engine->oldest_change_ms == 0 && position > atomic_load(&engine->shipper.durable))
        engine->oldest_change_ms = clock_monotonic_ms();
}

void engine_note_durable(struct engine *engine)
{
    int fd = atomic_load(&engine->durable_watch_fd);
    uint64_t position = engine_position_now(engine);

    engine_note_left_out(engine);
    mutex_locked(&engine->mutex);
    /* What moved while the last record was made is younger than its beginning; now is the closest that is
     * known. */
    engine->oldest_change_ms = position > atomic_load(&engine->shipper.durable) ? clock_monotonic_ms() : 0;
    if (engine->shipper.lacks_ms > 0)
        engine->oldest_change_ms = engine->shipper.lacks_ms;
    engine->status.published = engine->shipper.log.newest.base.announced != 0;
    engine->given = engine->shipper.given;
    pthread_mutex_unlock(&engine->mutex);
    if (fd >= 0)
        event_raise(fd);
    event_raise(engine->event_fd);
}

/* Position first, durable second: a record that is confirmed between the two readings must not make the
 * difference negative. */
static void fill_positions(struct engine *engine, struct engine_status *status, uint64_t position)
{
    uint64_t durable = atomic_load(&engine->shipper.durable);
    uint64_t now_ms = clock_monotonic_ms();

    status->position = position > durable ? position : durable;
    status->durable_position = durable;
    status->record = atomic_load(&engine->shipper.sent_record);
    status->durable_record = atomic_load(&engine->shipper.confirmed_record);
    if (status->position == durable)
        engine->oldest_change_ms = 0;
    else if (engine->oldest_change_ms == 0)
        engine->oldest_change_ms = now_ms;
    status->has_changes = status->position > atomic_load(&engine->shipper.shipped);
    status->lag_ms = status->position != durable ? now_ms - engine->oldest_change_ms : 0;
    if (status->record < status->durable_record)
        status->record = status->durable_record;
}

void engine_status(struct engine *engine, struct engine_status *ret_status)
{
    uint64_t position = engine_position_now(engine);

    MUTEX_GUARD(&engine->mutex);
    if (engine->restore) {
        restore_progress(engine->restore, &engine->status.bytes_done, &engine->status.bytes_total);
        if (engine->status.bytes_total > 0)
            engine->status.progress = (double)engine->status.bytes_done / (double)engine->status.bytes_total;
    }
    fill_positions(engine, &engine->status, position);
    *ret_status = engine->status;
}

void engine_note_traffic(struct engine *engine)
{
    atomic_fetch_add_explicit(&engine->traffic, 1, memory_order_relaxed);
}

void engine_answered(struct engine *engine)
{
    MUTEX_GUARD(&engine->mutex);
    engine->orders.answered = true;
    event_raise(engine->order_fd);
}

void engine_drain(struct engine *engine, uint64_t budget_ms)
{
    MUTEX_GUARD(&engine->mutex);
    engine->orders.drain = true;
    engine->orders.drain_budget_ms = budget_ms;
    atomic_store(&engine->interrupted, true);
    event_raise(engine->order_fd);
}

void engine_flush(struct engine *engine, uint64_t budget_ms)
{
    MUTEX_GUARD(&engine->mutex);
    engine->orders.flush = true;
    engine->orders.flush_until_ms = clock_monotonic_ms() + budget_ms;
    atomic_store(&engine->given_up, true);
    atomic_store(&engine->interrupted, true);
    event_raise(engine->order_fd);
}

/* Inside, "absent" and "exists" are answers; an end that they caused is damage or a race that was lost. */
static enum err_code final_code(enum err_code code)
{
    if (code == ERR_NOT_FOUND)
        return ERR_CORRUPT;
    return code == ERR_CONFLICT ? ERR_TRANSIENT : code;
}

static void report_end(struct engine *engine, const struct err *err)
{
    enum engine_phase phase = !err ? ENGINE_DONE : err->code == ERR_FENCED ? ENGINE_FENCED : ENGINE_FAILED;
    struct engine_status status;

    engine_status(engine, &status);
    mutex_locked(&engine->mutex);
    if (err) {
        engine->status.err = *err;
        engine->status.err.code = final_code(err->code);
    }
    engine->status.unshipped_ms = status.lag_ms;
    pthread_mutex_unlock(&engine->mutex);
    engine_set_phase(engine, phase);
}

static void *engine_run(void *context)
{
    struct engine *engine = context;
    struct err err = {0};
    bool over = false;
    bool ran = engine_begin(engine, &over, &err);

    if (ran && !over) {
        engine_set_phase(engine, ENGINE_RESTORED);
        ran = engine_serve(engine, &err);
    }
    report_end(engine, ran ? NULL : &err);
    return NULL;
}

/* A mount point or its parent may be all that exists: one level is made. */
static bool open_data_directory(struct engine *engine, struct err *err)
{
    const char *path = engine->config.data_directory;

    engine->made_directory = mkdir(path, 0755) == 0;
    if (!engine->made_directory && errno != EEXIST) {
        (void)err_errno(err, "HOLDFAST_DATA_DIR (%s) can't be created; create it or correct the path", path);
        err->code = ERR_CONFIG;
        return false;
    }
    if (!fs_open_directory(AT_FDCWD, path, &engine->directory_fd, err)) {
        err->code = ERR_CONFIG;
        return err_wrap(err, "HOLDFAST_DATA_DIR is not a directory that can be read");
    }
    return standby_refuse(engine->directory_fd, err) &&
           state_lock(engine->directory_fd, &engine->made_folder, &engine->lock_fd, err);
}

/* A start that was refused leaves the directory as it found it. Once something was begun there is a state
 * file, and all of it stays. */
static void leave_no_trace(const struct engine *engine)
{
    if (engine->owns_log)
        return;
    if (engine->made_folder)
        state_remove_folder(engine->directory_fd);
    if (engine->made_directory)
        (void)rmdir(engine->config.data_directory);
}

static bool prepare(struct engine *engine, struct err *err)
{
    if (!globs_parse(engine->config.exclude, &engine->exclude, err))
        return err_wrap(err, "HOLDFAST_EXCLUDE");
    if (!globs_parse(engine->config.databases, &engine->databases, err))
        return err_wrap(err, "HOLDFAST_DATABASES");
    if (!event_open(&engine->event_fd, err) || !event_open(&engine->order_fd, err))
        return false;
    if (!open_data_directory(engine, err) || !pool_open(WORKERS, "store", &engine->pool, err))
        return false;
    engine->patient = store_retry(engine->config.store, engine->config.start_timeout_ms, &engine->given_up);
    engine->serving =
        store_retry(engine->config.store,
                    engine->config.start_timeout_ms < SERVING_RETRY_MS ? engine->config.start_timeout_ms
                                                                       : SERVING_RETRY_MS,
                    &engine->interrupted);
    return true;
}

bool engine_open(const struct engine_config *config, const atomic_bool *canceled, struct engine **ret_engine,
                 struct err *err)
{
    struct engine *engine = xcalloc(1, sizeof(*engine));

    *engine = (struct engine){.config = *config,
                              .canceled = canceled,
                              .directory_fd = -1,
                              .lock_fd = -1,
                              .event_fd = -1,
                              .order_fd = -1,
                              .durable_watch_fd = -1};
    pthread_mutex_init(&engine->mutex, NULL);
    if (!prepare(engine, err) || !thread_start(&engine->thread, "engine", engine_run, engine, err)) {
        engine_free(engine);
        return false;
    }
    engine->started = true;
    *ret_engine = engine;
    return true;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    if (engine->canceled && atomic_load(engine->canceled)) {
        atomic_store(&engine->given_up, true);
        atomic_store(&engine->interrupted, true);
        if (engine->order_fd >= 0)
            event_raise(engine->order_fd);
    }
    if (engine->started)
        pthread_join(engine->thread, NULL);
    if (engine->owns_log)
        shipper_clear(&engine->shipper);
    follower_free(engine->follower);
    pool_free(engine->pool);
    store_free(engine->serving);
    store_free(engine->patient);
    globs_free(engine->exclude);
    globs_free(engine->databases);
    leave_no_trace(engine);
    close_fdp(&engine->lock_fd);
    close_fdp(&engine->directory_fd);
    close_fdp(&engine->event_fd);
    close_fdp(&engine->order_fd);
    pthread_mutex_destroy(&engine->mutex);
    free(engine->left_out);
    free(engine);
}
