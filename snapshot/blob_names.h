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
/* Adds one that sorts behind all of them (asserted). */
void blob_names_add(struct blob_names *names, const struct blob_name *name);
/* Takes out of *names what is in others. */
void blob_names_subtract(struct blob_names *names, const struct blob_names *others);
/* Puts all of more into *names; more is emptied. */
void blob_names_merge(struct blob_names *names, struct blob_names *more);
void blob_names_clear(struct blob_names *names);

#endif
