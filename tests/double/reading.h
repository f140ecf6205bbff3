/* A store with a few points in it, and what verification says of it. */
#ifndef TESTS_DOUBLE_READING_H
#define TESTS_DOUBLE_READING_H

#include "tests/double/life.h"

/* Three versions of a small file, a large one and a database (6 commits in all), each a point at least. */
bool reading_fill(struct life *life);

struct damages {
    char keys[32][STORE_KEY_MAX + 1];
    size_t count;
};

/* reader_verify(), whose reports are kept. */
bool damages_find(struct store *store, struct damages *damages, struct err *err);
/* Whether this key was reported; a line if not. */
bool damages_name(const struct damages *damages, const char *key);

struct some_key {
    char text[STORE_KEY_MAX + 1];
    size_t skip;
};

/* The key below the prefix that so many others precede; empty if there is none. */
struct some_key key_below(struct store *store, const char *prefix, size_t skip);

#endif
