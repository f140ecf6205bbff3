/* Finding the blobs in a range of tags that no record names, and deleting them: a stage of sweep.h. One
 * thread. */
#ifndef SNAPSHOT_BLOB_SWEEP_H
#define SNAPSHOT_BLOB_SWEEP_H

#include "snapshot/archive.h"
#include "snapshot/blob_names.h"
#include "snapshot/removal.h"

struct blob_sweep {
    bool begun;
    uint64_t low, high;      /* tags above low, up to high */
    struct key resume;       /* where the listing goes on; empty: at its beginning */
    bool last_page;          /* nothing is left to be listed */
    struct blob_names found; /* of this page, less what is named */
    uint64_t next;           /* the record that is looked at next; 0: the page was not listed yet */
    struct archive archive;  /* of these records; without a store: not used yet */
};

/* Where to look. */
struct blob_sweep_log {
    const struct removal *removal;
    struct id lineage;
    struct tree *tree; /* as of the newest confirmed record, to spare reading; NULL: not known */
    uint64_t newest;   /* position of that record */
};

void blob_sweep_clear(struct blob_sweep *sweep);

/* Tags above `low`, which is a base record's position from the horizon on or 0, up to `high`. Whatever has
 * such a tag is named above low for the first time; the caller knows that what isn't named by now never will
 * be. */
void blob_sweep_begin(struct blob_sweep *sweep, uint64_t low, uint64_t high);

/* One page of a listing, up to 32 records, or up to 64 deletions. *ret_done: the range is done, and the next
 * one may begin. */
bool blob_sweep_step(struct blob_sweep *sweep, const struct blob_sweep_log *log, bool *ret_done,
                     struct err *err) CHECKED;

#endif
