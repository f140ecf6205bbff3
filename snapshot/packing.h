/* Moving records from log/ into packs: what an owner does now and then, beside its shipping.
 *
 * Only confirmed records go in, proved by the chain of their hashes, and the newest never does. A loose
 * record is deleted when its pack is stored and the whole run was proved; an open never is (a stale owner's
 * next append has to meet one). Each step is safe to repeat and to leave undone: only the newest packs can
 * have loose records left, and whoever packs next deletes them first. */
#ifndef SNAPSHOT_PACKING_H
#define SNAPSHOT_PACKING_H

#include "snapshot/chain.h"
#include "snapshot/removal.h"

struct packing {
    struct removal removal; /* the store, and with what to delete */
    struct id lineage;
    bool begun;                  /* `reached` is known, and the packs have no loose records left */
    struct chain_anchor reached; /* up to here records are packed, or too large to be */
    bool knows_hash;             /* of `reached` */
};

/* removal is copied, what it points to is borrowed. */
void packing_init(struct packing *packing, const struct removal *removal, const struct id *lineage);

/* Packs full runs of what is loose up to `through`, a confirmed record that isn't the newest: at most about a
 * thousand records at a time. Blocks; any one thread. */
bool packing_run(struct packing *packing, const struct chain_anchor *through, struct err *err) CHECKED;

#endif
