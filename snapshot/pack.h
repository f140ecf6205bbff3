/* Packs: consecutive records in one object, byte for byte, so that a restore needs few requests
 * (docs/FORMAT.md, Pack). Pure; any thread. */
#ifndef SNAPSHOT_PACK_H
#define SNAPSHOT_PACK_H

#include "snapshot/record.h"

enum {
    PACK_RECORDS_MAX = 256,
    PACK_BYTES_MAX = 4 << 20, /* of the records in it: several packs are fetched ahead at once */
    PACK_SIZE_MAX = PACK_BYTES_MAX + PACK_RECORDS_MAX * 8 + 64,
};

/* Begins an object for the records from `first` on, of these sizes; at least two (all limits are asserted).
 */
void pack_begin(struct buf *object, uint64_t first, const uint64_t *sizes, size_t count);
/* Adds the next record, which has the size that was announced (the caller ensures it). */
void pack_add(struct buf *object, const struct record *record);
void pack_end(struct buf *object);

/* A pack that was read. Points into its bytes. */
struct pack {
    uint64_t first;
    uint64_t last;
    const uint8_t *sizes; /* little-endian */
    const uint8_t *records;
};

/* Checks the hash, and that these are records first to last. The records are not looked at. ERR_CORRUPT
 * begins with the pack's key. */
bool pack_open(uint64_t first, uint64_t last, const void *bytes, size_t size, struct pack *ret_pack,
               struct err *err) CHECKED;

/* The bytes of one of its records. */
const uint8_t *pack_find(const struct pack *pack, uint64_t position, size_t *ret_size);

/* Where a listing of pack/ has to begin so that every pack which holds this position or an older one comes:
 * a key that sorts right before them. A few that are too new may come first. */
struct key pack_search_key(uint64_t position);

#endif
