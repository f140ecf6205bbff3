/* holdfast.json: which format a store has and which lineage it holds (docs/FORMAT.md, Keys). Pure but for the
 * last one. */
#ifndef SNAPSHOT_IDENTITY_H
#define SNAPSHOT_IDENTITY_H

#include "snapshot/key.h"
#include "snapshot/store/store.h"

#define IDENTITY_KEY "holdfast.json"

enum { IDENTITY_SIZE_MAX = 4096 };

void identity_write(const struct id *lineage, uint64_t created_ns, struct buf *json);
/* ERR_CORRUPT; a higher format names the remedy. */
bool identity_parse(struct buf *json, struct id *ret_lineage, struct err *err) CHECKED;
/* Reads it from the store. ERR_NOT_FOUND: there is none. */
bool identity_read(struct store *store, struct id *ret_lineage, struct err *err) CHECKED;

#endif
