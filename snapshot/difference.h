/* What a frozen database holds that differs from what was shipped of it, as its table of page hashes says.
 *
 *     difference_begin(…)  difference_find(…)  difference_add(…)  difference_end(…)
 *
 * The thread that owns the database. */
#ifndef SNAPSHOT_DIFFERENCE_H
#define SNAPSHOT_DIFFERENCE_H

#include "base/thread.h"
#include "snapshot/outbox.h"

struct difference {
    const struct base_database *source;
    const struct manifest_database *before;
    int table_fd;
    uint32_t page_size;
    uint32_t pages;        /* now */
    uint64_t rolling_hash; /* now; known when found */
    uint8_t *changed;      /* a bit for each page, page 1 first */
    uint64_t changed_count;
    uint64_t changed_hash; /* XOR of what the changed pages hash to now */
};

/* The database is frozen and attached as `before` in the state that was shipped; both are borrowed. table_fd
 * (taken) is open for reading. ERR_CONFLICT: it has another page size now. difference_end() also after a
 * failure. */
bool difference_begin(struct difference *difference, const struct base_database *source,
                      const struct manifest_database *before, int table_fd, struct err *err) CHECKED;
void difference_end(struct difference *difference);

/* Hashes all pages, by the workers of the pool. ERR_CORRUPT: the table is not that of `before`. */
bool difference_find(struct difference *difference, struct pool *pool, struct err *err) CHECKED;
/* Adds one commit of the pages that differ; none if the database is as it was. ERR_TRANSIENT: the outbox is
 * full, and has part of a commit that counts for nothing. */
bool difference_add(struct difference *difference, struct outbox *outbox, struct err *err) CHECKED;

#endif
