/* Looking at a store without owning it: list, verify, restore elsewhere. Needs no lock and fences nobody.
 *
 * A reader has no open record behind which nothing can change, so it checks at the end that what it read
 * still held: it lists again and starts over if the horizon passed the base it used (protocol.md: H7, P7,
 * P8). */
#ifndef SNAPSHOT_READER_H
#define SNAPSHOT_READER_H

#include "snapshot/record.h"
#include "snapshot/store/store.h"

struct reader_point {
    uint64_t record;
    uint64_t time_ns;
    enum record_kind kind;
    uint64_t bytes;      /* base: of the state there, uncompressed; data: of the record */
    uint64_t taken_from; /* base: the record whose state it brought back, in a roll-back; 0: in none */
    bool superseded;     /* a later roll-back went back to before it */
};

/* Visits points that can be restored, newest first: every base from the horizon on, and the newest data
 * records, at most 1000 and 16 MiB of them (all that lie between two points can be restored too). false from
 * the visitor stops without error. ERR_CORRUPT: an object is damaged or missing; what doesn't need it was
 * visited all the same. */
bool reader_list(struct store *store, bool (*visit)(void *context, const struct reader_point *point),
                 void *context, struct err *err) CHECKED;

/* Progress of long work: called about ten times a second at most, from the calling thread or a worker, one at
 * a time. */
struct reader_progress {
    void (*report)(void *context, uint64_t bytes_done, uint64_t bytes_total);
    void *context;
};

/* The last record that is not later than time_ns, by the millisecond; 0: that is before the first point.
 * ERR_CORRUPT: an object that can't be read may hold it; names that object and a record to ask for instead.
 */
bool reader_find_time(struct store *store, uint64_t time_ns, uint64_t *ret_record, struct err *err) CHECKED;

/* The record that a point names: the last that is not later than a time, or that very one. ERR_CONFIG: it
 * does not exist, was pruned, or lies before the first point; one sentence with the remedy. */
bool reader_find_point(struct store *store, const struct point *point, uint64_t *ret_record,
                       struct err *err) CHECKED;

/* Whether the roll-back that was carried out last is the one to this point (HOLDFAST_RESTORE_AT). */
bool reader_is_carried_out(struct store *store, const struct point *point, bool *ret_done,
                           struct err *err) CHECKED;

/* What the newest base takes of a disk, *ret_bytes: a restore needs that much at least. Reads the manifest.
 * ERR_CONFIG: no base was announced yet, or the store holds nothing of holdfast. */
bool reader_newest_bytes(struct store *store, uint64_t *ret_bytes, struct err *err) CHECKED;

/* What a state consists of, and where it stands. */
struct reader_result {
    uint64_t record; /* restored: the newest that changed something in it; verified: the newest of all */
    uint64_t time_ns;
    bool has_state; /* false: no base was announced yet, and what follows is 0 */
    uint64_t databases;
    uint64_t files;   /* and symlinks, besides the databases */
    uint64_t bytes;   /* of all of them, uncompressed */
    uint64_t objects; /* read */
};

enum { READER_LATEST = 0 };

/* Restores into directory, which must be absent or empty (ERR_CONFIG). at: a record from the horizon on, of
 * any kind, or READER_LATEST. Never touches a live data directory. */
bool reader_restore(struct store *store, const char *directory, uint64_t at,
                    const struct reader_progress *progress, const atomic_bool *canceled,
                    struct reader_result *ret_result, struct err *err) CHECKED;

/* Told of each object that is damaged or missing. One call at a time, from any of the workers. */
struct reader_damage {
    void (*report)(void *context, const char *key, const char *reason);
    void *context;
};

/* Reads everything back that is needed for every point from the horizon on and proves it: hashes, chain,
 * frames, rolling hashes, blobs. Damaged objects are reported to `damage` (key and reason) and the work goes
 * on; ERR_CORRUPT at the end if there was one. *ret_result tells the state at the newest record, all of which
 * was proved: nothing, where no base was announced yet. ERR_TRANSIENT: what was listed was always gone
 * before it could be read. */
bool reader_verify(struct store *store, const struct reader_damage *damage,
                   const struct reader_progress *progress, const atomic_bool *canceled,
                   struct reader_result *ret_result, struct err *err) CHECKED;

/* Where points are restored to be looked at, and who hears of what is wrong with them. */
struct reader_trial {
    const char *directory; /* each point gets a directory of its own below it, which is removed again */
    const char *remedy;    /* what an operator does about a directory that can't take it: "set TMPDIR …" */
    bool fits_twice;       /* a copy is made only where two would fit: somebody else needs the room too */
    const struct reader_damage *damage; /* key: that of an object, or the path of a database or file */
};

enum { READER_POINTS_MAX = 2 };

struct reader_points {
    struct reader_result list[READER_POINTS_MAX];
    size_t count; /* what was restored, sound or not */
};

/* Restores the newest state, and the oldest that is left if it is another one, and looks at each: SQLite's
 * integrity_check of every database (hashes prove only that the pages are those that were shipped), and that
 * every file is there with its size. Does not stop at the first fault. ERR_CORRUPT at the end if one was
 * reported; ERR_CONFIG: no room in trial->directory, or it can't be used. *ret_points is set after
 * ERR_CORRUPT too. */
bool reader_try(struct store *store, const struct reader_trial *trial, const struct reader_progress *progress,
                const atomic_bool *canceled, struct reader_points *ret_points, struct err *err) CHECKED;

#endif
