/* The store's clock, from the Date headers of its answers, carried on by the monotonic clock. Any thread. */
#ifndef SNAPSHOT_STORE_S3_CLOCK_H
#define SNAPSHOT_STORE_S3_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

struct s3_clock {
    atomic_llong offset_ns;    /* the store's time minus the monotonic clock; 0: unknown */
    atomic_llong correction_s; /* what is added to the local clock for a signature */
};

/* Takes a Date that came in just now. */
void s3_clock_note(struct s3_clock *clock, uint64_t date_unix_ns);
/* The local clock if no Date was ever seen. */
uint64_t s3_clock_unix_ns(const struct s3_clock *clock);
/* The store's clock minus the local one; 0 if no Date was ever seen. */
int64_t s3_clock_skew_ns(const struct s3_clock *clock);

/* The time to sign a request with: the local clock, which the operator is responsible for, until… */
uint64_t s3_clock_signing_s(const struct s3_clock *clock);
/* …the store has refused it after having taken it before (a virtual machine that slept): from then on the
 * store's. */
void s3_clock_correct(struct s3_clock *clock);

#endif
