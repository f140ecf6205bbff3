/* A SQLite database that another process owns, followed from the outside.
 *
 * We never write a row and never create a file. The database is put into WAL mode (database_convert),
 * attached, and from then on one lock of ours is on its wal-index at every instant:
 *
 *              a read mark (TAIL)                 the log can't restart: no frame is overwritten
 *              or READ(0) (HANDOFF)               nobody can write into the database file: it is frozen,
 *                                                 and the log can restart once at most
 *
 *     attach → BOOT → TAIL ⇄ HANDOFF → detach     checkpoints of ours happen in TAIL only
 *
 * Changes are noticed without SQL, from the mapped header of the wal-index (database_position). The whole
 * state of several databases at one moment is had by freezing them together, reading them and thawing them;
 * from such a state on, every commit can be had page by page (database_collect).
 *
 * Errors, throughout: ERR_TRANSIENT, something was in the way, later may do. ERR_NOT_FOUND, the file is not
 * there, or not the one that was attached any more. ERR_CONFLICT, the application does not share this
 * database with others (locking_mode=EXCLUSIVE, another journal mode): detach at once and leave it alone.
 * ERR_CANCELED, ERR_DENIED, ERR_CORRUPT, ERR_SYSTEM as everywhere. Deadlines are times of
 * clock_monotonic_ms().
 *
 * Threads: one thread at a time calls attach, detach, freeze, thaw, tend, prove and what collects for a
 * database; position, position_at and read_frozen may be called by any other meanwhile. */
#ifndef SNAPSHOT_DATABASE_H
#define SNAPSHOT_DATABASE_H

#include "base/cleanup.h"
#include "base/err.h"
#include "snapshot/file_id.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Puts the database at path (absolute) into WAL mode, also under an application that is writing; rolls back
 * what a killed one left behind. Tries without ever waiting inside SQLite, so that the application is kept
 * from its lock for one short transaction only. ERR_NOT_FOUND: there is no file, or it is still empty; it is
 * never created. ERR_CONFLICT: until the deadline the application held the database for itself, or it stays
 * in another mode. ERR_CORRUPT: SQLite takes the file for no database at all (its header is damaged or of a
 * newer format, or promises more pages than there are), nothing is in a log or journal beside it, and nobody
 * else has a lock on it. A database that we converted and that is found in rollback mode later was set back
 * by its application on purpose: the caller leaves it alone. */
bool database_convert(const char *path, uint64_t deadline_ms, const atomic_bool *canceled,
                      struct err *err) CHECKED;

/* Whether another process has any of SQLite's locks on the database file. Fine for one that is attached. */
bool database_file_is_locked(int fd);

struct database;
struct wal_index_header;

/* Attaches a database in WAL mode (ERR_CONFLICT: it is not). Returns in TAIL or HANDOFF, with a lock held.
 * path is absolute and must stay this database's name, since SQLite finds -wal and -shm by it. */
bool database_attach(const char *path, uint64_t deadline_ms, const atomic_bool *canceled,
                     struct database **ret_database, struct err *err) CHECKED;
/* Lets go of everything. Changes no file: -wal and -shm stay. NULL is fine. */
void database_detach(struct database *database);
DEFINE_CLEANUP(struct database *, database_detach, database_detachp)

const char *database_path(const struct database *database);

/* Whether an attached database has this inode, or its wal-index has: such a file must not be opened and
 * closed by hand. Any thread. guarded_file.h says why, and offers an open that is safe in itself. */
bool database_is_attached(dev_t device, ino_t inode);

/* A number that grows whenever something was committed since the last call; equal numbers mean that nothing
 * was. Begins at 1. Any thread; no SQL, no system call, some 100 ns. */
uint64_t database_position(struct database *database);
/* The position and the header of the wal-index that it stands for, as one; the header has been read within
 * the call. False, and only the position set, while the header is torn: a commit is just being made, or its
 * writer died at it. Any thread. */
bool database_position_at(struct database *database, struct wal_index_header *ret_header,
                          uint64_t *ret_position) CHECKED;

/* Repairs the wal-index if its writer died in the middle; ERR_TRANSIENT: one is still at it. */
bool database_repair(struct database *database, struct err *err) CHECKED;

/* What must be called again and again, at least every 100 ms while the application commits: moves the mark
 * along, keeps the log short (checkpoints from 800 frames on), repairs a torn wal-index, and notices an
 * application that wants the database for itself (ERR_CONFLICT) or a file that was deleted or replaced
 * (ERR_NOT_FOUND). A frozen database is only looked at, and read from. Costs microseconds unless there is
 * something to do.
 *
 * Not everything is noticed: an application that asks for the database once and gives up at once (PRAGMA
 * journal_mode=DELETE), or whose SQLite is newer and had opened the log before it asked, leaves no trace.
 * Attached after the application has opened its database, neither can happen: attaching says ERR_CONFLICT
 * instead. */
bool database_tend(struct database *database, struct err *err) CHECKED;

/* Whether the last tending found that commits come much faster than it is usually called: then it should be
 * called again soon. */
bool database_is_rushed(const struct database *database);

/* The file that was attached, whatever has its name now. */
struct file_id database_file(const struct database *database);

/* Whether path, -wal and -shm are no longer the files that were attached: only detaching is left. */
bool database_is_stale(const struct database *database);

/* What a state file keeps of a frozen state, to recognise after a crash that the local database contains it.
 * Plain numbers; all zero means "none". */
