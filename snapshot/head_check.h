/* Noticing a takeover without appending: an owner that has had nothing to append for 5 s and goes on serving
 * asks whether somebody else has written the next record. This bounds how long stale answers can be given
 * (protocol.md, H12). With no traffic there is no request at all. The engine's thread. */
#ifndef SNAPSHOT_HEAD_CHECK_H
#define SNAPSHOT_HEAD_CHECK_H

#include "snapshot/log.h"

enum { HEAD_CHECK_EVERY_MS = 5000 };

/* When to look. Zero at the beginning. */
struct head_check {
    uint64_t record;       /* the newest confirmed one that was seen */
    uint64_t confirmed_ms; /* when */
    uint64_t looked_ms;    /* at the log, the last time; 0: not yet */
    uint64_t traffic;      /* the count as it was in the round before */
};

/* Called in each round. record: the newest confirmed one; traffic: a count that grows with everything that is
 * forwarded to the backend. True: look now; it counts as done. What was asked within 5 s of a confirmed
 * record or of a look needs none. */
bool head_check_is_due(struct head_check *check, uint64_t record, uint64_t traffic, uint64_t now_ms);

/* HEAD of the next record, by one attempt, and GET if there is one. ERR_FENCED: it is another's. Anything
 * that isn't certain succeeds, since the next look or the next append will tell: a store that can't be
 * reached, bytes that are damaged. *ret_landed: it is the record that is in flight; log_send() confirms it.
 */
bool head_check_look(const struct log *log, bool *ret_landed, struct err *err) CHECKED;

#endif
