#include "tests/double/engine_process.h"

#include "base/clock.h"
#include "base/thread.h"
#include "snapshot/store/config.h"

#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIMIT_MS = 20000, FLUSH_MS = 5000 };

static atomic_bool canceled;

void engine_process_init(struct engine_process *process, const struct writer *writer,
                         const char *data_directory, const char *store_directory)
{
    *process = (struct engine_process){
        .writer = writer,
        .store_directory = store_directory,
        .config = {.data_directory = data_directory,
                   .exclude = "tmp",
                   .databases = "*",
                   .version = "test",
                   .sync_interval_ms = 20,
                   .start_timeout_ms = 5000,
                   .snapshot_interval_ms = 24 * 3600 * 1000,
                   .restore_budget_ms = 10000,
                   .spool_max_bytes = 64 << 20},
    };
    process->board =
        mmap(NULL, sizeof(*process->board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (process->board == MAP_FAILED)
        abort();
}

struct store *engine_process_store(const struct engine_process *process)
{
    struct store_config config = {.kind = STORE_DIRECTORY,
                                  .directory = (char *)(uintptr_t)process->store_directory};
    struct store *store = NULL;
    struct err err = {0};

    if (!store_open(&config, &canceled, NULL, &store, &err)) {
        printf("# %s\n", err.text);
        abort();
    }
    return store;
}

/* The engine's process. */

struct pledge {
    int64_t value;
    int64_t files;
    uint64_t position;
};

/* What was acknowledged is read first, the position after it: so the position covers it. */
static void follow(const struct engine_process *process, struct engine *engine, struct pledge *pledge)
{
    struct engine_board *board = process->board;

    if (engine_durable_position(engine) < pledge->position)
        return;
    atomic_store(&board->durable_value, pledge->value);
    atomic_store(&board->durable_files, pledge->files);
    pledge->value =
        atomic_load(&board->value_before) + (int64_t)atomic_load(&process->writer->stats->commits);
    pledge->files = atomic_load(&board->files_written);
    pledge->position = engine_position_now(engine);
}

static void obey(struct engine *engine, int order)
{
    if (order == ORDER_ANSWERED)
        engine_answered(engine);
    else if (order == ORDER_FLUSH)
        engine_flush(engine, FLUSH_MS);
}

static void attend(const struct engine_process *process, struct engine *engine)
{
    struct engine_board *board = process->board;
    struct pledge pledge = {atomic_load(&board->durable_value), atomic_load(&board->durable_files), 0};
    struct engine_status status;
    int obeyed = ORDER_NONE;

    do {
        int order = atomic_load(&board->order);
        if (order != obeyed)
            obey(engine, order);
        obeyed = order;
        if (order != ORDER_NONE)
            follow(process, engine, &pledge);
        engine_status(engine, &status);
        (void)snprintf(board->error, sizeof(board->error), "%.250s", status.err.text);
        atomic_store(&board->phase, status.phase);
        (void)event_wait(engine_event_fd(engine), 2);
    } while (status.phase < ENGINE_DONE);
    follow(process, engine, &pledge);
}

static void run(const struct engine_process *process)
{
    struct engine_config config = process->config;
    struct store *store = engine_process_store(process);
    struct engine *engine = NULL;
    struct err err = {0};

    config.store = store;
    if (engine_open(&config, &canceled, &engine, &err)) {
        attend(process, engine);
    } else {
        (void)snprintf(process->board->error, sizeof(process->board->error), "%.250s", err.text);
        atomic_store(&process->board->phase, ENGINE_FAILED);
    }
    engine_free(engine);
    store_free(store);
    _exit(0);
}

/* The test's process. */

void engine_process_start(struct engine_process *process)
{
    atomic_store(&process->board->phase, ENGINE_STARTING);
    atomic_store(&process->board->order, ORDER_NONE);
    (void)fflush(stdout);
    process->pid = fork();
    if (process->pid < 0)
        abort();
    if (process->pid == 0)
        run(process);
}

bool engine_process_await(const struct engine_process *process, enum engine_phase phase)
{
    const struct engine_board *board = process->board;
    uint64_t limit_ms = clock_monotonic_ms() + LIMIT_MS;
    int found;

    while (atomic_load(&board->phase) < (int)phase && clock_monotonic_ms() < limit_ms)
        (void)poll(NULL, 0, 1);
    found = atomic_load(&board->phase);
    if (found >= (int)phase && found <= ENGINE_DONE)
        return true;
    printf("# phase %d: %s\n", found, board->error);
    return false;
}

void engine_process_kill(struct engine_process *process)
{
    assert(process->pid > 0); /* -1 would be everybody */
    (void)kill(process->pid, SIGKILL);
    engine_process_wait(process);
}

void engine_process_wait(struct engine_process *process)
{
    (void)waitpid(process->pid, NULL, 0);
    process->pid = -1;
}
