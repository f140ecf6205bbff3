/* The deletion of what lies below the horizon (docs/DESIGN.md, Retention).
 *
 * Everything here is decided by one number, H, as a confirmed base record states it, and by S, the position
 * from which that base needs records. Deleting is safe to repeat or to leave undone, at any point and in any
 * order, and by several at once: by the owner, and by `holdfast prune` beside it. One thread. */
#ifndef SNAPSHOT_PRUNE_H
#define SNAPSHOT_PRUNE_H

#include "snapshot/record.h"
#include "snapshot/removal.h"

enum prune_stage { PRUNE_MANIFESTS, PRUNE_PARTS, PRUNE_RECORDS, PRUNE_PACKS, PRUNE_DONE };

struct prune {
    struct removal removal;
    struct id lineage;
    uint64_t horizon; /* H for which it is done; 0: none yet */
    uint64_t lowest;  /* S of the base at H */
    uint64_t reached; /* loose records up to here were gone through for an earlier H */
    enum prune_stage stage;
    struct key resume; /* where the listing of this stage goes on; empty: at its beginning */
};

/* removal is copied, what it points to is borrowed. */
void prune_init(struct prune *prune, const struct removal *removal, const struct id *lineage);

/* Deletes some of what `horizon` (never below the one before; 0: none) allows: manifests and parts below S;
 * records at or below S, except loose opens, and packs that hold nothing else, with the blobs that they
 * dropped; the blobs that the record at H dropped. A few dozen requests at most (and what packs and the
 * record at H dropped), none once it is done. *ret_done: nothing is left to do. ERR_CORRUPT: there is no base
 * record at the horizon. */
bool prune_step(struct prune *prune, uint64_t horizon, bool *ret_done, struct err *err) CHECKED;

#endif
