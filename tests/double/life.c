#include "tests/double/life.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/thread.h"
#include "snapshot/engine_internal.h"
#include "tests/double/sample.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FLUSH_MS = 5000 };

void life_set_up(struct life *life)
{
    *life = (struct life){.mem = store_mem_new()};
    life->faulty = store_fault_new(life->mem);
    scratch_open(&life->disk);
    life->config = (struct engine_config){
        .store = life->faulty,
        .data_directory = life->disk.path,
        .exclude = "tmp",
        .databases = "*",
        .version = "test",
        .sync_interval_ms = 50,
        .retention_ms = 60000,
        .snapshot_interval_ms = 24 * 3600 * 1000,
        .restore_budget_ms = 10000,
        .spool_max_bytes = 64 << 20,
        .start_timeout_ms = 2000,
        .takeover_wait_ms = 300,
    };
}

void life_tear_down(struct life *life)
{
    life_cut_off(life);
    scratch_close(&life->disk);
    store_free(life->faulty);
    store_free(life->mem);
}

bool life_await(struct life *life, bool (*wanted)(const struct engine_status *status))
{
    uint64_t limit_ms = clock_monotonic_ms() + LIFE_LIMIT_MS;
    const struct engine_status *status = &life->status;

    do {
        engine_status(life->engine, &life->status);
        if (wanted(status))
            return true;
        (void)event_wait(engine_event_fd(life->engine), 20);
    } while (clock_monotonic_ms() < limit_ms);
    printf("# phase %d, step %s, position %llu of %llu, error %s\n", (int)status->phase, status->step,
           (unsigned long long)status->durable_position, (unsigned long long)status->position,
           status->err.text);
    return false;
}

bool life_is_ready(const struct engine_status *status)
{
    return status->phase != ENGINE_STARTING;
}

bool life_is_durable(const struct engine_status *status)
{
    return status->phase == ENGINE_SERVING && status->published && !status->has_changes && !status->degraded;
}

bool life_is_over(const struct engine_status *status)
{
    return status->phase >= ENGINE_DONE;
}

bool life_try_begin(struct life *life)
{
    life->status = (struct engine_status){0};
    atomic_store(&life->canceled, false);
    if (!engine_open(&life->config, &life->canceled, &life->engine, &life->status.err))
        return false;
    return life_await(life, life_is_ready) && life->status.phase == ENGINE_RESTORED;
}

bool life_begin(struct life *life)
{
    if (life_try_begin(life))
        return true;
    printf("# %s\n", life->status.err.text);
    return false;
}

bool life_settle(struct life *life)
{
    return life_await(life, life_is_durable);
}

enum engine_phase life_end(struct life *life)
{
    engine_flush(life->engine, FLUSH_MS);
    (void)life_await(life, life_is_over);
    if (life->status.phase != ENGINE_DONE)
        printf("# ended with %s\n", life->status.err.text);
    engine_free(MOVE(life->engine));
    return life->status.phase;
}

void life_cut_off(struct life *life)
{
    atomic_store(&life->canceled, true);
    if (life->engine) /* first, or what was held would come to a good end */
        atomic_store(&life->engine->given_up, true);
    store_fault_release(life->faulty);
    engine_free(MOVE(life->engine));
}

void life_wipe(struct life *life)
{
    struct err err = {0};

    if (!fs_remove_tree(AT_FDCWD, life->disk.path, &err) || mkdir(life->disk.path, 0755) != 0)
        abort();
    (void)close(life->disk.fd);
    life->disk.fd = open(life->disk.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool life_commit(struct life *life, uint64_t commits)
{
    struct writer *writer = &life->writer;
    struct writer_plan plan = {.bytes = 500};
    bool committed;

    (void)snprintf(plan.paths[0], sizeof(plan.paths[0]), "%s/db.sqlite3", life->disk.path);
    plan.commits_max = commits;
    /* It ends by itself after so many. */
    committed = writer_start(writer, &plan) &&
                (writer_wait(writer, UINT32_MAX) || atomic_load(&writer->stats->commits) == commits);
    committed = writer_stop(writer) && committed;
    if (!committed)
        printf("# the application failed: SQLite says %lld\n", (long long)writer->stats->failed);
    return committed;
}

int64_t life_value(const char *directory)
{
    CLEANUP(freep) char *path = xasprintf("%s/db.sqlite3", directory);

    struct sample_state state;

    if (!sample_exists(path))
        return 0;
    state = sample_read(path);
    return state.is_sound && state.a < 0 && state.rows <= 0 ? 0 : sample_value(path);
}
