/* The engine: one data directory kept in one store, for the life of one process.
 *
 * It runs in a thread of its own. The sidecar tells it what happened in the world (the backend answered, a
 * stop was asked for, the child is gone) and reads its status; it learns of changes through event_fd. The
 * engine knows nothing of HTTP, of PID 1 or of the environment.
 *
 *   STARTING → RESTORED → SERVING → FLUSHING → DONE        and FAILED or FENCED from anywhere
 *
 * STARTING is the start sequence of docs/DESIGN.md: probe, head, takeover, local or remote, fetch, verify,
 * put in place, WAL mode. In RESTORED the child may be started; databases that appear are attached, nothing
 * is published. SERVING ships. */
#ifndef SNAPSHOT_ENGINE_H
#define SNAPSHOT_ENGINE_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "snapshot/point.h"
#include "snapshot/store/store.h"

enum engine_adopt { ADOPT_REFUSE, ADOPT_LOCAL, ADOPT_REMOTE };
enum engine_predecessor { PREDECESSOR_UNKNOWN, PREDECESSOR_ALIVE, PREDECESSOR_GONE };

/* Strings are borrowed for the engine's life. */
struct engine_config {
    struct store *store; /* one attempt for each call; the engine puts its own retry on it */
    const char *data_directory;
    const char *exclude;   /* HOLDFAST_EXCLUDE, as written */
    const char *databases; /* HOLDFAST_DATABASES, as written */
    const char *version;   /* goes into the open record */
    uint64_t sync_interval_ms;
    uint64_t snapshot_interval_ms; /* 0: every change is shipped as a base */
    uint64_t restore_budget_ms;
    uint64_t spool_max_bytes;
    uint64_t frozen_log_bytes; /* by how much a database's log may grow for a base; 0: as suits its size */
    uint64_t retention_ms;
    uint64_t start_timeout_ms;
    uint64_t takeover_wait_ms;
    uint64_t duel_wait_ms;   /* 0: none */
    struct point restore_at; /* POINT_NONE: nothing is rolled back */
    enum engine_adopt adopt;
    enum engine_predecessor predecessor;
    bool unsafe_no_fencing;
    bool
        durable_before_gate; /* sync: SERVING is reported `published` only when the first base is announced */
};

enum engine_phase {
    ENGINE_STARTING,
    ENGINE_RESTORED,
    ENGINE_SERVING,
    ENGINE_FLUSHING,
    ENGINE_DONE,
    ENGINE_FAILED,
    ENGINE_FENCED
};

/* What became of config.restore_at. */
enum engine_roll_back {
    ROLL_BACK_NONE,    /* nothing was asked for, or the start isn't that far */
    ROLL_BACK_DONE,    /* by this start */
    ROLL_BACK_EARLIER, /* the log says that it was carried out before: nothing was done */
};

enum { ENGINE_WARNINGS_MAX = 16 };

struct engine_status {
    enum engine_phase phase;
    double progress;     /* of STARTING, 0 to 1, by bytes */
    uint64_t bytes_done; /* of the restore */
    uint64_t bytes_total;
    uint64_t restored_bytes;   /* of databases and files, when it is over; 0: nothing was fetched */
    uint64_t position;         /* changes seen; read fresh by engine_status() */
    uint64_t durable_position; /* changes that are in the store */
    uint64_t record;           /* newest record sent, 0: none */
    uint64_t durable_record;   /* newest record confirmed */
    uint64_t lag_ms;           /* age of the oldest change that is not durable; 0: none */
    uint64_t restore_ms;
    enum engine_roll_back roll_back; /* known from RESTORED on */
    uint64_t taken_from;             /* ROLL_BACK_DONE: the record whose state was brought back */
    uint64_t epoch;
    char owner[33];
    char step[128];        /* what it is doing, for humans: "fetching 3 databases, 1.2 GB" */
    bool published;        /* a base is announced in this lineage */
    bool degraded;         /* the store refuses or can't be reached */
    bool has_changes;      /* something of what is followed is not shipped */
    size_t left_out_count; /* databases that are there and not followed: engine_left_out() names them */
    uint64_t unshipped_ms; /* FAILED or DONE: age of the oldest change that was not shipped */
    struct err err;        /* FAILED, FENCED, or why it is degraded */
    char warnings[ENGINE_WARNINGS_MAX][256];
    size_t warnings_count;
    uint64_t warnings_said; /* since the start; the list has the newest of them */
};

