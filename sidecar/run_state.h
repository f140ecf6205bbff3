/* What the files of a run share; for run*.c only.
 *
 * Threads: the main thread owns everything. The proxy's thread reads `board` under its mutex and raises
 * `news_fd` after setting one of the two flags; the engine and the store look at `canceled`. Engine and store
 * are opened before the proxy's thread starts and freed after it has ended, so it needs no lock for them; if
 * they can't be opened it starts all the same, and finds NULL. */
#ifndef SIDECAR_RUN_STATE_H
#define SIDECAR_RUN_STATE_H

#include "proxy/proxy.h"
#include "sidecar/child.h"
#include "sidecar/config.h"
#include "sidecar/counters.h"
#include "sidecar/events.h"
#include "sidecar/lifecycle.h"
#include "sidecar/progress.h"
#include "snapshot/drill.h"
#include "snapshot/engine.h"

#include <pthread.h>
#include <stdatomic.h>

struct run {
    const struct config *config;
    char *const *command;
    char *const *environment; /* ours */
    char **child_environment; /* scrubbed */
    char *program;            /* the command's path */

    struct store *store;
    struct engine *engine;
    struct proxy *proxy;
    struct child child;
    struct events events;
    struct counters counters;
    struct store_observer observer; /* the store keeps a pointer to it */
    struct drill *drill;            /* NULL: HOLDFAST_DRILL_INTERVAL is off */
    struct store *drill_store, *drill_patient;
    atomic_bool drill_canceled;
    int news_fd; /* an eventfd of the proxy's callbacks */
    atomic_bool answered;
    atomic_bool drained;
    atomic_bool canceled;

    enum life_state state;
    struct engine_status engine_status; /* as of the last event */
    uint64_t warnings_told;
    bool degraded_told;
    unsigned stops;    /* SIGTERM and SIGINT so far */
    uint64_t begin_ms; /* of the run */
    struct life_budget budget;
    struct life_outcome outcome;
    struct progress progress;

    bool is_answering; /* the proxy was started */
    bool has_served;   /* the backend has answered, and the engine knows */
    bool start_failed;
    struct err refusal; /* of the start, as clients are told it */

    pthread_mutex_t mutex; /* guards board and board_state */
    struct proxy_status board;
    enum life_state board_state;
};

/* run_watch.c */

/* Moves to a state, for readers of /_holdfast/ready, /metrics and the log alike. */
void run_move(struct run *run, enum life_state to);
/* Waits for one event until deadline_ms (EVENTS_NO_DEADLINE) and takes note of it. */
void run_attend(struct run *run, uint64_t deadline_ms);
/* Looks at the engine now, without waiting for its news. */
void run_look(struct run *run);
/* True when the run can't go on as it is: a stop was asked for, the child has ended, the engine has failed or
 * is fenced. */
bool run_is_over(const struct run *run);

/* run_front.c */

/* Binds the front ports and the admin port. */
bool run_open_front(struct run *run, struct err *err) CHECKED;
/* Shows the proxy what there is to know; called after each change. */
void run_show(struct run *run);
/* The start has failed, and the outcome says so already: from now on every client gets the sentence and the
 * exit code. */
void run_refuse_clients(struct run *run, const struct err *refusal);
/* Gives clients a moment to ask, and returns when all answers are out: after a quarter of a second at most.
 * Once, after run_refuse_clients(). */
void run_tell_clients(struct run *run);

/* run_drill.c */

/* Opens what HOLDFAST_DRILL_INTERVAL needs, if it is set; before other threads exist. */
bool run_open_drill(struct run *run, struct err *err) CHECKED;
/* The backend serves: from now on there are drills. */
void run_begin_drill(struct run *run);
void run_close_drill(struct run *run);

/* run_admin.c */

/* What the admin port answers (proxy/proxy.h); context: the run. The proxy's thread. */
bool run_answer_admin(void *context, const struct proxy_admin_request *request, struct buf *body,
                      const char **ret_content_type, unsigned *ret_code);

#endif
