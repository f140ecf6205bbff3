/* Which objects a record speaks of: what pruning and sweeping want to know of it. Pure. */
#ifndef SNAPSHOT_RECORD_REFS_H
#define SNAPSHOT_RECORD_REFS_H

#include "base/cleanup.h"
#include "snapshot/blob_names.h"

struct record_refs {
    struct blob_names named;   /* by the entries that a data record puts */
    struct blob_names dropped; /* by a base or a data record */
    uint64_t *parts;           /* n of the parts that hold a data record's bulk */
    size_t parts_count;
};

/* Reads a record of any kind; only base and data records speak of any. The caller clears *ret_refs.
 * ERR_CORRUPT. */
bool record_refs_read(const struct record *record, struct record_refs *ret_refs, struct err *err) CHECKED;
bool record_refs_has_part(const struct record_refs *refs, uint64_t n);
void record_refs_clear(struct record_refs *refs);

#endif
