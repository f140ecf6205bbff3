#include "base/clock.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    PAUSE_SLICE_MS = 20,
    TICK_MAX_MS = 20, /* of the clock that stamps files; 10 ms at 100 Hz is the longest of a kernel's */
};

static uint64_t read_clock_ns(clockid_t clock)
{
    struct timespec now;
    int failed = clock_gettime(clock, &now);

    assert(!failed);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return read_clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_ns() / NS_PER_MS;
}

uint64_t clock_unix_ns(void)
{
    return read_clock_ns(CLOCK_REALTIME);
}

uint64_t clock_stamp_ns(void)
{
    return read_clock_ns(CLOCK_REALTIME_COARSE);
}

bool clock_pause(uint64_t span_ms, const atomic_bool *canceled)
{
    uint64_t until_ms = clock_monotonic_ms() + span_ms;

    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        uint64_t slice_ms = now_ms >= until_ms ? 0 : until_ms - now_ms;
        struct timespec slice;
        if (canceled && atomic_load(canceled))
            return false;
        if (slice_ms == 0)
            return true;
        if (slice_ms > PAUSE_SLICE_MS)
            slice_ms = PAUSE_SLICE_MS;
        slice = (struct timespec){.tv_nsec = (long)(slice_ms * NS_PER_MS)};
        (void)nanosleep(&slice, NULL);
    }
}

void clock_pass_stamp(int64_t stamp_ns)
{
    for (int waited_ms = 0; waited_ms < TICK_MAX_MS; waited_ms++)
        if ((int64_t)clock_stamp_ns() > stamp_ns || !clock_pause(1, NULL))
            return;
}

void clock_format(uint64_t unix_ns, char text[CLOCK_TEXT_SIZE])
{
    time_t seconds = (time_t)(unix_ns / NS_PER_SECOND);
    unsigned ms = (unsigned)(unix_ns % NS_PER_SECOND / NS_PER_MS);
    struct tm utc = {0};
    char second[24];

    (void)gmtime_r(&seconds, &utc);
    (void)strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text, CLOCK_TEXT_SIZE, "%s.%03uZ", second, ms);
}

/* timegm() would quietly turn February 30 into March 2; what it gives back must be what was asked. */
static bool seconds_of(const struct tm *utc, uint64_t *ret_seconds)
{
    struct tm normal = *utc;
    time_t seconds = timegm(&normal);

    if (seconds < 0 || normal.tm_year != utc->tm_year || normal.tm_mon != utc->tm_mon ||
        normal.tm_mday != utc->tm_mday || normal.tm_hour != utc->tm_hour || normal.tm_min != utc->tm_min ||
        normal.tm_sec != utc->tm_sec)
        return false;
    *ret_seconds = (uint64_t)seconds;
    return true;
}

/* Reads exactly `digits` decimal digits and moves on. */
static bool take_number(const char **at, int digits, int *ret_number)
{
    int number = 0;

    for (int digit = 0; digit < digits; digit++) {
        if (!isdigit((unsigned char)**at))
            return false;
        number = number * 10 + (*(*at)++ - '0');
    }
    *ret_number = number;
    return true;
}

static bool take_character(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    (*at)++;
    return true;
}

static bool take_fraction(const char **at, uint64_t *ret_ns)
{
    uint64_t unit = NS_PER_SECOND / 10;
    uint64_t ns = 0;

    if (!take_character(at, '.')) {
        *ret_ns = 0;
        return true;
    }
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++, unit /= 10) {
        if (unit == 0)
            return false;
        ns += unit * (uint64_t)(**at - '0');
    }
    *ret_ns = ns;
    return true;
}

bool clock_parse(const char *text, uint64_t *ret_unix_ns, struct err *err)
{
    struct tm utc = {0};
    const char *at = text;
    uint64_t seconds = 0, ns = 0;
    bool parsed =
        take_number(&at, 4, &utc.tm_year) && take_character(&at, '-') && take_number(&at, 2, &utc.tm_mon) &&
        take_character(&at, '-') && take_number(&at, 2, &utc.tm_mday) && take_character(&at, 'T') &&
        take_number(&at, 2, &utc.tm_hour) && take_character(&at, ':') && take_number(&at, 2, &utc.tm_min) &&
        take_character(&at, ':') && take_number(&at, 2, &utc.tm_sec) && take_fraction(&at, &ns) &&
        take_character(&at, 'Z') && *at == '\0';

    utc.tm_year -= 1900;
    utc.tm_mon -= 1;
    if (!parsed || !seconds_of(&utc, &seconds))
        return err_set(err, ERR_CONFIG, "\"%.60s\" is not a time; write it like 2026-11-21T10:00:00.123Z",
                       text);
    /* The year 9999 is a way to say "the end": it must not wrap around to the past. */
    if (__builtin_mul_overflow(seconds, NS_PER_SECOND, &seconds) ||
        __builtin_add_overflow(seconds, ns, ret_unix_ns))
        *ret_unix_ns = UINT64_MAX;
    return true;
}

static bool take_month(const char **at, int *ret_month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int month = 0; month < 12; month++) {
        if (strncmp(*at, names + month * 3, 3) == 0) {
            *at += 3;
            *ret_month = month;
            return true;
        }
    }
    return false;
}

bool clock_parse_http_date(const char *text, uint64_t *ret_unix_ns)
{
    struct tm utc = {0};
    const char *at = strchr(text, ',');
    uint64_t seconds = 0;

    if (!at)
        return false;
    at++;
    if (!take_character(&at, ' ') || !take_number(&at, 2, &utc.tm_mday) || !take_character(&at, ' ') ||
        !take_month(&at, &utc.tm_mon) || !take_character(&at, ' ') || !take_number(&at, 4, &utc.tm_year) ||
        !take_character(&at, ' ') || !take_number(&at, 2, &utc.tm_hour) || !take_character(&at, ':') ||
        !take_number(&at, 2, &utc.tm_min) || !take_character(&at, ':') || !take_number(&at, 2, &utc.tm_sec) ||
        strncmp(at, " GMT", 4) != 0)
        return false;
    utc.tm_year -= 1900;
    if (!seconds_of(&utc, &seconds) || seconds > UINT64_MAX / NS_PER_SECOND)
        return false;
    *ret_unix_ns = seconds * NS_PER_SECOND;
    return true;
}
