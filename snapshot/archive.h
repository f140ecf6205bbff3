/* One record, wherever it lies: loose in log/, or in a pack.
 *
 * Packs win: where a record was packed and deleted from log/, the open of a claimant that came too late may
 * stand at its position (protocol.md, H2). So an open is only believed where no pack holds the position. */
#ifndef SNAPSHOT_ARCHIVE_H
#define SNAPSHOT_ARCHIVE_H

#include "base/cleanup.h"
#include "snapshot/pack.h"
#include "snapshot/store/store.h"

/* Fetches and proves the pack of these records, which points into *bytes. ERR_NOT_FOUND, ERR_CORRUPT begin
 * with its key. Any thread. */
bool pack_fetch(struct store *store, uint64_t first, uint64_t last, struct buf *bytes, struct pack *ret_pack,
                struct err *err) CHECKED;

/* Where to read, and what was read last: the same record again, or the neighbour of a packed one, needs no
 * request. One thread. */
struct archive {
    struct store *store; /* borrowed */
    struct id lineage;
    struct buf loose;
    uint64_t loose_position; /* 0: it holds nothing that was believed */
    struct buf packed;       /* empty: pack is void */
    struct pack pack;
    uint64_t lost_first, lost_last; /* what the last call that failed means: one record, or all of a pack */
};

struct archive archive_of(struct store *store, const struct id *lineage);
/* Gives the memory back; it may be used again. */
void archive_clear(struct archive *archive);

/* Reads and checks record `position`. It lives until the next call. ERR_NOT_FOUND: neither loose nor packed;
 * ERR_CORRUPT begins with the key of the object at fault. */
bool archive_read(struct archive *archive, uint64_t position, struct record *ret_record,
                  struct err *err) CHECKED;

/* The same for a record that is said to be a base's, and what it holds: *ret_body is cleared by the caller.
 * ERR_CORRUPT if it is none. */
bool archive_read_base(struct archive *archive, uint64_t position, struct record *ret_record,
                       struct base_body *ret_body, struct err *err) CHECKED;

#endif
