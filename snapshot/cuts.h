/* The places at which what waits in the outbox may be cut into records.
 *
 * A record ends at one moment of all databases, or a restore to it could show the later of two commits
 * without the earlier one. Between two such moments it can't be cut, so they are remembered while they pass:
 * after hours without a store what waits is cut into many records instead of one that nothing could hold. One
 * thread. */
#ifndef SNAPSHOT_CUTS_H
#define SNAPSHOT_CUTS_H

#include "snapshot/state.h"

struct cut {
    uint64_t end;             /* of the outbox: below it lies what was committed until then */
    uint64_t position;        /* the follower's, then */
    uint64_t commits;         /* as deletions count them */
    struct state_point point; /* the databases' marks, then */
};

enum { CUTS_MAX = 256 };

struct cuts {
    struct cut list[CUTS_MAX]; /* ascending */
    size_t count;
};

void cuts_clear(struct cuts *cuts);
/* Adds the newest (its point is moved). One that ends where the one before does replaces it. When there are
 * too many, one goes: what lies around it goes into one record. */
void cuts_add(struct cuts *cuts, struct cut *cut);
/* The newest one that ends at or below `end`; the oldest if all end above it; NULL if there is none. */
struct cut *cuts_choose(struct cuts *cuts, uint64_t end);
/* Drops those that end at or below `end`. */
void cuts_release(struct cuts *cuts, uint64_t end);

#endif
