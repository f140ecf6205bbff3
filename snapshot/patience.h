/* How long a claimant waits before it takes over: for a predecessor that is about to end, and in a duel.
 *
 * No wait is needed for safety; the log is the lock. They spare an application that is just ending from being
 * cut off, and they slow down two containers that would fence each other for ever. Pure: time is passed in.
 */
#ifndef SNAPSHOT_PATIENCE_H
#define SNAPSHOT_PATIENCE_H

#include "snapshot/engine.h"
#include "snapshot/record.h"

/* What one claim has seen so far; zero at its beginning, kept while the log is surveyed again. */
struct patience {
    uint64_t first_sight_ms; /* of somebody to wait for; 0: none yet */
    bool dueled;             /* the wait of a duel is over */
};

/* For the predecessor's close: until the end that its drain announced, or as HOLDFAST_PREDECESSOR says; never
 * longer than HOLDFAST_TAKEOVER_WAIT from first sight, however often the log moves meanwhile. now_ns: the
 * store's clock. */
uint64_t patience_handover_ms(struct patience *patience, const struct engine_config *config,
                              const struct record_header *head, uint64_t now_ns, uint64_t now_ms);

/* Opens without a close of the last 10 minutes that a header tells of; at most RECORD_OPENS. */
unsigned patience_opens(const struct record_header *header, uint64_t now_ns);

enum { PATIENCE_DUEL_OPENS = 3 };

/* The wait of a claimant that found so many: 1 s after three, and twice as long for each one more, up to
 * duel_wait_ms. */
uint64_t patience_duel_ms(unsigned opens, uint64_t duel_wait_ms);

#endif
