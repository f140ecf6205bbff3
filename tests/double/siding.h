/* A life whose next base is due at once, so that it is cut beside its records; and what every record of that
 * life should give. */
#ifndef TESTS_DOUBLE_SIDING_H
#define TESTS_DOUBLE_SIDING_H

#include "tests/double/life.h"

enum { SIDING_STEPS_MAX = 64 };

struct siding {
    struct life life;
    struct {
        uint64_t record; /* the newest that was confirmed then */
        int64_t value;   /* of the database, at that record */
        char text[32];   /* of the file `text` */
    } steps[SIDING_STEPS_MAX];
    size_t count;
    size_t parts; /* that were PUT by the first base */
};

/* A life that has begun, with a base that restarts the state, small and large files and a database. */
bool siding_begin(struct siding *siding);
/* Holds every part from now on, ships steps until a base is under way and waits for its first part. */
bool siding_hold(struct siding *siding);
/* So many more commits and another text, which are durable then, in a record that is remembered. */
bool siding_step(struct siding *siding, uint64_t commits);
/* Waits until a base newer than the one announced by record `before` is announced; its record, or 0. */
uint64_t siding_await_base(struct siding *siding, uint64_t before);
/* The record that announced the newest base, and where that base stands. */
uint64_t siding_newest_base(struct siding *siding, uint64_t *ret_position);
/* Whether each remembered record from `from` on is what a restore of it gives, and the store verifies. */
bool siding_agrees(struct siding *siding, uint64_t from);

#endif
