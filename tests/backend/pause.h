/* Letting time pass, where time itself is what is wanted: a rate, a delay that a test asked for, the pause
 * between two tries. Any thread. */
#ifndef TESTS_BACKEND_PAUSE_H
#define TESTS_BACKEND_PAUSE_H

#include <stdint.h>

void pause_ms(uint64_t ms);

/* Until that time of the monotonic clock, in ns; at once if it has passed. */
void pause_until(uint64_t due_ns);

/* When the next of several events comes, that are interval_ns apart: waits for it. After a late one the
 * following ones don't hurry. *due_ns is 0 at first. */
void pause_pace(uint64_t *due_ns, uint64_t interval_ns);

#endif