struct database_mark {
    uint64_t inode; /* of the database file */
    uint32_t page_size;
    uint32_t page_count;
    uint32_t salt[2]; /* of the log at that moment */
    uint32_t frame;   /* its last frame, 0: the log was empty */
    uint32_t frame_checksum[2];
    uint32_t tail_salt[2]; /* of the newest log that is known to continue it without a gap */
};

/* Valid from freeze to thaw. */
struct database_frozen {
    uint64_t position; /* of the state: every smaller or equal position is contained */
    uint32_t page_size;
    uint32_t page_count; /* of the database */
};

enum { DATABASE_FREEZE_MAX = 64 };

/* Freezes all of them at one and the same instant: from the return on, what was committed then can be read of
 * each until it is thawed, while the application goes on writing into its log. Takes no lock that a writer or
 * a reader feels. Where no pause of theirs lets the file be the whole state, the log is read once, up to that
 * instant, before this returns. All or nothing. ERR_TRANSIENT at the deadline. */
bool database_freeze(struct database *const *databases, size_t count, uint64_t deadline_ms,
                     const atomic_bool *canceled, struct err *err) CHECKED;
/* Lets it move on. Fine for one that is not frozen. */
void database_thaw(struct database *database);

/* By how many bytes the log of a frozen database has grown since: it can't be emptied while it is frozen. 0
 * for one that is not. */
uint64_t database_log_growth(const struct database *database);

/* Of a frozen database. */
const struct database_frozen *database_frozen(const struct database *database);

/* Reads whole pages of a frozen database: offset and size, in bytes, are multiples of its page size. Any
 * thread, many at once. ERR_CORRUPT beyond its end. */
bool database_read_frozen(struct database *database, uint64_t offset, void *bytes, size_t size,
                          struct err *err) CHECKED;

/* The mark of the state that was frozen last; after a thaw it follows the log (tail_salt), so take it again
 * from time to time. */
void database_mark(struct database *database, struct database_mark *ret_mark);

/* What one commit has made of a database, or a part of it: a commit of more than so many pages, or of more
 * than some MB, comes in several runs. */
enum { DATABASE_RUN_PAGES_MAX = 1024 };

struct database_run {
    uint32_t page_size;
    uint32_t pages_before, pages_after; /* of the database around the commit */
    bool is_first, is_last;             /* of its commit */
    /* XOR of the rolling hash (pagehash.h) at database_collect_begin() and the one after this commit; the
     * same in each run of a commit. */
    uint64_t rolling_change;
    /* The pages that the commit has written: ascending, at least one, none above pages_after, and never the
     * lock-byte page. If the database has become larger, all new pages are among them. */
    uint32_t count;
    const uint32_t *pages;
    const uint8_t *images;   /* of each, page_size bytes */
    const uint64_t *hashes;  /* of each (pagehash.h) */
    const uint8_t *previous; /* what they were before the commit: of those up to pages_before, in order */
    uint32_t previous_count;
};

/* Takes a run, and keeps what it wants of it: the pointers lead to memory that lives until the call returns.
 * Called from within the functions of the thread that owns the database, sometimes while the application is
 * kept from writing, so it must not wait. It calls nothing of this module. The first run of a commit may come
 * again: a commit whose last run has not been taken is handed over anew, from its first run on, and what was
 * taken of it before is void. */
struct database_sink {
    bool (*take)(void *context, const struct database_run *run, struct err *err);
    void *context;
};

/* Begins to collect, from the frozen state on. Every commit after it is handed to the sink, once and in
 * order, before any lock moves past it: by tend, freeze, thaw and collect, whose errors may then be the
 * sink's, too. If the sink fails, the locks stay where they are, so that the application's log grows, and all
 * that is missing is handed over by a later call.
 *
 * ERR_CONFLICT then also means that continuity is lost, and ERR_CORRUPT that the log is damaged: a commit
 * can't be had any more. Nothing is handed over from there on; end it, and begin anew from another frozen
 * state. */
void database_collect_begin(struct database *database, const struct database_sink *sink);
/* Ends it: the locks move freely again. Fine if nothing is collected. Detaching ends it too. */
void database_collect_end(struct database *database);
bool database_collects(const struct database *database);
/* Hands over all that is committed up to `limit`, a header that database_position_at() has given since the
 * beginning (NULL: up to now), which may be long past. Moves no lock. */
bool database_collect(struct database *database, const struct wal_index_header *limit,
                      struct err *err) CHECKED;
/* A position that everything handed over so far contains; after a database_collect() at least the one that
 * its limit had, if that was the last header given, or that stood when it was called without. */
uint64_t database_collected_position(const struct database *database);

/* The mark of all that has been collected. */
void database_mark_collected(struct database *database, struct database_mark *ret_mark);

enum database_proof {
    DATABASE_UNPROVEN,         /* nothing says that it contains the marked state */
    DATABASE_PROVABLE_BY_HASH, /* if the database file as it is hashes to the marked state's value, it does:
                                  to be looked at before attaching, and before anything checkpoints */
    DATABASE_PROVEN,           /* the log itself shows it */
    DATABASE_PROVEN_SAME,      /* … and nothing was committed since: it is the marked state */
};

/* Whether what is attached contains the marked state. Ask right after attaching, before the application is
 * started. */
bool database_prove(struct database *database, const struct database_mark *mark,
                    enum database_proof *ret_proof, struct err *err) CHECKED;

#endif
