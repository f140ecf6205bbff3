/* From the state of a base to the state at a later record: data records, applied one after the other.
 *
 *     restore_expect_more(restore) … restore_wait(restore)
 *     replay_open(…)                     takes the databases over; the restore may be freed then
 *     replay_record(…)                   every record in order; chain.h hands them out
 *     replay_finish(…)                   fetches what large files need, seals the databases
 *     replay_take(…)                     the manifest becomes the state at the last record
 *     place_finish(…)
 *
 * Where the base lies on a disk already, the place may be another directory, which gets what is new, and the
 * databases are changed through overlays (struct apply_target); who does this compares the manifests before
 * and after to learn what is gone.
 *
 * Without a place nothing is fetched or written and no restore is needed: the manifest alone is brought
 * forward, which tells what a directory that is already there should hold.
 *
 * The files of a base stand at one record and each of its databases at one that may be below; what a record
 * says about something that is further is passed over. A record is all or nothing only as a whole restore is:
 * what it has written counts when place_finish() has returned. One thread. */
#ifndef SNAPSHOT_REPLAY_H
#define SNAPSHOT_REPLAY_H

#include "snapshot/apply.h"
#include "snapshot/manifest.h"
#include "snapshot/place.h"
#include "snapshot/record.h"
#include "snapshot/restore.h"

struct replay;

struct replay_config {
    struct store *store;
    struct manifest *manifest; /* of the base; borrowed, changed by replay_take() alone, but for page hashes:
                                  those are taken, follow what is applied, and come back then */
    uint64_t restarted;        /* the base record, if it restarts the state: all stands there; else 0 */
    struct place *place;       /* NULL: the manifest alone */
    struct restore *restore;   /* waited for; NULL without a place, or if nothing was restored to it */
    /* Instead of the restore's files: one for each database of the manifest, whose descriptors are taken
     * over. NULL: none. */
    const struct apply_target *targets;
    const atomic_bool *canceled;
};

struct replay *replay_open(const struct replay_config *config);
void replay_free(struct replay *replay); /* NULL is fine */
DEFINE_CLEANUP(struct replay *, replay_free, replay_freep)

/* The next record. ERR_CORRUPT begins with the key of the object at fault: a section that can't be, a run
 * that does not fit its database, a path below something that is no directory, or a base that restarts the
 * state (a plan begins with the newest one of these). ERR_NOT_FOUND, ERR_CORRUPT: a part that holds its
 * bulk. After a failure only replay_free() makes sense. */
bool replay_record(struct replay *replay, const struct record *record, struct err *err) CHECKED;
/* The record that will come behind the next one, proved or not, if it is known: has the disk begin with what
 * it needs. NULL is fine. */
void replay_expect(struct replay *replay, const struct record *record);

/* Everything is written but what place_finish() does. ERR_CORRUPT: a blob is missing that the state names. */
bool replay_finish(struct replay *replay, struct err *err) CHECKED;
/* config->manifest becomes the state at the last record. Its parts and frames stay those of the base; small
 * files that came from a record have tree_entry.target TREE_FRAME_IN_RECORD. The base's restore was freed. */
void replay_take(struct replay *replay);

/* Objects read so far, and bytes of the records and parts. */
uint64_t replay_objects(const struct replay *replay);

#endif
