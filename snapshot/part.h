/* A part: the object that holds bulk, of a base or of a record (docs/FORMAT.md, Part). A short header and
 * then zstd frames, whose sizes whoever names the part knows. One thread for each object. */
#ifndef SNAPSHOT_PART_H
#define SNAPSHOT_PART_H

#include "snapshot/key.h"
#include "snapshot/store/store.h"

enum { PART_HEADER_BYTES = 16 }; /* before the first frame */

/* Begins a part in *object, which is empty (asserted); the frames are appended to it. */
void part_begin(struct buf *object);

struct part_owner {
    struct store *store; /* with retry */
    uint64_t position;   /* where the base stands, or the record */
    const struct id *owner;
    _Atomic uint64_t *next_n; /* counted over the life of the process; never used twice */
};

/* Writes the count of frames into the header and uploads the object, under the key with *ret_n. The object
 * stays as it is. */
bool part_upload(const struct part_owner *owner, struct buf *object, uint32_t frames, uint64_t *ret_n,
                 struct digest *ret_hash, struct err *err) CHECKED;

/* Whether an object has the header of a part of so many frames. */
bool part_is_sound(const struct buf *object, uint32_t frames);

#endif
