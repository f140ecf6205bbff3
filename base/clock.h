/* Time. Deadlines and durations use the monotonic clock; the wall clock only labels things. No decision about
 * who owns the log ever looks at a clock. Any thread may call everything here. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

enum { CLOCK_TEXT_SIZE = 32 };

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SECOND UINT64_C(1000000000)

/* Of a time that a file has. */
static inline int64_t clock_ns_of(struct timespec time)
{
    return (int64_t)time.tv_sec * (int64_t)NS_PER_SECOND + time.tv_nsec;
}

uint64_t clock_monotonic_ns(void);
uint64_t clock_monotonic_ms(void);
uint64_t clock_unix_ns(void);
/* The wall clock as the kernel stamps files with it: it moves some 100 to 1000 times a second
 * (clock_gettime(2), CLOCK_REALTIME_COARSE). */
uint64_t clock_stamp_ns(void);

/* Waits until what is written from now on to a file has another time than stamp_ns (of its ctime), so that
 * what is read after that can't change and keep it. At most 20 ms, however the clock was set. Any thread. */
void clock_pass_stamp(int64_t stamp_ns);

/* Lets span_ms pass. False as soon as *canceled (NULL: nobody cancels) is seen to be true, which is looked at
 * first and then every 20 ms. For pauses that no event could end sooner; everything else waits for an event.
 */
bool clock_pause(uint64_t span_ms, const atomic_bool *canceled) CHECKED;

/* RFC 3339 in UTC with milliseconds, `2026-11-21T10:00:00.123Z`. */
void clock_format(uint64_t unix_ns, char text[CLOCK_TEXT_SIZE]);

/* RFC 3339 with optional fraction (up to 9 digits) and `Z`; anything else is ERR_CONFIG. A time after the
 * year 2554, which nanoseconds can't count, is UINT64_MAX. */
bool clock_parse(const char *text, uint64_t *ret_unix_ns, struct err *err) CHECKED;

/* The Date header of HTTP, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7, the fixed form only). False if
 * it isn't. */
bool clock_parse_http_date(const char *text, uint64_t *ret_unix_ns) CHECKED;

#endif
