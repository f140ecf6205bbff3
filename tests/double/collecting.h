/* A database with an application that does what it is told, followed by an oracle. */
#ifndef TESTS_DOUBLE_COLLECTING_H
#define TESTS_DOUBLE_COLLECTING_H

#include "tests/double/oracle.h"
#include "tests/double/scene.h"
#include "tests/double/script.h"

struct collecting {
    struct script script;
    struct database *database;
    struct oracle oracle;
    struct err err; /* for the test's own calls */
};

/* Makes "db" with these pragmas, 200 rows in a table t(id, body, tag) with an index, and a table log(id,
 * what); attaches, freezes and begins to collect. Prints what went wrong if false, like the others. */
bool collecting_begin(struct collecting *collecting, const char *pragmas);
/* Whether the oracle agrees to the last. */
bool collecting_end(struct collecting *collecting);
/* Runs SQL while the database is followed. */
bool collecting_run(struct collecting *collecting, const char *sql);
/* The same while the file is frozen, expects a commit, and compares before and after. */
bool collecting_run_and_compare(struct collecting *collecting, const char *sql);
/* One turn of an engine's: tends, or only collects. */
bool collecting_look_after(struct collecting *collecting, bool tends);

#endif
