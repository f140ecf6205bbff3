/* Between standby.c (looking at the log), standby_open.c (the directory at the beginning), standby_step.c
 * (from one state to a later one) and standby_plan.c (what that changes on the disk). */
#ifndef SNAPSHOT_STANDBY_INTERNAL_H
#define SNAPSHOT_STANDBY_INTERNAL_H

#include "snapshot/reader_internal.h"
#include "snapshot/replay.h"
#include "snapshot/standby.h"
#include "snapshot/standby_redo.h"

struct standby {
    struct standby_config config;
    char *name; /* "--to DIR" */
    int directory_fd;
    int lock_fd;
    bool made_directory;
    bool made_folder; /* .holdfast */
    /* What the directory holds: lineage, position (0: nothing yet), time, the record's hash, databases, tree.
     * Neither parts nor frames. */
    struct manifest now;
    bool distrusts;     /* a record didn't fit what is here: nothing of it is taken over by a new base */
    bool begins_anew;   /* the log has no way from here to its head: the newest base is next */
    uint64_t listed_ms; /* when the head was last looked for by a LIST; 0: never */
};

/* --- one step ---------------------------------------------------------------------------------------- */

/* A database of the state before the records of the step. */
struct standby_database {
    char *path;
    uint64_t incarnation;
    int fd; /* of its images */
    struct page_overlay overlay;
};

/* From the state that the directory holds, or from a base, over some records, to a later state. Until it is
 * committed, nothing has changed in the directory but below .holdfast. */
struct standby_step {
    struct standby *standby;
    struct manifest after;
    uint64_t restarted; /* the base record, if that is where it begins */
    uint64_t records;   /* so far */
    uint64_t bytes;     /* of their bodies */
    struct place *place;
    int staging_fd;
    struct restore *restore;
    struct replay *replay;
    struct standby_database *databases;
    size_t databases_count;
};

void standby_step_init(struct standby_step *step, struct standby *standby);
void standby_step_clear(struct standby_step *step);

/* Begins with a base instead of with what the directory holds; only what differs is fetched. */
bool standby_step_base(struct standby_step *step, const struct reader_base *base, struct err *err) CHECKED;
/* The next record, which follows the one before it. ERR_CORRUPT, ERR_NOT_FOUND: as replay_record(). */
bool standby_step_record(struct standby_step *step, const struct record *record, struct err *err) CHECKED;
/* Whether it is large enough to be committed before the next record. */
bool standby_step_is_full(const struct standby_step *step);
/* Changes the directory, durably and as one act. After a failure that isn't of the store's making the next
 * standby_open() finishes what was begun. */
bool standby_step_commit(struct standby_step *step, struct err *err) CHECKED;

/* --- what it changes --------------------------------------------------------------------------------- */

struct standby_change {
    int directory_fd; /* of the copy */
    int staging_fd;   /* holds what is new; what isn't of the state after is removed from it */
    struct manifest *before;
    struct manifest *after;
    const struct standby_database *databases;
    size_t databases_count;
};

bool standby_plan(const struct standby_change *change, struct standby_redo *redo, struct err *err) CHECKED;

/* Whether owner, mode and time are the same. */
bool standby_same_attributes(const struct tree_entry *one, const struct tree_entry *other);

#endif
