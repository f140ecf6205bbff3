/* One run: the front ports, the engine, the child, from the first bind to the exit code. main.c tells the
 * story; each of these functions is a chapter of it and waits until that is over. They log what happens; none
 * of them exits. Main thread only. */
#ifndef SIDECAR_RUN_H
#define SIDECAR_RUN_H

#include "base/cleanup.h"
#include "sidecar/config.h"

struct run;

/* Everything is borrowed until run_free(). command is what stands after `run --`. */
struct run *run_new(const struct config *config, char *const *environment, char *const *command);
/* Frees what is still open, ports last. NULL is fine. */
void run_free(struct run *run);
DEFINE_CLEANUP(struct run *, run_free, run_freep)

/* Finds the command, binds the ports, opens store and data directory, and begins to answer. False: it can't
 * be. */
bool run_listen(struct run *run) CHECKED;
/* Waits until the data directory is what the store says. False: it can't be, or a stop was asked for. */
bool run_restore(struct run *run) CHECKED;
/* Starts the child and waits until it answers. False: it ended, or a stop was asked for. */
bool run_launch(struct run *run) CHECKED;
/* Serves until a stop is asked for, the child ends, or another container has taken over. */
void run_serve(struct run *run);
/* Lets requests in flight finish, then stops the child. Without effect if none runs. */
void run_drain(struct run *run);
/* Ships what is left and closes the log. Without effect if the data directory was never ours. */
void run_flush(struct run *run);
/* What the process should return. */
int run_exit_code(struct run *run);

#endif
