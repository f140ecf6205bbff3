/* Applies the deltas of commits to a database file that is being restored: nobody else has it open.
 *
 * Everything in a run is foreign: whatever it says, nothing outside the file's pages is read or written, and
 * no more memory is taken than one run may need (8 MiB and zstd's own). The rolling hash of the whole
 * database is compared with the one that the commit says, after its last run or (apply_keep()) after the last
 * commit of a record, so a restore proves every step that it may end with.
 *
 * With an overlay the file itself is only read: what is written waits there, to be written all at once. */
#ifndef SNAPSHOT_APPLY_H
#define SNAPSHOT_APPLY_H

#include "snapshot/data_body.h"
#include "snapshot/page_hashes.h"
#include "snapshot/page_overlay.h"

/* One database. Set fd (open for reading and writing, borrowed), page_size, pages and rolling_hash, as the
 * base's manifest says them, or none and the page size of its first run for a new incarnation; zero the
 * rest. */
struct apply_target {
    int fd;
    struct page_overlay *beside; /* borrowed; NULL: the file is written. With it fd need not be writable */
    struct page_hashes
        *hashes; /* borrowed; of the pages, kept up to date with them; NULL: nobody wants them */
    uint32_t page_size;
    uint64_t pages;        /* after the newest whole commit; the file's size divided by the page size */
    uint64_t rolling_hash; /* the same */
    /* Of the commit whose last run has not come yet. */
    bool in_commit;
    uint32_t pages_after;
    uint32_t last_page;    /* of the run before */
    uint64_t rolling_next; /* with the runs so far */
    uint64_t rolling_due;
    bool is_unproved; /* what commits say is still to be compared with rolling_next: apply_prove() */
};

/* Buffers and a codec. One for each thread that applies; a target may be anybody's between two calls. */
struct apply;

struct apply *apply_new(void);
void apply_free(struct apply *apply);
DEFINE_CLEANUP(struct apply *, apply_free, apply_freep)

/* Keeps the newest images, so many bytes of them, from here on; called once at most, before the first run.
 * Then the file is as the target says only after apply_flush(); apply_forget() is for a file that nobody
 * wants any more. One of them comes before fd is closed, or read or written by anybody else. And pages are
 * hashed when apply_prove() asks: most commits of a record change the same ones again. Without apply_keep()
 * none of them does anything. ERR_SYSTEM. */
void apply_keep(struct apply *apply, size_t bytes);
/* Between two commits, as soon as something depends on the target, and before another target gets a run.
 * ERR_CORRUPT: the rolling hash is not the one that the newest commit says. */
bool apply_prove(struct apply *apply, struct apply_target *target, struct err *err) CHECKED;
bool apply_flush(struct apply *apply, const struct apply_target *target, struct err *err) CHECKED;
void apply_forget(struct apply *apply, const struct apply_target *target);

/* Has pages that later runs will change read meanwhile, in batches. While apply_can_want() (never without
 * apply_keep()), apply_want() adds page by page until it says that the batch is full, and apply_read_wanted()
 * begins with it; false: it is empty. A page that the target doesn't have yet is passed over. Nothing depends
 * on it. */
bool apply_can_want(struct apply *apply);
bool apply_want(struct apply *apply, const struct apply_target *target, uint32_t page);
bool apply_read_wanted(struct apply *apply);

/* Applies one run, which data_next() has accepted (asserted where that matters), with its frame: run->frame,
 * or what its bulk holds. The previous images are those of target->pages pages, from before the commit.
 * ERR_CORRUPT: page size or size do not follow from the target, a page that the commit adds is missing, the
 * frame does not decode, the runs of different commits mix, or the rolling hash differs after the last one.
 * The file is of no use after a failure, but nothing outside of it was touched. */
bool apply_run(struct apply *apply, struct apply_target *target, const struct data_run *run,
               const void *frame, size_t frame_size, struct err *err) CHECKED;

#endif
