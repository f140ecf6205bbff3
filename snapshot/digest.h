/* SHA-256 and HMAC-SHA-256, the only way this program hashes anything that must not be forged.
 *
 * The only module that knows OpenSSL. A failure inside the library means that its memory or its installation
 * is broken, which no caller could act upon: it aborts. Any thread may call everything here; one
 * digest_context belongs to one thread at a time. */
#ifndef SNAPSHOT_DIGEST_H
#define SNAPSHOT_DIGEST_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SIZE = 32, DIGEST_TEXT_SIZE = 2 * DIGEST_SIZE + 1 };

struct digest {
    uint8_t bytes[DIGEST_SIZE];
};

/* SHA-256 of size bytes (bytes may be NULL when size is 0). */
struct digest digest_of(const void *bytes, size_t size);

/* HMAC-SHA-256 of a message under a key of any length. */
struct digest digest_hmac(const void *key, size_t key_size, const void *bytes, size_t size);

/* SHA-256 of bytes that arrive in pieces:
 *
 *     CLEANUP(digest_clearp) struct digest_context context = {0};
 *     digest_init(&context);
 *     digest_update(&context, piece, piece_size);   (any number of times)
 *     digest = digest_final(&context);
 */
struct digest_context {
    void *state; /* OpenSSL's; NULL when nothing is held */
};

/* Begins a new digest; the context is zeroed memory or one used before. */
void digest_init(struct digest_context *context);
void digest_update(struct digest_context *context, const void *bytes, size_t size);
/* The digest of all that was added since digest_init(), which has to be called again before the next
 * addition. */
struct digest digest_final(struct digest_context *context);
/* Frees what the context holds; it may be initialised again. Needed once at the end of its life. */
void digest_clear(struct digest_context *context);

bool digest_equal(const struct digest *one, const struct digest *other);

/* 64 lower-case hexadecimal digits and a NUL. */
void digest_hex(const struct digest *digest, char text[DIGEST_TEXT_SIZE]);
/* Reads exactly what digest_hex() writes; false for anything else, upper case and trailing bytes included. */
bool digest_parse(const char *text, struct digest *ret_digest);

static inline void digest_clearp(struct digest_context *context)
{
    digest_clear(context);
}

#endif
