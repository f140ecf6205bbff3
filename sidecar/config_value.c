#include "sidecar/config_value.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}, {NULL, 0},
};

static const struct unit size_units[] = {
    {"B", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
    {NULL, 0},
};

static const uint64_t duration_max_ms = UINT64_C(100) * 366 * 24 * 3600 * 1000;

/* Decimal digits only: strtoull() alone would take spaces, signs and hexadecimal. */
static bool parse_digits(const char *text, const char **ret_end, uint64_t *ret_number)
{
    char *end;

    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    *ret_end = end;
    return errno == 0;
}

static bool parse_quantity(const char *text, const struct unit *units, uint64_t max, uint64_t *ret_value)
{
    const char *end = NULL;
    uint64_t number = 0;

    if (!parse_digits(text, &end, &number))
        return false;
    if (number == 0 && *end == '\0') {
        *ret_value = 0;
        return true;
    }
    for (const struct unit *unit = units; unit->name; unit++) {
        if (strcmp(end, unit->name) != 0)
            continue;
        if (number > max / unit->factor)
            return false;
        *ret_value = number * unit->factor;
        return true;
    }
    return false;
}

bool value_duration(const char *text, uint64_t *ret_ms)
{
    return parse_quantity(text, duration_units, duration_max_ms, ret_ms);
}

bool value_size(const char *text, uint64_t *ret_bytes)
{
    return parse_quantity(text, size_units, UINT64_MAX, ret_bytes);
}

/* SIGKILL is left out: a child that can't end its work in order is killed at its deadline anyway. */
static bool can_stop(int signal)
{
    static const int stopping[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,  SIGUSR1,
                                   SIGUSR2, SIGABRT, SIGALRM, SIGWINCH, SIGPWR};

    for (size_t at = 0; at < sizeof(stopping) / sizeof(stopping[0]); at++)
        if (stopping[at] == signal)
            return true;
    return false;
}

bool value_signal(const char *text, int *ret_signal)
{
    const char *end = NULL;
    uint64_t number = 0;

    if (parse_digits(text, &end, &number)) {
        if (*end || number >= (uint64_t)SIGRTMIN || !can_stop((int)number))
            return false;
        *ret_signal = (int)number;
        return true;
    }
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (int signal = 1; signal < SIGRTMIN; signal++) {
        const char *name = sigabbrev_np(signal);
        if (name && strcasecmp(name, text) == 0 && can_stop(signal)) {
            *ret_signal = signal;
            return true;
        }
    }
    return false;
}

bool value_switch(const char *text, bool *ret_on)
{
    if ((text[0] != '0' && text[0] != '1') || text[1] != '\0')
        return false;
    *ret_on = text[0] == '1';
    return true;
}

bool value_choice(const char *text, const char *choices, unsigned *ret_index)
{
    size_t size = strlen(text);

    for (unsigned index = 0; choices; index++) {
        size_t length = strcspn(choices, "|");
        if (length == size && strncmp(choices, text, size) == 0) {
            *ret_index = index;
            return true;
        }
        choices = choices[length] ? choices + length + 1 : NULL;
    }
    return false;
}

static bool is_parent(const char *component, size_t size)
{
    return size == 2 && component[0] == '.' && component[1] == '.';
}

bool value_globs(const char *text)
{
    while (true) {
        size_t size = strcspn(text, "/:");
        if (is_parent(text, size))
            return false;
        if (size == 0 && *text == '/')
            return false;
        text += size;
        if (*text == '/')
            text += 1 + strspn(text + 1, "/");
        else if (*text == ':')
            text++;
        else
            return true;
    }
}

enum { NEAREST_SIZE_MAX = 64 };

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Levenshtein's distance, one row at a time. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NEAREST_SIZE_MAX + 1], a_size = strlen(a), b_size = strlen(b);

    if (a_size > NEAREST_SIZE_MAX || b_size > NEAREST_SIZE_MAX)
        return SIZE_MAX;
    for (size_t at = 0; at <= b_size; at++)
        row[at] = at;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_size];
}

const char *value_nearest(const char *text, const char *(*next)(void *context, size_t index), void *context)
{
    size_t size = strlen(text), least = size >= 4 ? 2 : 1; /* two letters in the wrong order count as two */
    size_t best = (size / 3 > least ? size / 3 : least) + 1;
    const char *nearest = NULL, *candidate;

    assert(next);
    for (size_t index = 0; (candidate = next(context, index)); index++) {
        size_t distance = edit_distance(text, candidate);
        if (distance < best) {
            best = distance;
            nearest = candidate;
        }
    }
    return nearest;
}
