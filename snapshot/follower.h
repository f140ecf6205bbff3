/* Everything in the data directory that is followed: the attached databases and the watch on files, as one
 * position.
 *
 * The position is one number for the whole directory: it grows whenever a commit or a file event was seen, in
 * whatever database or folder, also when databases come and go. Equal numbers mean that nothing has happened
 * in between. */
#ifndef SNAPSHOT_FOLLOWER_H
#define SNAPSHOT_FOLLOWER_H

#include "snapshot/base.h"
#include "snapshot/scan.h"
#include "snapshot/watch.h"

struct follower_config {
    int directory_fd;           /* borrowed */
    const char *directory_path; /* absolute: SQLite opens by path */
    const struct globs *exclude;
    const struct globs *databases;
    const atomic_bool *canceled;
    /* Called once for each thing that an operator should know, from the engine's thread. */
    void (*warn)(void *context, const char *text);
    void *warn_context;
};

struct follower;

/* Puts every database that is there into WAL mode and attaches it. Call when nobody else has them open, or be
 * ready for the application to be in the way. */
bool follower_open(const struct follower_config *config, struct follower **ret_follower,
                   struct err *err) CHECKED;
void follower_free(struct follower *follower); /* NULL is fine */

/* Any thread, as long as the follower lives: one mutex, no SQL, no disk. */
uint64_t follower_position(struct follower *follower);
/* How many commits were seen since the follower was opened; changes that come together may count as one. */
uint64_t follower_commits(struct follower *follower);
/* Moves the position for a change that no event told of. */
void follower_note_change(struct follower *follower);
/* Readable when a file event waits. */
int follower_watch_fd(const struct follower *follower);
/* Whether files can only be found by scanning on a timer. */
bool follower_is_partial(const struct follower *follower);

/* Which files are databases if they look like one; as long as the follower lives. */
const struct globs *follower_database_names(const struct follower *follower);

/* How the tree is looked at. */
enum follower_look {
    FOLLOWER_IF_DUE, /* if something moved; whole scans take at most a tenth of the time, others too */
    FOLLOWER_NOW,    /* at what was touched, if that is known, else at everything */
    FOLLOWER_WHOLE,
};

/* Looks at the tree again: attaches databases that appeared, lets go of those that vanished or that can't be
 * shared. before: the tree that follower_settle() was told of last (or any, before that; may be NULL): what
 * wasn't touched since is taken over from it, and only what has changed is read. ret_tree, if not NULL, gets
 * the tree as it is, or nothing if there was no need; the caller frees it. *ret_steady: nothing was attached
 * or let go. */
bool follower_refresh(struct follower *follower, enum follower_look how, struct tree *before,
                      struct tree **ret_tree, bool *ret_steady, struct err *err) CHECKED;
/* The number of the last look. */
uint64_t follower_looked(const struct follower *follower);
/* From here on `before` is what that look has found, but for the paths of `again` (moved). */
void follower_settle(struct follower *follower, uint64_t look, struct touched *again);
/* From here on `before` is something else. */
void follower_unsettle(struct follower *follower);
/* Every file has been read since that look. */
void follower_settle_written(struct follower *follower, uint64_t look);

/* What could not be followed is tried again by the next refresh, whenever that was last tried: the
 * application has ended. */
void follower_try_again(struct follower *follower);

/* Whether the last refresh attached every database that has to be: all but those that can't be shared and
 * that `previous` (NULL: none) doesn't hold either. A state without the others would lack what it promises:
 * ERR_TRANSIENT names one. */
bool follower_is_complete(const struct follower *follower, const struct manifest *previous,
                          struct err *err) CHECKED;

/* A database that is there and isn't followed: it can't be shared, or there are too many. No record holds it
 * as it is now. Valid until the next refresh or tend. */
struct left_out {
    const char *path;
    const char *why;   /* one line */
    uint64_t since_ms; /* of clock_monotonic_ms(): since when that has been known */
    uint64_t since_ns; /* the same, of the wall clock */
};

/* How many there are, as of the last refresh; each comes into the position, as a change of its own. */
size_t follower_left_out_count(const struct follower *follower);
/* In ascending order of path; at is below the count. */
struct left_out follower_left_out(const struct follower *follower, size_t at);
/* The earliest since_ms; 0: none is left out. */
uint64_t follower_left_out_since_ms(const struct follower *follower);
/* Grows whenever that list has changed. */
uint64_t follower_left_out_changes(const struct follower *follower);

/* What each attached database needs now and again; every 100 ms while there are commits. */
void follower_tend(struct follower *follower);

/* The same for their logs alone, while something else keeps the engine's thread waiting: the list of
 * databases stays as it is. What can't be done now is found again by the next follower_tend(). False: one of
 * them was deleted or replaced. */
bool follower_keep_logs_short(struct follower *follower);
/* Whether the logs grow so fast that tending every 100 ms would let them become long. */
bool follower_is_rushed(const struct follower *follower);

/* What the frozen state contains. File events count as seen up to the beginning of the freeze: scan
 * afterwards. */
struct follower_frozen {
    uint64_t position;
    uint64_t commits;
};

/* Freezes all databases at one instant. */
bool follower_freeze(struct follower *follower, uint64_t deadline_ms, struct follower_frozen *ret_frozen,
                     struct err *err) CHECKED;
void follower_thaw(struct follower *follower);

/* By how many bytes the log of a frozen database has grown since: the most of all; 0 if none is frozen. */
uint64_t follower_frozen_growth(const struct follower *follower);

/* Has every collected commit handed over up to one moment of all databases (two readings of all headers that
 * are the same), which *ret_moment tells: scan for files afterwards. Databases that nobody collects count
 * too. ERR_TRANSIENT: commits came too fast for a moment of all of them, or a sink is full; try again.
 * ERR_CONFLICT, ERR_CORRUPT: a commit can't be had any more. */
bool follower_collect(struct follower *follower, struct follower_frozen *ret_moment, struct err *err) CHECKED;

/* Grows when something may have happened to files, or databases came or went. */
uint64_t follower_file_changes(struct follower *follower);

/* Called by the follower's thread before a database is let go of, whyever, and when its commits can't be
 * collected any more: it must end the collecting. */
void follower_on_leave(struct follower *follower,
                       void (*leave)(void *context, const struct database *database), void *context);

/* The attached databases in ascending order of path; valid until the next refresh or tend. incarnation is 0
 * for one that has none yet. */
struct base_database *follower_databases(struct follower *follower, size_t *ret_count);
/* The one at path; NULL: none is attached there. As long. */
const struct base_database *follower_database(struct follower *follower, const char *path);
/* Gives the database at path its incarnation. Fine for one that isn't attached. */
void follower_set_incarnation(struct follower *follower, const char *path, uint64_t incarnation);

#endif
