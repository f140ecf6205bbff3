/* The database as Convex's SqlitePersistence keeps it (facts/convex.md 2): the same three tables, one
 * connection behind one mutex, transactions that begin with a write, and reads that are finished before the
 * mutex is let go, so that no read transaction outlives a call.
 *
 * With a second database, each commit goes to the first one and only then to the second: a state in which the
 * second is ahead can never have existed. */
#ifndef TESTS_BACKEND_PERSISTENCE_H
#define TESTS_BACKEND_PERSISTENCE_H

#include "tests/backend/rows.h"
#include "tests/backend/sql.h"

#include <pthread.h>

struct persistence {
    pthread_mutex_t mutex; /* guards both connections */
    struct sql *sql;
    struct sql *second;       /* or NULL */
    bool fresh;               /* the file was absent before it was opened */
    unsigned commit_delay_ms; /* how long each transaction keeps its locks before COMMIT */
};

/* Opens `path` and makes the tables, also in second_path unless it is NULL. */
bool persistence_open(const char *path, const char *second_path, struct persistence **ret_persistence,
                      struct err *err) CHECKED;
void persistence_close(struct persistence *persistence);
DEFINE_CLEANUP(struct persistence *, persistence_close, persistence_closep)

/* One transaction: documents, index entries, COMMIT. On failure nobody knows whether it is on the disk. */
bool persistence_write(struct persistence *persistence, const struct batch *batch, struct err *err) CHECKED;

/* One transaction that replaces one global. */
bool persistence_set_global(struct persistence *persistence, const char *key, const char *json,
                            struct err *err) CHECKED;

/* Keeps the write lock for that long, as a long transaction would. */
bool persistence_hold(struct persistence *persistence, unsigned hold_ms, struct err *err) CHECKED;

/* Gives up durability for speed, for a database that is being generated; the file itself remembers nothing of
 * it. */
bool persistence_hurry(struct persistence *persistence, struct err *err) CHECKED;
/* Sets the journal mode that holdfast would set. */
bool persistence_use_wal(struct persistence *persistence, struct err *err) CHECKED;

#endif
