/* Sweeping up what was stored and never announced: the manifests, parts and blobs of uploads that came to
 * nothing, because their owner ended or because they failed.
 *
 * An owner does it once after it has taken over and once after each base, in small steps; then it costs
 * nothing until the next base. Whoever isn't the owner never sweeps. One thread. */
#ifndef SNAPSHOT_SWEEP_H
#define SNAPSHOT_SWEEP_H

#include "snapshot/blob_sweep.h"
#include "snapshot/record_refs.h"
#include "snapshot/retain.h"

enum sweep_stage { SWEEP_MANIFESTS, SWEEP_PARTS, SWEEP_BLOBS, SWEEP_DONE };

struct sweep {
    struct removal removal;
    const struct retain *retain;
    struct id lineage;
    uint64_t epoch; /* this owner's open */
    enum sweep_stage stage;
    bool again;        /* a base was announced meanwhile */
    struct key resume; /* where the listing of manifests or parts goes on; empty: at its beginning */
    struct blob_sweep blobs;
    uint64_t swept;    /* blobs with tags up to here are done; 0: not yet */
    uint64_t sweeping; /* up to here they are being done */

    /* The last record that was looked at for bulk of its own, and what it named. */
    uint64_t asked_position; /* 0: none yet */
    struct id asked_owner;
    bool asked_keeps_all; /* it can't be read */
    struct record_refs asked;
};

/* What the log says now. */
struct sweep_view {
    struct tree *tree; /* as of the newest confirmed record; NULL: not known */
    uint64_t newest;   /* position of the newest confirmed record */
    /* What has a tag at or below it and is named by none of the records up to the newest never will be: no
     * upload that was begun there goes on, and no record is in flight. */
    uint64_t settled;
};

/* head: this owner's open, as confirmed. retain is borrowed and has to know all bases when sweep_step() is
 * called. */
void sweep_init(struct sweep *sweep, const struct removal *removal, const struct retain *retain,
                const struct record_header *head);
void sweep_clear(struct sweep *sweep);

/* A base was announced: what failed since the one before it can be swept. */
void sweep_again(struct sweep *sweep);

/* A few dozen requests at most. *ret_done: nothing is left, and no request is made. */
bool sweep_step(struct sweep *sweep, const struct sweep_view *view, bool *ret_done, struct err *err) CHECKED;

#endif
