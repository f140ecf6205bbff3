/* How long things took, kept one by one so that percentiles are exact. One thread at a time. */
#ifndef TESTS_BACKEND_LATENCY_H
#define TESTS_BACKEND_LATENCY_H

#include <stddef.h>
#include <stdint.h>

struct latency {
    uint64_t *times_us;
    size_t count, capacity;
};

void latency_add(struct latency *latency, uint64_t time_us);
/* Adds another's times to this. */
void latency_merge(struct latency *latency, const struct latency *other);
/* The time that so many per mille were not above; 0 if there are none. Sorts. */
uint64_t latency_at_us(struct latency *latency, unsigned per_mille);
void latency_clear(struct latency *latency);

#endif
