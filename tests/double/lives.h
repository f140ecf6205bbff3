/* Lives that are drawn at random, each by a seed that tells which it was. */
#ifndef TESTS_DOUBLE_LIVES_H
#define TESTS_DOUBLE_LIVES_H

#include "tests/tap.h"

#include <stdio.h>
#include <stdlib.h>

/* Calls live_through with a seed for each of so many lives, until one fails, whose seed it tells. TEST_LIVES
 * says how many there are instead, TEST_SEED where they begin. */
static inline void lives_draw(unsigned lives, void (*live_through)(unsigned seed))
{
    const char *count = getenv("TEST_LIVES"), *first = getenv("TEST_SEED");
    unsigned long seed = first ? strtoul(first, NULL, 10) : 1;
    unsigned long end = seed + (count ? strtoul(count, NULL, 10) : lives);

    tap_allow_ms(3600 * 1000);
    for (; seed < end && tap_failures == 0; seed++) {
        live_through((unsigned)seed);
        if (tap_failures > 0)
            printf("# seed %lu\n", seed);
    }
}

#endif
