/* The owner's hand on the log: what is committed in the data directory goes into the store, one record after
 * the other.
 *
 * As a rule that is a data record: the commits since the one before, and what happened to files. A base that
 * restarts the state (docs/FORMAT.md) goes out where there is nothing to build upon: at first, when databases
 * come or go, when a commit was lost from sight. Where restoring would merely take too long, a base is cut
 * beside the records (shipper_beside.c). All calls are the engine thread's. */
#ifndef SNAPSHOT_SHIPPER_H
#define SNAPSHOT_SHIPPER_H

#include "snapshot/base_job.h"
#include "snapshot/cuts.h"
#include "snapshot/data_record.h"
#include "snapshot/deletions.h"
#include "snapshot/engine.h"
#include "snapshot/follower.h"
#include "snapshot/head_check.h"
#include "snapshot/packer.h"
#include "snapshot/page_tables.h"
#include "snapshot/pending.h"
#include "snapshot/prune.h"
#include "snapshot/state.h"
#include "snapshot/sweep.h"
#include "snapshot/yielding.h"

enum shipment_kind {
    SHIPMENT_NONE,
    SHIPMENT_BASE, /* that restarts the state */
    SHIPMENT_DATA,
    SHIPMENT_BESIDE, /* a base that repeats a state before */
};

/* What the record in flight holds: what is known when it is confirmed. */
struct shipment {
    enum shipment_kind kind;
    uint64_t position;     /* the follower's, up to which everything followed is in the store then */
    uint64_t lacks_ms;     /* since when the first of the databases that it lacks is known; 0: of none */
    uint64_t file_changes; /* of the follower: those that its tree contains */
    /* A base. */
    struct manifest manifest;
    struct retain_base base;
    uint64_t horizon;
    uint64_t request; /* the newest that it answers */
    /* Data. */
    struct tree *tree; /* of the files after it; NULL: they are as before */
    uint64_t look;     /* the follower's, that found it, but at these paths: */
    struct touched again;
    struct data_updates updates;
    struct data_attributes attributes[DATABASE_FREEZE_MAX]; /* with the paths of `previous` */
    size_t attributes_count;
    uint64_t outbox_end;
};

/* The newest base that somebody had asked for. */
struct shipper_given {
    uint64_t request; /* it answers this one and all before; 0: none was answered yet */
    uint64_t record;
    uint64_t position; /* P */
    uint64_t time_ns;
};

/* The base that is cut beside running records, at most one at a time. */
struct beside {
    struct base_job *job; /* NULL: none */
    bool is_reading;      /* the databases are frozen for it */
    bool is_given_up;     /* only its end is awaited */
    bool is_cut;          /* it is over, and waits for its record */
    uint64_t begun_ms;
    uint64_t request;                    /* the newest that it answers */
    uint64_t log_max_bytes;              /* a frozen database's log may grow by */
    uint64_t delta_bytes, delta_commits; /* the shipper's when it began: what it makes up for */
    unsigned outgrown;                   /* times in a row that this was not enough */
    unsigned failures;                   /* in a row, of all kinds */
    uint64_t retry_ms;                   /* not before: after a failure */
    bool warned;
    bool ended; /* none is begun any more */
};

/* A base that makes an earlier state the newest one. */
struct roll_back {
    struct point point;  /* as it was asked for */
    uint64_t taken_from; /* the record whose state it is */
};

