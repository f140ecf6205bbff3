/* SHA-256 and HMAC-SHA-256, the only way this program hashes anything that must not be forged.
 *
 * The only module that knows OpenSSL. A failure inside the library means that its memory or its installation
 * is broken, which no caller could act upon: it aborts. Any thread may call everything here. */
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

bool digest_equal(const struct digest *one, const struct digest *other);

/* 64 lower-case hexadecimal digits and a NUL. */
void digest_hex(const struct digest *digest, char text[DIGEST_TEXT_SIZE]);
/* Reads exactly what digest_hex() writes; false for anything else, upper case and trailing bytes included. */
bool digest_parse(const char *text, struct digest *ret_digest);

#endif
