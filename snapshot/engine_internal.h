/* Between the files of the engine: engine.c (thread, mailbox, status), engine_start.c (until the child may be
 * launched) and engine_serve.c (shipping and flush). */
#ifndef SNAPSHOT_ENGINE_INTERNAL_H
#define SNAPSHOT_ENGINE_INTERNAL_H

#include "base/thread.h"
#include "snapshot/engine.h"
#include "snapshot/restore.h"
#include "snapshot/shipper.h"

/* What the sidecar has asked for; each is set once and never taken back, bases_asked only grows. */
struct engine_orders {
    bool answered;
    bool drain;
    bool flush;
    uint64_t bases_asked;
    uint64_t drain_budget_ms;
    uint64_t flush_until_ms; /* of clock_monotonic_ms() */
};

struct engine {
    struct engine_config config;
    const atomic_bool *canceled;
    atomic_bool given_up; /* the start is: canceled, or a stop came before its end */
    int directory_fd;
    int lock_fd;
    bool made_directory; /* by this start, which removes them again if it is refused */
    bool made_folder;
    struct globs *exclude;
    struct globs *databases;
    struct store *patient; /* config.store with retry, for the start */
    struct store *serving; /* the same with less patience, and ended by `interrupted` */
    struct pool *pool;
    atomic_bool interrupted; /* an order has come: what is under way ends, and may be begun again */
    int event_fd;            /* towards the sidecar */
    int order_fd;            /* towards the engine's thread */
    _Atomic int durable_watch_fd;
    _Atomic uint64_t traffic; /* counts what was forwarded to the backend */
    pthread_t thread;
    bool started;

    pthread_mutex_t mutex; /* guards what follows */
    struct engine_status status;
    struct engine_orders orders;
    struct shipper_given given; /* the newest base that was asked for */
    struct follower *follower;  /* set once, when the databases are attached for good */
    struct restore *restore;    /* while one is under way, for its progress */
    uint64_t oldest_change_ms;  /* when the oldest change that isn't durable was first noticed; 0: none */
    struct engine_left_out *left_out; /* status.left_out_count of them */

    /* The thread's own. */
    struct shipper shipper;
    uint64_t left_out_changes; /* of the follower, that `left_out` tells of */
    bool owns_log;
};

/* Reports to the sidecar. Any of the engine's threads. */
void engine_set_phase(struct engine *engine, enum engine_phase phase);
void engine_set_step(struct engine *engine, const char *format, ...) PRINTF_LIKE(2, 3);
void engine_warn(void *context, const char *text);
void engine_set_degraded(struct engine *engine, const struct err *why); /* NULL: no longer */
/* Takes notice of what was ordered: from here on nothing is interrupted but by another order. */
struct engine_orders engine_orders(struct engine *engine);
/* Whether err ends the run, where everything else is tried again: a store's refusal may be mended while the
 * application goes on, a lost log can't. */
bool engine_is_final(const struct engine *engine, const struct err *err);
/* From now on, at the latest, there is a change that isn't durable, if there is one. */
void engine_note_change(struct engine *engine);
/* engine_left_out.c. Takes over which databases are left out. */
void engine_note_left_out(struct engine *engine);
/* Whether none is; ERR_CONFLICT names them. */
bool engine_has_all(const struct engine *engine, struct err *err) CHECKED;
/* Takes over the position that is durable now, and the base that was asked for. */
void engine_note_durable(struct engine *engine);

/* The start sequence: on success the log is ours, the data directory is right and its databases are attached.
 * *ret_over: a stop came first; what had begun of our log is closed. */
bool engine_begin(struct engine *engine, bool *ret_over, struct err *err) CHECKED;
/* Ships until the flush was ordered and done. */
bool engine_serve(struct engine *engine, struct err *err) CHECKED;

#endif
