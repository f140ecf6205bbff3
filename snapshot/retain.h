/* Retention: which bases stay, and the deletion of what none of them needs (docs/DESIGN.md, Packing and
 * pruning).
 *
 * Nothing is pruned except by the horizon of a base record that is confirmed. Deleting is safe to repeat or
 * to leave undone, in any order; what a crash leaves behind is found again by the next owner. One thread. */
#ifndef SNAPSHOT_RETAIN_H
#define SNAPSHOT_RETAIN_H

#include "base/thread.h"
#include "snapshot/log.h"

/* An announced base. There may be hundreds of thousands of them, so what its record says is read again when
 * it is needed. */
struct retain_base {
    uint64_t record; /* position of its base record */
    uint64_t time_ns;
};

struct retain {
    struct store *store; /* with retry */
    struct pool *pool;   /* deletes in parallel */
    const atomic_bool *canceled;
    struct id lineage;
    uint64_t epoch;   /* of this owner: every record above it is its own, and none of them is an open */
    uint64_t horizon; /* of the newest confirmed base record */

    struct retain_base *bases; /* ascending, from bases[first] on: known in both directions */
    size_t first;
    size_t count;
    size_t capacity;
    uint64_t before;   /* the base record that still has to be read, going back; 0: all are known */
    uint64_t pruned;   /* loose records up to here are gone, but for opens */
    uint64_t finished; /* the horizon for which nothing is left to do */
    struct key resume; /* where the listing of loose records goes on; empty: at the horizon's base */
};

/* head: the newest record, which is this owner's. The rest is borrowed. */
void retain_init(struct retain *retain, struct store *store, struct pool *pool, const atomic_bool *canceled,
                 const struct record_header *head);
void retain_clear(struct retain *retain);

/* Reads up to 32 older base records, until all are known: down to the horizon, and further as long as they
 * are there, which is what an owner that ended half-way has left to be pruned. */
bool retain_learn(struct retain *retain, struct err *err) CHECKED;

/* The horizon that a base record at `position` may state: the newest base older than retention_ms at now_ns,
 * the oldest one if none is, itself if there is no other. Never below the horizon before. */
uint64_t retain_horizon(const struct retain *retain, uint64_t position, uint64_t now_ns,
                        uint64_t retention_ms);

/* A base record was confirmed. */
void retain_add(struct retain *retain, const struct retain_base *base, uint64_t horizon);

/* Deletes some of what the horizon allows: blobs dropped by records at or below it, manifests below it and
 * their parts, loose records at or below its base's S, except opens and the head. A few dozen requests at
 * most; the next call goes on. *ret_done: nothing is left to do. */
bool retain_prune(struct retain *retain, uint64_t head, bool *ret_done, struct err *err) CHECKED;

#endif
