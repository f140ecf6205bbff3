/* Random numbers that a seed repeats (xoshiro256**, public domain by Blackman and Vigna, seeded by
 * splitmix64), and identifiers made of them. One struct belongs to one thread. */
#ifndef TESTS_BACKEND_RANDOM_H
#define TESTS_BACKEND_RANDOM_H

#include <stddef.h>
#include <stdint.h>

enum { IDENT_SIZE = 16, IDENT_TEXT_SIZE = 33, UUID_TEXT_SIZE = 37 };

struct random {
    uint64_t state[4];
};

/* The identifier of a document, a table or an index. */
struct ident {
    uint8_t bytes[IDENT_SIZE];
};

void random_seed(struct random *random, uint64_t seed);
/* Seeds from the kernel. */
void random_seed_anew(struct random *random);

uint64_t random_next(struct random *random);
/* 0 to limit - 1; limit is not 0. */
uint64_t random_below(struct random *random, uint64_t limit);
void random_fill(struct random *random, void *bytes, size_t size);

struct ident random_ident(struct random *random);
/* A version 4 UUID, as the names of blobs are. */
void random_uuid(struct random *random, char text[UUID_TEXT_SIZE]);

/* The identifier that a name always has: for tables and indexes. */
struct ident ident_of_name(const char *name);
/* 32 characters of a-z and 2-7, about as long as Convex writes its own. */
void ident_text(const struct ident *ident, char text[IDENT_TEXT_SIZE]);

#endif
