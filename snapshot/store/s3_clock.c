#include "snapshot/store/s3_clock.h"

#include "base/clock.h"

/* Date has whole seconds, cut off, so that a later one may seem to be up to a second behind. */
enum { JITTER_S = 2 };

void s3_clock_note(struct s3_clock *clock, uint64_t date_unix_ns)
{
    long long offset_ns = (long long)date_unix_ns - (long long)clock_monotonic_ns();
    long long known_ns = atomic_load(&clock->offset_ns);

    if (known_ns == 0 || offset_ns > known_ns || offset_ns < known_ns - JITTER_S * (long long)NS_PER_SECOND)
        atomic_store(&clock->offset_ns, offset_ns);
}

uint64_t s3_clock_unix_ns(const struct s3_clock *clock)
{
    long long offset_ns = atomic_load(&clock->offset_ns);

    return offset_ns == 0 ? clock_unix_ns() : clock_monotonic_ns() + (uint64_t)offset_ns;
}

int64_t s3_clock_skew_ns(const struct s3_clock *clock)
{
    return (int64_t)(s3_clock_unix_ns(clock) - clock_unix_ns()) * (atomic_load(&clock->offset_ns) != 0);
}

uint64_t s3_clock_signing_s(const struct s3_clock *clock)
{
    return clock_unix_ns() / NS_PER_SECOND + (uint64_t)atomic_load(&clock->correction_s);
}

void s3_clock_correct(struct s3_clock *clock)
{
    atomic_store(&clock->correction_s, s3_clock_skew_ns(clock) / (long long)NS_PER_SECOND);
}
