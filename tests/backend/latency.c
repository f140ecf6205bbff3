#include "tests/backend/latency.h"

#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>

void latency_add(struct latency *latency, uint64_t time_us)
{
    if (latency->count == latency->capacity) {
        latency->capacity = latency->capacity ? latency->capacity * 2 : 1024;
        latency->times_us = xrealloc(latency->times_us, latency->capacity * sizeof(*latency->times_us));
    }
    latency->times_us[latency->count++] = time_us;
}

void latency_merge(struct latency *latency, const struct latency *other)
{
    for (size_t at = 0; at < other->count; at++)
        latency_add(latency, other->times_us[at]);
}

static int compare(const void *one, const void *other)
{
    uint64_t left = *(const uint64_t *)one, right = *(const uint64_t *)other;

    return (left > right) - (left < right);
}

uint64_t latency_at_us(struct latency *latency, unsigned per_mille)
{
    assert(per_mille <= 1000);
    if (latency->count == 0)
        return 0;
    qsort(latency->times_us, latency->count, sizeof(*latency->times_us), compare);
    return latency->times_us[(latency->count - 1) * per_mille / 1000];
}

void latency_clear(struct latency *latency)
{
    free(latency->times_us);
    *latency = (struct latency){0};
}
