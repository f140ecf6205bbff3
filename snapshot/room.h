/* A disk that can't hold what the store has: said before anything is fetched, where that can be known. */
#ifndef SNAPSHOT_ROOM_H
#define SNAPSHOT_ROOM_H

#include "base/err.h"

#include <stdint.h>

/* Where something is to be written. */
struct room {
    int directory_fd;
    const char *name;   /* what the operator calls it: "HOLDFAST_DATA_DIR" */
    const char *remedy; /* "use a larger disk" */
};

/* Whether so many bytes are free there. ERR_CONFIG: one sentence with both sizes and the remedy. */
bool room_check(const struct room *room, uint64_t needed_bytes, struct err *err) CHECKED;

/* What a restore failed of. Where the disk became full that is said in the same words (ERR_CONFIG):
 * available_bytes were free before, and the newest base alone takes base_bytes. Anything else stays as it
 * is. */
void room_explain(const struct room *room, uint64_t available_bytes, uint64_t base_bytes, struct err *err);

#endif
