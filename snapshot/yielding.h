/* Leaving the log alone now and then: an owner that appends back to back would always be one record ahead of
 * a claimant, whose LIST, GET and PUT take longer than one append (protocol.md, H14). So after 2 s without a
 * gap it makes one of 200 ms. Pure: time is passed in. */
#ifndef SNAPSHOT_YIELDING_H
#define SNAPSHOT_YIELDING_H

#include <stdint.h>

enum { YIELDING_EVERY_MS = 2000, YIELDING_GAP_MS = 200 };

struct yielding {
    uint64_t busy_since_ms; /* when appending without a gap began; valid if ended_ms is not 0 */
    uint64_t ended_ms;      /* when the newest append ended; 0: none yet */
};

/* An append went out and was answered, in whatever way. */
void yielding_note_append(struct yielding *yielding, uint64_t begun_ms, uint64_t ended_ms);
/* When the next append may begin; 0: at once. */
uint64_t yielding_until_ms(const struct yielding *yielding);

#endif
