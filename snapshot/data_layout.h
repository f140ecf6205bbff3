/* Numbers and rules of docs/FORMAT.md, Data record, that its writer and its reader share. */
#ifndef SNAPSHOT_DATA_LAYOUT_H
#define SNAPSHOT_DATA_LAYOUT_H

#include "snapshot/data_body.h"
#include "snapshot/part.h"

enum {
    SECTION_LENGTH_AT = 8, /* behind type, flags and zero, the last of the section's header */
    SECTION_ALONE = 1,     /* the one flag that a run may have */
    BULK_CONTENT_SIZE = 8 + 8 + DIGEST_SIZE,
    BULK_OFFSET_MIN = PART_HEADER_BYTES,
    DROPPED_SIZE = 8 + DIGEST_SIZE,
    INLINE_FRAME_MAX = 33 << 10, /* of 32 KiB; zstd's worst case is less */
    DATA_MODE_MAX = 07777,
    WHERE_HERE = 0,
    WHERE_BULK = 1,
};

/* The rule that a run breaks by itself, its path apart, or NULL. */
const char *data_run_rule(const struct data_run *run);
/* The same of a bulk. */
const char *data_bulk_rule(const struct data_bulk *bulk);

#endif
