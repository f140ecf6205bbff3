/* What was committed and waits for its record: every commit of every attached database as sections of a data
 * record, encoded when it is read, kept on disk until the record that takes it is confirmed.
 *
 * Commits are encoded one by one and lie in the order in which they were read. A record takes all that lies
 * there when it is cut, so it ends where follower_collect() has found one moment of all databases. One
 * thread: the engine's. */
#ifndef SNAPSHOT_OUTBOX_H
#define SNAPSHOT_OUTBOX_H

#include "snapshot/base.h"
#include "snapshot/delta.h"

struct outbox;

/* directory_fd is borrowed. size_max: bytes on disk that may wait; above it the databases' own logs have to
 * hold what comes. */
bool outbox_open(int directory_fd, uint64_t size_max, struct outbox **ret_outbox, struct err *err) CHECKED;
/* Every database is let go of first. NULL is fine. */
void outbox_free(struct outbox *outbox);

/* From the frozen state of the database on, which has this rolling hash, its commits come here. path and
 * database live until outbox_forget(). */
void outbox_follow(struct outbox *outbox, const struct base_database *source, uint64_t rolling_hash);
/* Stops that, before the database is detached. What waits stays. Fine for one that isn't followed. */
void outbox_forget(struct outbox *outbox, const struct database *database);
/* Adds a run of a commit that no log tells of, to be encoded alone: its images, page numbers and hashes, and
 * what is_first, is_last, page_size and pages_after say. The commit leads to this rolling hash. */
bool outbox_add(struct outbox *outbox, const struct base_database *source, uint64_t rolling_hash,
                const struct database_run *run, struct err *err) CHECKED;
bool outbox_follows(const struct outbox *outbox, const struct database *database);
/* Lets go of all databases and drops what waits: a new base holds it. */
void outbox_clear(struct outbox *outbox);

/* What waits lies from the one offset to the other; whole sections, and a little more than they are. */
uint64_t outbox_begin(const struct outbox *outbox);
uint64_t outbox_end(const struct outbox *outbox);

/* The section at *offset, appended to *section, the hashes of its pages, and the offset of the next.
 * ERR_CORRUPT, ERR_SYSTEM: what waited is lost (the disk), only a new base helps. */
bool outbox_read(struct outbox *outbox, uint64_t *offset, struct buf *section,
                 uint64_t hashes[static DELTA_PAGES_MAX], struct err *err) CHECKED;
/* Gives back the memory that encoding has taken, some MB after large commits; the next commit takes it again.
 */
void outbox_rest(struct outbox *outbox);

/* A confirmed record holds all below `end`. */
void outbox_release(struct outbox *outbox, uint64_t end);

#endif
