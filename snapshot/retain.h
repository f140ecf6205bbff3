/* Retention: which bases stay, and which of them is the horizon (docs/DESIGN.md, Retention).
 *
 * What lies below the horizon is prune.c's to delete, and what was never announced sweep.c's. One thread. */
#ifndef SNAPSHOT_RETAIN_H
#define SNAPSHOT_RETAIN_H

#include "snapshot/log.h"

/* An announced base. */
struct retain_base {
    uint64_t record; /* position of its base record */
    uint64_t time_ns;
    /* What is in its manifest's key: of those found at the takeover; 0 for this owner's own. */
    uint64_t position;
    uint64_t n;
    struct id owner;
    bool is_lost; /* its record can't be read: nothing but `record` is known */
};

struct retain {
    struct store *store; /* with retry */
    struct id lineage;
    uint64_t horizon; /* of the newest confirmed base record */

    struct retain_base *bases; /* ascending, from bases[first] on; none below the horizon */
    size_t first;
    size_t count;
    size_t capacity;
    uint64_t before;   /* the base record that still has to be read, going back; 0: all are known */
    struct err damage; /* of the first base record that can't be read, beginning with its key */
};

/* head: the newest record, which is this owner's. The rest is borrowed. */
void retain_init(struct retain *retain, struct store *store, const struct record_header *head);
void retain_clear(struct retain *retain);

/* Reads up to 32 older base records, until all are known down to the horizon. One that is damaged or missing
 * is noted in retain->damage and stepped over. */
bool retain_learn(struct retain *retain, struct err *err) CHECKED;

/* The horizon that a base record at `position` may state: the newest base older than retention_ms at now_ns,
 * the oldest one if none is, itself if there is no other. Never below the horizon before, and never moved to
 * one that is lost. */
uint64_t retain_horizon(const struct retain *retain, uint64_t position, uint64_t now_ns,
                        uint64_t retention_ms);

/* A base record was confirmed. */
void retain_add(struct retain *retain, const struct retain_base *base, uint64_t horizon);

/* Whether a base record from the horizon on announces a manifest at this position by this process; n: that
 * very one (NULL: any). true too if one that is lost may announce it. For positions below this owner's open,
 * once all bases are known (asserted). */
bool retain_announces(const struct retain *retain, uint64_t position, const struct id *owner,
                      const uint64_t *n);

/* The base record before the newest one, or the newest if the horizon has left no other; 0: there is none. */
uint64_t retain_last_but_one(const struct retain *retain);

#endif
