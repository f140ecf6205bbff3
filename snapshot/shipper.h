/* The owner's hand on the log: what is committed in the data directory goes into the store, one record after
 * the other.
 *
 * In this release a change is shipped as a base of its own, which restarts the state (docs/FORMAT.md). All
 * calls are the engine thread's; shipper_durable() any thread's. */
#ifndef SNAPSHOT_SHIPPER_H
#define SNAPSHOT_SHIPPER_H

#include "snapshot/deletions.h"
#include "snapshot/engine.h"
#include "snapshot/follower.h"
#include "snapshot/head_check.h"
#include "snapshot/prune.h"
#include "snapshot/state.h"
#include "snapshot/sweep.h"
#include "snapshot/yielding.h"

struct shipper {
    const struct engine_config *config;
    struct store *store; /* with retry */
    struct pool *pool;
    const atomic_bool *interrupted; /* ends what is under way with ERR_CANCELED; it may be begun again */
    /* Called once for each thing that an operator should know, from the engine's thread. */
    void (*warn)(void *context, const char *text);
    void *warn_context;
    int directory_fd;
    struct id owner;
    struct follower *follower; /* owned by the engine */
    struct log log;            /* taken over from the start */
    struct state state;
    struct retain retain;
    struct sweep sweep;
    struct prune prune;
    struct head_check head_check;
    struct yielding yielding;
    _Atomic uint64_t next_n;
    struct manifest previous; /* the newest announced base; valid if has_previous */
    bool has_previous;
    struct deletions deletions;
    unsigned moving; /* bases in a row that met a file while it was rewritten */
    bool warned_state;
    bool warned_prune;

    /* A base that is cut and whose record is frozen or in flight. */
    bool pending;
    struct manifest pending_manifest;
    struct retain_base pending_base;
    uint64_t pending_horizon;
    uint64_t pending_position;

    _Atomic uint64_t durable; /* the follower's position that is in the store */
    _Atomic uint64_t sent_record;
    _Atomic uint64_t confirmed_record;
};

/* Ready to append behind log (moved in). state is moved in. What stands above `state` is set. */
void shipper_init(struct shipper *shipper, struct log *log, struct state *state);
void shipper_clear(struct shipper *shipper);

/* At the start: makes manifest (moved) the newest base, as it stands on this disk. It tells what is unchanged
 * from what has to be read, and which incarnations the databases have. */
void shipper_set_previous(struct shipper *shipper, struct manifest *manifest);

/* Ships everything committed so far. final: the application is gone, deletions travel too. ERR_FENCED: the
 * log is another's. After any other error nothing is lost: call again. */
bool shipper_ship(struct shipper *shipper, bool final, struct err *err) CHECKED;
/* Whether the files or the set of databases differ from the newest base although no event said so. final as
 * above: until then a deletion that has to wait is no difference. */
bool shipper_differs(struct shipper *shipper, bool final, bool *ret_differs, struct err *err) CHECKED;
bool shipper_drain(struct shipper *shipper, uint64_t budget_ms, struct err *err) CHECKED;
bool shipper_close(struct shipper *shipper, struct err *err) CHECKED;
/* Looks whether another has taken over, if that is due: traffic counts what was forwarded to the backend.
 * *ret_landed: what was in flight turned out to be in the store, and is confirmed. ERR_FENCED. */
bool shipper_check_head(struct shipper *shipper, uint64_t traffic, bool *ret_landed, struct err *err) CHECKED;
/* Learns older bases, and deletes what was never announced and what retention allows; a little at a time.
 * *ret_goes_on: there is more to do now. A failure costs space only and is a warning. */
void shipper_prune(struct shipper *shipper, bool *ret_goes_on);
/* Of shipper_init() and shipper_clear(). */
void shipper_init_pruning(struct shipper *shipper);
void shipper_clear_pruning(struct shipper *shipper);
/* Replaces *point by the marks of all attached databases, which are frozen; position and hash stay 0. */
void shipper_remember_marks(struct shipper *shipper, struct state_point *point);
/* Remembers the logs that continue what was shipped: a log that restarts has a new name, and an unknown one
 * proves nothing. Cheap unless one did. */
void shipper_follow_logs(struct shipper *shipper);
bool shipper_save_state(struct shipper *shipper, struct err *err) CHECKED;
/* The same while serving: a failure is a warning, once. */
void shipper_remember(struct shipper *shipper);
/* The backend has answered: from now on this directory is more than an unfinished first boot. */
void shipper_note_answer(struct shipper *shipper);

#endif
