/* Retention: which bases stay, and the deletion of what none of them needs (docs/DESIGN.md, Packing and
 * pruning).
 *
 * Nothing is pruned except by the horizon of a base record that is confirmed. Deleting is safe to repeat or
 * to leave undone, in any order; what a crash leaves behind costs space and nothing else. One thread. */
#ifndef SNAPSHOT_RETAIN_H
#define SNAPSHOT_RETAIN_H

#include "snapshot/log.h"

/* An announced base, as far as retention needs it. */
struct retain_base {
    uint64_t record; /* position of its base record */
    uint64_t lowest_position;
    uint64_t position;
    uint64_t time_ns;
    struct key manifest;
    struct blob_name *dropped; /* by its record; owned */
    size_t dropped_count;
};

struct retain {
    struct retain_base *bases; /* ascending; the first may not be the oldest yet: `before` */
    size_t count;
    uint64_t before;  /* the base record that still has to be read, going back; 0: all are known */
    uint64_t pruned;  /* loose records up to here were looked at */
    uint64_t horizon; /* of the newest confirmed base record */
};

void retain_init(struct retain *retain, const struct record_header *head);
void retain_clear(struct retain *retain);

/* Reads up to 32 older base records, until all down to the horizon are known. */
bool retain_learn(struct retain *retain, struct store *store, const struct id *lineage,
                  struct err *err) CHECKED;

/* The horizon that a base record at `position` may state: the newest base older than retention_ms at now_ns,
 * the oldest one if none is, itself if there is no other. Never below the horizon before. */
uint64_t retain_horizon(const struct retain *retain, uint64_t position, uint64_t now_ns,
                        uint64_t retention_ms);

/* A base record was confirmed. base->dropped is taken. */
void retain_add(struct retain *retain, const struct retain_base *base, uint64_t horizon);

/* Deletes what the horizon allows: blobs dropped by records at or below it, manifests below it and their
 * parts, loose records at or below its base's S, except opens and the head. */
bool retain_prune(struct retain *retain, struct store *store, const struct id *lineage, uint64_t head,
                  struct err *err) CHECKED;

#endif
