/* When Convex writes without being asked, and what (facts/convex.md 2.7 and its opening, 3). Only the times:
 * the committer does the writing. Not thread-safe. */
#ifndef TESTS_BACKEND_BACKGROUND_H
#define TESTS_BACKEND_BACKGROUND_H

#include <stdbool.h>
#include <stdint.h>

enum { BACKGROUND_WRITES = 3 };

struct background {
    bool enabled;
    uint64_t bumped_ms;                 /* the last successful write of max_repeatable_ts */
    uint64_t due_ms[BACKGROUND_WRITES]; /* 0: none */
    uint64_t pause_ms;                  /* before a failed write is tried again */
};

/* Takes note of a mutation's commit. */
void background_note_commit(struct background *background, uint64_t now_ms);
/* When the next write is due; UINT64_MAX if none is. */
uint64_t background_next_ms(const struct background *background);
/* The global that is due now, or NULL. */
const char *background_take(struct background *background, uint64_t now_ms);
/* Says how the write of the global that was taken went; a failed one comes again, later each time. */
void background_done(struct background *background, const char *global, bool written, uint64_t now_ms);

#endif
