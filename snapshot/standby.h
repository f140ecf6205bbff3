/* A warm standby: a copy of the newest state in a directory of its own, which goes on as records are
 * appended.
 *
 *     standby_open(…)        locks the directory, finishes what a killed follower had begun, proves the copy
 *     standby_advance(…)     again and again: takes what is new in the log
 *     standby_free(…)
 *
 * A reader like those of reader.h: it takes no lock in the store, fences nobody and writes nothing to it. The
 * copy is for whoever comes when the follower has stopped; between two calls it is consistent, and a kill in
 * the middle of one is healed by the next standby_open(). Nobody may have its databases open meanwhile.
 * One thread. */
#ifndef SNAPSHOT_STANDBY_H
#define SNAPSHOT_STANDBY_H

#include "snapshot/reader.h"

struct standby;

struct standby_config {
    struct store *store; /* with retry */
    const char *directory;
    const struct reader_progress *progress; /* of a base that is fetched; NULL: nobody asks */
    const atomic_bool *canceled;            /* may be NULL */
    /* Told why the copy begins anew with the newest base; may be NULL. */
    void (*warn)(void *context, const char *text);
    void *context;
};

/* Where the copy stands. */
struct standby_point {
    uint64_t record; /* 0: nothing was restored yet */
    uint64_t time_ns;
};

/* The directory is absent, empty, or one that a follower has left; for the last it is proved that every
 * database is still what it was. ERR_CONFIG: anything else, with the remedy. */
bool standby_open(const struct standby_config *config, struct standby **ret_standby, struct err *err) CHECKED;
void standby_free(struct standby *standby); /* NULL is fine */
DEFINE_CLEANUP(struct standby *, standby_free, standby_freep)

struct standby_point standby_point_of(const struct standby *standby);

/* Takes all records that are there now; *ret_moved: there were some. Costs one GET where there are none, and
 * once a minute a LIST. Where the log no longer leads from the copy to its head (records were pruned, one is
 * damaged but a newer base stands), the newest base is taken, of which only what differs is fetched.
 *
 * ERR_CORRUPT: an object that is needed is damaged; or the store holds another history than the copy, or an
 * earlier state: then the copy stays as it is, for it may hold what the store no longer does. ERR_TRANSIENT,
 * ERR_CANCELED: call again. After any other failure only standby_free() makes sense. */
bool standby_advance(struct standby *standby, bool *ret_moved, struct err *err) CHECKED;

/* What the pause before the next look should be: interval_ms after a look that found something, and twice the
 * pause before after one that didn't, up to 5 s (or interval_ms, if that is longer). */
uint64_t standby_pause_ms(uint64_t before_ms, uint64_t interval_ms, bool moved);

#endif
