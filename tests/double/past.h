/* A life that has had three versions, to be rolled back: `text` and `big` (a large file) say which one it is,
 * the database has PAST_COMMITS more commits in each. The first was adopted and became a base, the others are
 * data records; the third drops what only the second names. */
#ifndef TESTS_DOUBLE_PAST_H
#define TESTS_DOUBLE_PAST_H

#include "tests/double/life_story.h"

enum { PAST_COMMITS = 2, PAST_VERSIONS = 3 };

struct past {
    struct life life;                   /* over, with the third version on its disk */
    uint64_t record[PAST_VERSIONS + 1]; /* by version: at which it was durable */
};

bool past_set_up(struct past *past);
void past_tear_down(struct past *past);

/* What the next start is told by HOLDFAST_RESTORE_AT. */
void past_ask_for(struct past *past, enum point_kind kind, uint64_t value);
/* Whether the start succeeds, and does this about it. */
bool past_starts(struct past *past, enum engine_roll_back what);
/* Whether the disk holds this version, but for `text`, which says this. */
bool past_holds(struct past *past, const char *text, int version);
/* Whether `restore --at` gives a `text` that says this. */
bool past_restores(struct past *past, uint64_t record, const char *text);

#endif