struct engine;

/* Checks the data directory (creates it if its parent is there), takes its lock and starts the thread.
 * ERR_CONFIG: unwritable, locked by another holdfast, … in one sentence with the remedy. *canceled stops all
 * work soon, without flushing; a start may see it only in engine_free(). */
bool engine_open(const struct engine_config *config, const atomic_bool *canceled, struct engine **ret_engine,
                 struct err *err) CHECKED;
/* Waits for the end of the run (DONE, FAILED or FENCED; *canceled brings it on) and frees it. NULL is fine.
 */
void engine_free(struct engine *engine);
DEFINE_CLEANUP(struct engine *, engine_free, engine_freep)

/* An eventfd that is raised when the status has changed in phase, step, warnings or degraded. */
int engine_event_fd(const struct engine *engine);
/* A copy. Any thread. */
void engine_status(struct engine *engine, struct engine_status *ret_status);
/* A database that is there and isn't followed: no record holds it as it is. */
struct engine_left_out {
    char path[256]; /* cut off, if it is longer */
    char why[256];
    uint64_t since_ns; /* of the wall clock: since when that has been known */
};

/* The first `most` of them, in ascending order of path; how many were written. Any thread. */
size_t engine_left_out(struct engine *engine, struct engine_left_out *ret_list, size_t most);

/* context: the engine. The position of every change committed so far: moves with each commit and file event.
 * Any thread, no store request, no SQL. The seam of `sync`. */
uint64_t engine_position_now(void *context);
/* The same for what is in the store; monotone. It stays where it is while a database is left out, whose
 * commits are in no record. Any thread. `watch_fd`, if not -1, is raised whenever it moves. */
uint64_t engine_durable_position(void *context);
void engine_watch_durable(struct engine *engine, int watch_fd);

/* Something was forwarded to the backend: its answers may be stale if another has taken over, so the engine
 * looks now and then. Any thread, lock-free. */
void engine_note_traffic(struct engine *engine);

/* The backend has answered for the first time in this run: publishing may begin. */
void engine_answered(struct engine *engine);
/* A stop was asked for: the drain record is appended at once; shipping no longer waits for the interval.
 * budget_ms: how long it may take in all. */
void engine_drain(struct engine *engine, uint64_t budget_ms);
/* The child is gone, the state is final: ship it within budget_ms and append close; then DONE, FAILED (not
 * everything shipped) or FENCED. A run whose backend never answered publishes nothing but its close. While
 * STARTING this gives the start up: if the log is ours by then it is closed, so that the next owner doesn't
 * take this for a crash. */
void engine_flush(struct engine *engine, uint64_t budget_ms);

enum engine_answer {
    ENGINE_ANSWER_WAITS,   /* for the store, if need be: the request stands until this engine ends */
    ENGINE_ANSWER_BASE,    /* announced */
    ENGINE_ANSWER_REFUSED, /* it ends before */
    ENGINE_ANSWER_UNKNOWN  /* nobody asked that */
};

struct engine_base {
    uint64_t record;   /* the one that announced it */
    uint64_t position; /* P, where its state stands */
    uint64_t time_ns;  /* of that record */
};

/* Asks for a base now, whatever is due; *ret_request names the request. One base answers all that were asked
 * before it was begun. Any thread. ERR_CONFLICT: not before the backend has answered, nor when a stop was
 * asked for or the engine has ended; in one sentence. */
bool engine_ask_base(struct engine *engine, uint64_t *ret_request, struct err *err) CHECKED;
/* How that request stands; *ret_base is set for ENGINE_ANSWER_BASE, to the newest base that answers it. Any
 * thread, doesn't wait. */
enum engine_answer engine_answer_base(struct engine *engine, uint64_t request, struct engine_base *ret_base);

#endif
