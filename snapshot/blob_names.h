/* Which blobs a tree names: a sorted set. Pure; any thread. */
#ifndef SNAPSHOT_BLOB_NAMES_H
#define SNAPSHOT_BLOB_NAMES_H

#include "snapshot/record.h"
#include "snapshot/tree.h"

struct blob_names {
    struct blob_name *list; /* ascending, each once */
    size_t count;
};

struct blob_names blob_names_of(struct tree *tree);
bool blob_names_has(const struct blob_names *names, const struct blob_name *wanted);
/* Puts all of more into *names; more is emptied. */
void blob_names_merge(struct blob_names *names, struct blob_names *more);
void blob_names_clear(struct blob_names *names);

#endif