struct shipper {
    const struct engine_config *config;
    struct store *store; /* with retry */
    struct pool *pool;
    const atomic_bool *interrupted; /* ends what is under way with ERR_CANCELED; it may be begun again */
    /* Called once for each thing that an operator should know, from the engine's thread. */
    void (*warn)(void *context, const char *text);
    void *warn_context;
    int directory_fd;
    int wake_fd; /* an event, raised when something is to be tended */
    struct id owner;
    struct follower *follower; /* owned by the engine */
    /* One worker, for requests that the engine's thread waits for; and what that does meanwhile: a slow store
     * must not make the databases' logs long. */
    struct pool *sender;
    struct meanwhile meanwhile;
    struct log log; /* taken over from the start */
    struct state state;
    struct retain retain;
    struct sweep sweep;
    struct prune prune;
    struct packer *packer;
    struct head_check head_check;
    struct yielding yielding;
    _Atomic uint64_t next_n;
    struct manifest previous; /* the state after the newest record; valid if has_previous */
    bool has_previous;
    struct beside beside;
    struct outbox *outbox;
    struct cuts cuts;
    struct page_tables tables; /* of what was shipped */
    bool lost_continuity;      /* nothing but a base can follow */
    bool databases_move;       /* `previous` lists some that no record holds yet */
    struct departed *departed; /* since the newest record */
    size_t departed_count;
    uint64_t file_changes; /* of the follower: those that previous.tree contains */
    struct deletions deletions;
    struct pending *pending; /* new files, until they are shipped */
    unsigned moving;         /* records in a row that met a file while it was rewritten */
    bool is_saving;          /* the sender reads `state` */
    bool gone_is_unsaved;    /* the state file lacks some of what `state` says is gone */
    uint64_t gone_saved_ms;
    bool warned_state;
    bool warned_prune;
    bool warned_pack;

    struct shipment shipment;          /* in flight, or frozen and about to be */
    const struct roll_back *roll_back; /* that the next base carries out; NULL: none */

    uint64_t wanted; /* the newest request for a base; 0: none */
    struct shipper_given given;

    uint64_t base_time_ns; /* of the newest base, by the store's clock */
    uint64_t base_ended_ms;
    uint64_t base_duration_ms; /* 0: none was cut by this process */
    uint64_t delta_bytes;      /* in records since then, as far as this process knows */
    uint64_t delta_commits;

    _Atomic uint64_t shipped; /* the follower's position up to which all that is followed is in the store */
    _Atomic uint64_t durable; /* the same of everything: it stays while a database is left out */
    uint64_t lacks_ms;        /* as in the shipment, of what is shipped */
    _Atomic uint64_t sent_record;
    _Atomic uint64_t confirmed_record;
};

/* Ready to append behind log (moved in). state is moved in. What stands above `state` is set. */
bool shipper_init(struct shipper *shipper, struct log *log, struct state *state, struct err *err) CHECKED;
void shipper_clear(struct shipper *shipper);

/* At the start: makes manifest (moved) the newest base, as it stands on this disk. It tells what is unchanged
 * from what has to be read, and which incarnations the databases have. */
void shipper_set_previous(struct shipper *shipper, struct manifest *manifest);

/* At the start, instead: what lies on this disk is the state of roll_back->taken_from and becomes the newest
 * one, by a base. superseded (moved; NULL: not known): the state of the newest record so far, whose blobs may
 * be named again. ERR_FENCED. After any other error what was sent may have landed. */
bool shipper_roll_back(struct shipper *shipper, const struct roll_back *roll_back,
                       struct manifest *superseded, struct err *err) CHECKED;

/* Everything that is followed is in the store, up to that position of the follower. */
void shipper_note_shipped(struct shipper *shipper, uint64_t position, uint64_t lacks_ms);

/* Ships everything committed so far. final: the application is gone, deletions travel too. ERR_FENCED: the
 * log is another's. After any other error nothing is lost: call again. */
bool shipper_ship(struct shipper *shipper, bool final, struct err *err) CHECKED;
/* Looks at the tree again if something moved: attaches and lets go of databases, and takes hold of new files.
 */
bool shipper_look(struct shipper *shipper, struct err *err) CHECKED;
/* Has what was committed handed to the outbox, so that the databases' logs may be emptied; remembers the
 * moment as one at which a record may end. Cheap when nothing was committed. ERR_TRANSIENT: the outbox is
 * full, or commits come too fast; what is there can be shipped. */
bool shipper_collect(struct shipper *shipper, struct err *err) CHECKED;
/* At the start, while the databases are frozen and those of `previous` that are here hold exactly what it
 * says: from here on their commits are collected. */
void shipper_begin_collecting(struct shipper *shipper);
/* At the start, while the databases are frozen and hold more than `previous` says: what they hold more comes
 * into the outbox as pages, and their commits from here on behind it. *ret_same: nothing differs, and nothing
 * is collected yet. After any error only a base can be shipped next, and nothing is lost. */
