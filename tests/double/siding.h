/* A life in which bases are asked for, and cut beside its records; and what every record of that life should
 * give. */
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
};

enum { SIDING_LOG_MAX = 1 << 20 }; /* by which a log may grow under a frozen database */

/* A life that has begun, with a base that restarts the state, small and large files and a database of so many
 * MiB that can't be compressed (0: a small one). */
bool siding_begin(struct siding *siding, unsigned mib);
/* Commits so many MiB more, one by one. */
bool siding_grow(struct siding *siding, unsigned mib);
/* From now on a base is due. */
bool siding_ask(struct siding *siding);
/* Holds every part from now on, asks for a base and waits for its first part. */
bool siding_hold(struct siding *siding);
/* The two halves of a step: writes the next text; and when it is durable, remembers the newest record. */
void siding_write(struct siding *siding);
void siding_note(struct siding *siding);
/* So many more commits and another text, which are durable then, in a record that is remembered. */
bool siding_step(struct siding *siding, uint64_t commits);
/* Waits until a base newer than the one announced by record `before` is announced; its record, or 0. */
uint64_t siding_await_base(struct siding *siding, uint64_t before);
/* The record that announced the newest base, and where that base stands. */
uint64_t siding_newest_base(struct siding *siding, uint64_t *ret_position);
/* Whether each remembered record from `from` on is what a restore of it gives, and the store verifies. */
bool siding_agrees(struct siding *siding, uint64_t from);

#endif
