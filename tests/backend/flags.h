/* The command line: `--name VALUE`, `--name=VALUE`, or `--name` alone for a switch. A flag given twice is an
 * error unless it is a list: Convex's parser (clap) refuses it too, and an entrypoint that adds a second
 * `--port` has to meet that here. */
#ifndef TESTS_BACKEND_FLAGS_H
#define TESTS_BACKEND_FLAGS_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { FLAG_LIST_MAX = 8 };

enum flag_kind {
    FLAG_TEXT,   /* const char * */
    FLAG_NUMBER, /* uint64_t */
    FLAG_SIZE,   /* uint64_t: 4096, 64KiB, 1GiB */
    FLAG_RATE,   /* uint64_t: a number above 0, or "max", which is 0 */
    FLAG_SWITCH, /* bool */
    FLAG_LIST,   /* struct flag_list */
};

struct flag_list {
    const char *values[FLAG_LIST_MAX];
    size_t count;
};

struct flag {
    const char *name;
    enum flag_kind kind;
    void *target; /* holds the default until the flag is seen */
    bool required;
    bool seen;
};

/* Fills the targets from arguments (without the program's name). ERR_CONFIG names the flag. Values point into
 * arguments. */
bool flags_parse(struct flag *flags, size_t flag_count, int count, char **arguments, struct err *err) CHECKED;

/* The decimal number at *text, which then points behind it; false, with *text unchanged, if there is none. */
bool take_number(const char **text, uint64_t *ret_number) CHECKED;
/* A whole decimal number; false for anything else. */
bool parse_number(const char *text, uint64_t *ret_number) CHECKED;

#endif
