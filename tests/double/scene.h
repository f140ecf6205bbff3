/* A database with an application that commits to it, attached by the test. */
#ifndef TESTS_DOUBLE_SCENE_H
#define TESTS_DOUBLE_SCENE_H

#include "tests/double/sample.h"
#include "tests/double/writer.h"

enum { SCENE_GENEROUS_MS = 10000 };

struct scene {
    const char *path;
    struct writer writer;
    struct writer_plan plan;
    struct database *database;
    struct err err; /* for the test's own calls */
};

/* Starts an application on a new or existing database "db" and attaches it. Prints what went wrong if false.
 */
bool scene_begin(struct scene *scene, uint64_t rate, uint64_t bytes);
/* Stops the application and detaches. True if it ended well, was never held up, and nothing it committed is
 * missing, neither in its database nor in a frozen copy; committed_before: what an earlier writer had
 * committed. */
bool scene_end(struct scene *scene, uint64_t committed_before);

/* Converts and attaches. */
bool scene_attach(const char *path, struct database **ret_database, struct err *err) CHECKED;
/* Freezes one. */
bool scene_freeze(struct database *database, struct err *err) CHECKED;
/* Tends every 100 ms, as an engine does, for a while; false at the first error that is not transient. */
bool scene_tend(struct database *database, uint64_t ms, struct err *err) CHECKED;
/* Freezes, copies to "copy", thaws: the value of the copy, or -1 after printing what is wrong. */
int64_t scene_copy(struct database *database);

#endif
