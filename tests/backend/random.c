#include "tests/backend/random.h"

#include "snapshot/digest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static uint64_t splitmix(uint64_t *seed)
{
    uint64_t mixed = (*seed += UINT64_C(0x9e3779b97f4a7c15));

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

void random_seed(struct random *random, uint64_t seed)
{
    for (size_t at = 0; at < 4; at++)
        random->state[at] = splitmix(&seed);
}

void random_seed_anew(struct random *random)
{
    uint64_t seed;
    ssize_t got = getrandom(&seed, sizeof(seed), 0);

    assert(got == (ssize_t)sizeof(seed));
    random_seed(random, seed);
}

static uint64_t rotate(uint64_t number, int bits)
{
    return (number << bits) | (number >> (64 - bits));
}

uint64_t random_next(struct random *random)
{
    uint64_t *state = random->state, result = rotate(state[1] * 5, 7) * 9, shifted = state[1] << 17;

    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 45);
    return result;
}

uint64_t random_below(struct random *random, uint64_t limit)
{
    assert(limit > 0);
    return random_next(random) % limit;
}

void random_fill(struct random *random, void *bytes, size_t size)
{
    uint8_t *at = bytes;

    while (size > 0) {
        uint64_t word = random_next(random);
        size_t piece = size < sizeof(word) ? size : sizeof(word);
        memcpy(at, &word, piece);
        at += piece;
        size -= piece;
    }
}

struct ident random_ident(struct random *random)
{
    struct ident ident;

    random_fill(random, ident.bytes, sizeof(ident.bytes));
    return ident;
}

void random_uuid(struct random *random, char text[UUID_TEXT_SIZE])
{
    struct ident ident = random_ident(random);
    const uint8_t *b = ident.bytes;

    (void)snprintf(text, UUID_TEXT_SIZE,
                   "%02x%02x%02x%02x-%02x%02x-4%x%02x-%x%x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
                   b[3], b[4], b[5], b[6] & 15, b[7], 8 + (b[8] & 3), b[8] >> 4, b[9], b[10], b[11], b[12],
                   b[13], b[14], b[15]);
}

struct ident ident_of_name(const char *name)
{
    struct digest digest = digest_of(name, strlen(name));
    struct ident ident;

    memcpy(ident.bytes, digest.bytes, sizeof(ident.bytes));
    return ident;
}

void ident_text(const struct ident *ident, char text[IDENT_TEXT_SIZE])
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";

    for (size_t at = 0; at < IDENT_TEXT_SIZE - 1; at++)
        text[at] = digits[(ident->bytes[at / 2] >> (at % 2 ? 4 : 0)) & 15];
    text[IDENT_TEXT_SIZE - 1] = '\0';
}
