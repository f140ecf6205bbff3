/* Long work of a command that a person may interrupt: it runs in a thread of its own, while the main thread
 * waits for it and for SIGINT or SIGTERM, and tells it to stop. */
#ifndef SIDECAR_JOB_H
#define SIDECAR_JOB_H

#include "base/err.h"

#include <stdatomic.h>

/* Runs work(context, err) and gives its result. A signal sets *canceled and *ret_signal (0: none came); the
 * work is still waited for, it ends soon. Main thread only, signals blocked. */
bool job_run(bool (*work)(void *context, struct err *err), void *context, atomic_bool *canceled,
             int *ret_signal, struct err *err) CHECKED;

#endif
