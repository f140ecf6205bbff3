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
 * state of several databases at one moment is had by freezing them together, reading the files and thawing
 * them.
 *
 * Errors, throughout: ERR_TRANSIENT, something was in the way, later may do. ERR_NOT_FOUND, the file is not
 * there, or not the one that was attached any more. ERR_CONFLICT, the application does not share this
 * database with others (locking_mode=EXCLUSIVE, another journal mode): detach at once and leave it alone.
 * ERR_CANCELED, ERR_DENIED, ERR_CORRUPT, ERR_SYSTEM as everywhere. Deadlines are times of
 * clock_monotonic_ms().
 *
 * Threads: one thread at a time calls attach, detach, freeze, thaw, tend and prove for a database; position
 * and read_frozen may be called by any other meanwhile. */
#ifndef SNAPSHOT_DATABASE_H
#define SNAPSHOT_DATABASE_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum database_kind {
    DATABASE_NONE,      /* no database: a plain file, or no file at all but something else */
    DATABASE_EMPTY,     /* no byte yet: may become one */
    DATABASE_READ_ONLY, /* a database that we may not write, hence can't follow */
    DATABASE_ROLLBACK,  /* a database not in WAL mode */
    DATABASE_WAL,
};

/* What the file at path is, by content: SQLite's magic, a possible header, at least one page. Safe for
 * attached files, which are not opened. ERR_TRANSIENT: it is being attached just now. */
bool database_probe(int directory_fd, const char *path, enum database_kind *ret_kind,
                    struct err *err) CHECKED;

/* Puts the database at path (absolute) into WAL mode, also under an application that is writing; rolls back
 * what a killed one left behind. Tries without ever waiting inside SQLite, so that the application is kept
 * from its lock for one short transaction only. ERR_NOT_FOUND: there is no file, or it is still empty; it is
 * never created. ERR_CONFLICT: until the deadline the application held the database for itself, or it stays
 * in another mode. A database that we converted and that is found in rollback mode later was set back by its
 * application on purpose: the caller leaves it alone. */
bool database_convert(const char *path, uint64_t deadline_ms, const atomic_bool *canceled,
                      struct err *err) CHECKED;

struct database;

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

/* What must be called again and again, at least every 100 ms while the application commits: moves the mark
 * along, keeps the log short (checkpoints from 800 frames on), repairs a torn wal-index, and notices an
 * application that wants the database for itself (ERR_CONFLICT) or a file that was deleted or replaced
 * (ERR_NOT_FOUND). A frozen database is only looked at. Costs microseconds unless there is something to do.
 *
 * Not everything is noticed: an application that asks for the database once and gives up at once (PRAGMA
 * journal_mode=DELETE), or whose SQLite is newer and had opened the log before it asked, leaves no trace.
 * Attached after the application has opened its database, neither can happen: attaching says ERR_CONFLICT
 * instead. */
bool database_tend(struct database *database, struct err *err) CHECKED;

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
    uint64_t position; /* of the state in the file: every smaller or equal position is contained */
    uint32_t page_size;
    uint32_t page_count; /* the file has exactly so many pages */
};

enum { DATABASE_FREEZE_MAX = 64 };

/* Freezes all of them at one and the same instant: from the return on, the database file of each holds
 * exactly what was committed then, and does not change until it is thawed, while the application goes on
 * writing into its log. Tries without any lock that a writer feels; if commits come too fast for that, holds
 * the write locks for some ms (at most 20 to get them). All or nothing. ERR_TRANSIENT at the deadline:
 * readers or writers of the application were in the way. */
bool database_freeze(struct database *const *databases, size_t count, uint64_t deadline_ms,
                     const atomic_bool *canceled, struct err *err) CHECKED;
/* Lets the file move on. Fine for one that is not frozen. */
void database_thaw(struct database *database);

/* By how many bytes the log of a frozen database has grown since: it can't be emptied while the file is
 * frozen. 0 for one that is not frozen. */
uint64_t database_log_growth(const struct database *database);

/* Of a frozen database. */
const struct database_frozen *database_frozen(const struct database *database);

/* Reads size bytes of a frozen database file. Any thread, many at once. ERR_CORRUPT beyond its end. */
bool database_read_frozen(struct database *database, uint64_t offset, void *bytes, size_t size,
                          struct err *err) CHECKED;

/* The mark of the state that was frozen last; after a thaw it follows the log (tail_salt), so take it again
 * from time to time. */
void database_mark(struct database *database, struct database_mark *ret_mark);

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
