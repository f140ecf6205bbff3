/* An engine in a process of its own, over a store in a directory, that a test may kill at any instant. It
 * keeps an oracle on a board that both share: what an application had acknowledged before a position was
 * taken that later was durable. */
#ifndef TESTS_DOUBLE_ENGINE_PROCESS_H
#define TESTS_DOUBLE_ENGINE_PROCESS_H

#include "snapshot/engine.h"
#include "tests/double/writer.h"

#include <sys/types.h>

enum engine_order { ORDER_NONE, ORDER_ANSWERED, ORDER_FLUSH };

struct engine_board {
    _Atomic int order; /* enum engine_order; of the test */
    _Atomic int phase; /* enum engine_phase */
    char error[256];
    /* What the application has done: its commits come on top of value_before. */
    _Atomic int64_t value_before;
    _Atomic int64_t files_written;
    /* So much of it was durable at some moment. */
    _Atomic int64_t durable_value;
    _Atomic int64_t durable_files;
};

struct engine_process {
    struct engine_board *board;
    const struct writer *writer; /* has been started once at least, so that its counts are shared */
    const char *store_directory;
    struct engine_config config; /* without a store */
    pid_t pid;
};

/* One for this data directory, over this store, with a board and usual settings, which the caller may change:
 * the paths and the writer are borrowed. */
void engine_process_init(struct engine_process *process, const struct writer *writer,
                         const char *data_directory, const char *store_directory);
/* Forks. The test has no thread besides its own. */
void engine_process_start(struct engine_process *process);
/* Waits until that phase is reached, or a later one up to DONE; otherwise a line says why not. */
bool engine_process_await(const struct engine_process *process, enum engine_phase phase);
/* Kills it, or waits for its end. */
void engine_process_kill(struct engine_process *process);
void engine_process_wait(struct engine_process *process);

/* The same store for a reader; the caller frees it. */
struct store *engine_process_store(const struct engine_process *process);

#endif
