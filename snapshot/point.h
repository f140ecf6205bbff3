/* A point of the log as a person names it: by a record's number, or by a time. Pure functions; any thread. */
#ifndef SNAPSHOT_POINT_H
#define SNAPSHOT_POINT_H

#include "base/err.h"

#include <stdint.h>

/* The numbers are those of docs/FORMAT.md. */
enum point_kind { POINT_NONE = 0, POINT_RECORD = 1, POINT_TIME = 2 };

struct point {
    enum point_kind kind;
    uint64_t value; /* the record's number, from 1 on; nanoseconds since 1970; 0 for none */
};

/* A decimal record number, or RFC 3339 with optional fraction and `Z`; false for anything else. */
bool point_parse(const char *text, struct point *ret_point) CHECKED;

/* Whether both name the same thing, however it was written. */
bool point_equal(const struct point *left, const struct point *right);

#endif
