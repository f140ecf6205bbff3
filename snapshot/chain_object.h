/* An object that holds records, as a chain fetches it. Beside chain.c nobody needs it. */
#ifndef SNAPSHOT_CHAIN_OBJECT_H
#define SNAPSHOT_CHAIN_OBJECT_H

#include "snapshot/chain.h"
#include "snapshot/pack.h"

/* All zero: none. */
struct chain_object {
    struct chain_source source;
    struct id lineage;
    struct buf bytes;
    struct pack pack;       /* if it is one */
    struct record *records; /* of the source's positions; those with position 0 were not parsed */
};

/* Fetches it, and hashes the records that are in the range, so that who takes them need not: hashing is a
 * tenth of what a replay does, and fetchers work beside each other. ERR_NOT_FOUND, ERR_CORRUPT begin with its
 * key. */
bool chain_object_fetch(struct chain_object *object, struct store *store, const struct chain_range *range,
                        const struct chain_source *source, struct err *err) CHECKED;
void chain_object_clear(struct chain_object *object);

/* One of its records, which lives as long as the object. ERR_CORRUPT begins with the key at fault. */
bool chain_object_find(const struct chain_object *object, uint64_t position, struct record *ret_record,
                       struct err *err) CHECKED;

#endif
