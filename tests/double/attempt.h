/* One restore of a story: a base and the records behind it. */
#ifndef TESTS_DOUBLE_ATTEMPT_H
#define TESTS_DOUBLE_ATTEMPT_H

#include "snapshot/replay.h"
#include "tests/double/scratch.h"
#include "tests/double/story.h"

/* One restore: from the base that `announced` announces to record `through`. */
struct attempt {
    struct story *story;
    struct store *store; /* NULL: the story's */
    uint64_t announced;
    uint64_t through;
    bool staged; /* into a directory that holds something */
    bool described_only;
    struct scratch disk;
    struct manifest manifest;
    struct err err;
};

/* False with attempt->err. The caller clears it in both cases. */
bool attempt_carry_out(struct attempt *attempt);
void attempt_clear(struct attempt *attempt);

/* A data record's put of something without content: a directory, an empty file, a symlink to /tmp. */
void attempt_put_plain(struct buf *body, enum entry_kind kind, const char *path);

#endif
