/* Lives of an engine that follow each other: a real directory with a real database, whose writer is another
 * process, over a store in memory that fails as told.
 *
 * The state that lives carry has a version: files are written first, then as many commits as the version
 * asks for. So whatever is restored, a database at version v needs every file to be at v or later. */
#ifndef TESTS_DOUBLE_LIFE_H
#define TESTS_DOUBLE_LIFE_H

#include "snapshot/engine.h"
#include "tests/double/scratch.h"
#include "tests/double/store_fault.h"
#include "tests/double/store_mem.h"
#include "tests/double/writer.h"

struct life {
    struct store *mem;
    struct store *faulty; /* over mem; what the engine gets */
    struct scratch disk;
    struct engine_config config;
    struct engine *engine;
    struct engine_status status; /* as last looked at */
    struct writer writer;
    atomic_bool canceled;
};

enum { LIFE_LIMIT_MS = 20000 };

void life_set_up(struct life *life);
void life_tear_down(struct life *life);

/* Waits for what `wanted` says of the status; false, and a line that tells the status, after the limit. */
bool life_await(struct life *life, bool (*wanted)(const struct engine_status *status));
/* The usual things to wait for. */
bool life_is_ready(const struct engine_status *status);   /* it has started or failed */
bool life_is_durable(const struct engine_status *status); /* all is in the store */
bool life_is_over(const struct engine_status *status);    /* DONE, FAILED or FENCED */

/* Opens the engine and waits until it has started; false with status.err if it failed (the engine is still
 * there, to be ended). */
bool life_try_begin(struct life *life);
/* The same, where a failure is worth a line. */
bool life_begin(struct life *life);
/* Waits until all is durable. */
bool life_settle(struct life *life);
/* Flushes and frees it; how it ended. */
enum engine_phase life_end(struct life *life);
/* Ends it without a flush, as a crash would leave it. */
void life_cut_off(struct life *life);
/* A new, empty disk. */
void life_wipe(struct life *life);

/* Runs a writer on db.sqlite3 until it has made so many more commits. */
bool life_commit(struct life *life, uint64_t commits);
/* What the database says there (sample_value); 0 if there is none, or none with tables in it yet. */
int64_t life_value(const char *directory);

#endif
