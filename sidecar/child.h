/* The one child: found, started, signalled, reaped, and everything that descends from it.
 *
 * Only the main thread calls these functions; all signals are blocked there (events.h). */
#ifndef SIDECAR_CHILD_H
#define SIDECAR_CHILD_H

#include "base/cleanup.h"
#include "base/err.h"
#include "sidecar/config.h"

#include <stdint.h>
#include <sys/types.h>

struct child {
    pid_t pid;  /* 0: not started */
    int pid_fd; /* signals go through it, so that they can't reach a stranger who got the number later; -1:
                   none */
    int terminal_fd; /* whose foreground group is the child's; -1: none */
    bool ended;
    int exit_code; /* once it has ended: its own, or 128 + n if signal n ended it */
};

#define CHILD_INIT                       \
    {                                    \
        .pid_fd = -1, .terminal_fd = -1, \
    }

/* Finds the program called `name` as execvp(3) would: as a path if it holds a slash, else in the PATH of
 * `environment`. ERR_NOT_FOUND (127), or ERR_DENIED when it is there but can't be executed (126). The caller
 * frees *ret_path. */
bool child_find(const char *name, char *const *environment, char **ret_path, struct err *err) CHECKED;

/* The environment without what holdfast keeps to itself: HOLDFAST_* and the AWS_* credentials that it used,
 * except for names in HOLDFAST_CHILD_ENV. The array is the caller's to free, the strings stay those of
 * `environment`. */
char **child_environment(char *const *environment, const struct config *config);

/* Makes orphans of the child ours to reap where holdfast isn't PID 1. */
bool child_adopt_orphans(struct err *err) CHECKED;

/* Starts the program at path with a clean signal mask, default dispositions, no descriptor but the standard
 * ones, in a process group of its own, which becomes the foreground group if standard input is our terminal.
 * ERR_NOT_FOUND or another code as for child_find() if it can't be executed; then nothing runs. */
bool child_start(struct child *child, const char *path, char *const *arguments, char *const *environment,
                 struct err *err) CHECKED;

/* Sends signal to the child alone. Without effect once it has ended. */
void child_signal(const struct child *child, int signal);

/* SIGKILL to the child's whole group. */
void child_kill(const struct child *child);

/* Reaps whoever has ended. When that is the child, the rest of its group is killed. True if the child has
 * ended, now or before. */
bool child_reap(struct child *child);

/* After the child has ended: kills and reaps all that it left behind, also what has left its group, for at
 * most limit_ms. True if nobody is left. The terminal is ours again. */
bool child_sweep(struct child *child, uint64_t limit_ms);

void child_clear(struct child *child);

#endif
