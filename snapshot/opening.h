/* One start, from the survey to the hand-over. Between engine_start.c (what is known, and the takeover) and
 * opening.c (what is done about it). */
#ifndef SNAPSHOT_OPENING_H
#define SNAPSHOT_OPENING_H

#include "snapshot/decide.h"
#include "snapshot/engine_internal.h"
#include "snapshot/start.h"

/* What the start knows about this disk and what it means to do. */
struct opening {
    struct engine *engine;
    struct start start;
    struct state state;
    bool has_state;
    bool directory_empty;
    enum decision decision;
    bool rolls_back;     /* what is restored is the state that HOLDFAST_RESTORE_AT names */
    uint64_t taken_from; /* … which is that of this record */
    bool counts;         /* the takeover does: the log is ours */
    struct restore *restore;
    struct chain *chain;       /* the records behind the base, on their way; NULL: there are none */
    struct follower *follower; /* the engine's after the hand-over */
};

bool opening_wants_restore(enum decision decision);

/* Begins to fetch the records behind the base, if any of them may change data; the manifest may be under way
 * itself. ERR_CORRUPT: one is missing. opening_end_restore() drops them. */
bool opening_begin_records(struct opening *opening, struct err *err) CHECKED;
/* start.manifest becomes the state at the head. place: what the restore, which is done and is ended here, has
 * written is brought there too; NULL: nothing is written. */
bool opening_apply_records(struct opening *opening, struct place *place, struct err *err) CHECKED;

/* Begins to fetch the base that the head names, and the records behind it; ERR_CONFIG if the disk is too
 * small for it. What arrives waits in memory. */
bool opening_begin_restore(struct opening *opening, struct err *err) CHECKED;
/* Drops what was fetched: of the base alone, or all. Fine if nothing was begun. */
void opening_end_base(struct opening *opening);
void opening_end_restore(struct opening *opening);

/* opening_disk.c */

/* Whether the base that the head names fits, with some room for the application; ERR_CONFIG if not. */
bool opening_check_disk(const struct opening *opening, struct err *err) CHECKED;
/* Says of a restore that failed what it was about: if the disk was full, that it is too small (ERR_CONFIG),
 * where available_bytes were free before. Before what was fetched is dropped. */
void opening_explain_failure(const struct opening *opening, uint64_t available_bytes, struct err *err);

/* opening_rollback.c */

/* Makes the record that HOLDFAST_RESTORE_AT names the start's goal. ERR_CONFIG: there is none, or it was
 * pruned. */
bool opening_find_goal(struct opening *opening, struct err *err) CHECKED;
/* After the restore: start.manifest becomes the state that is superseded, unless it can't be read. */
bool opening_learn_superseded(struct opening *opening, struct err *err) CHECKED;
/* Appends the base by which what was restored becomes the newest state; the shipper has begun. */
bool opening_supersede(struct opening *opening, struct err *err) CHECKED;

/* Lets go of the databases. Fine if none was attached. */
void opening_end_follower(struct opening *opening);

/* Brings the directory into the state that was decided. *ret_exact: its databases hold exactly what the store
 * has. */
bool opening_act(struct opening *opening, bool *ret_exact, struct err *err) CHECKED;
/* Attaches the databases; the log, and what is known of the newest base, pass to the shipper. */
bool opening_hand_over(struct opening *opening, bool exact, struct err *err) CHECKED;

#endif