bool shipper_add_difference(struct shipper *shipper, const struct follower_frozen *frozen, bool *ret_same,
                            struct err *err) CHECKED;
/* At the start, while the databases are frozen and hold exactly what `previous` says: makes the tables of
 * page hashes, unless they work. */
void shipper_make_tables(struct shipper *shipper);
/* Whether the next thing to ship is a base, and when it may begin: not before ten times the last one's
 * duration has passed (of clock_monotonic_ms()), but at once if somebody asked. */
bool shipper_wants_base(struct shipper *shipper);
uint64_t shipper_base_due_ms(const struct shipper *shipper);
/* Somebody asked for a base, whatever is due. Requests are numbered from 1, ascending; 0 takes back what
 * isn't answered. A base is due until one that was begun after this call is confirmed: shipper->given says
 * which. */
void shipper_want_base(struct shipper *shipper, uint64_t request);
/* Whether such a request is open. */
bool shipper_is_asked(const struct shipper *shipper);
/* Whether the attached databases are those of the newest record. */
bool shipper_same_databases(const struct shipper *shipper);
/* Whether the files or the set of databases differ from the newest base although no event said so. final as
 * above: until then a deletion that has to wait is no difference. */
bool shipper_differs(struct shipper *shipper, bool final, bool *ret_differs, struct err *err) CHECKED;
/* Looks after a base that is cut beside the records: lets the databases go on when it has read them, or when
 * their logs have grown too long. Cheap. */
void shipper_tend_beside(struct shipper *shipper);
/* Whether there is something for shipper_ship() to do although nothing has changed: a base waits for its
 * record, or one that was asked for can be begun. */
bool shipper_has_base(const struct shipper *shipper);
/* Gives it up, at once, and begins no other: the application, or we, are about to end. */
void shipper_end_beside(struct shipper *shipper);
bool shipper_drain(struct shipper *shipper, uint64_t budget_ms, struct err *err) CHECKED;
bool shipper_close(struct shipper *shipper, struct err *err) CHECKED;
/* Looks whether another has taken over, if that is due: traffic counts what was forwarded to the backend.
 * *ret_landed: what was in flight turned out to be in the store, and is confirmed. ERR_FENCED. */
bool shipper_check_head(struct shipper *shipper, uint64_t traffic, bool *ret_landed, struct err *err) CHECKED;
/* Learns older bases, and deletes what was never announced and what retention allows; a little at a time.
 * *ret_goes_on: there is more to do now. A failure costs space only and is a warning. */
void shipper_prune(struct shipper *shipper, bool *ret_goes_on);
/* Lets records be moved into packs when enough of them are loose, by a thread of its own. Cheap. A failure
 * costs requests at the next restore and is a warning. */
void shipper_pack(struct shipper *shipper);
/* Of shipper_init() and shipper_clear(). */
void shipper_init_pruning(struct shipper *shipper);
void shipper_clear_pruning(struct shipper *shipper);
/* Replaces *point by the marks of all attached databases, as they are frozen; or where collected, as they
 * have been collected. Position and hash stay 0. */
void shipper_remember_marks(struct shipper *shipper, struct state_point *point);
/* Makes them those of what was shipped, as far as the newest record names what is attached. */
void shipper_remember_shipped(struct shipper *shipper);
/* Remembers what has the names of databases of the log that were let go of: a start after a crash must be
 * able to tell a deletion that was not shipped from a database that is missing. Cheap unless that changes. */
void shipper_follow_gone(struct shipper *shipper);
/* Remembers the logs that continue what was shipped: a log that restarts has a new name, and an unknown one
 * proves nothing. Cheap unless one did. */
void shipper_follow_logs(struct shipper *shipper);
bool shipper_save_state(struct shipper *shipper, struct err *err) CHECKED;
/* The same while serving: a failure is a warning, once. */
void shipper_remember(struct shipper *shipper);
/* The backend has answered: from now on this directory is more than an unfinished first boot. */
void shipper_note_answer(struct shipper *shipper);

#endif
