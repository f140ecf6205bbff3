/* The only module that knows SQLite's library.
 *
 * It offers just what following another process's database needs: there is no way to pass SQL in, so nothing
 * here can write a row, and no connection is opened with leave to create a file. Each connection is opened so
 * that its end changes nothing either: it never checkpoints by itself, and closing it deletes no -wal
 * (SQLITE_FCNTL_PERSIST_WAL, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE).
 *
 * No call waits for a lock: ERR_TRANSIENT says that another connection, of this process or of another, is in
 * the way. ERR_CORRUPT: not a database, or a damaged one. ERR_DENIED: it can't be written. ERR_NOT_FOUND: it
 * can't be opened.
 *
 * One connection is used by one thread at a time. The mapped index may be read by any thread until
 * sqlite_close(). */
#ifndef SNAPSHOT_SQLITE_H
#define SNAPSHOT_SQLITE_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdatomic.h>
#include <stdint.h>

struct sqlite;

/* Opens an existing database, named by an absolute path. Nothing is read yet. Where a rollback journal lies
 * beside it the file must be claimed (guarded_file.h): if the one that has the name is not, everything that
 * would look at the journal is refused with ERR_NOT_FOUND, and the journal stays as it is. */
bool sqlite_open(const char *path, struct sqlite **ret_sqlite, struct err *err) CHECKED;
/* Closes it; locks taken by sqlite_lock() must have been released. NULL is fine. */
void sqlite_close(struct sqlite *sqlite);
DEFINE_CLEANUP(struct sqlite *, sqlite_close, sqlite_closep)

/* One attempt at PRAGMA journal_mode=WAL, which also rolls back what a killed application left behind (a hot
 * journal). false in *ret_is_wal: SQLite answered that another mode stays. */
bool sqlite_set_wal(struct sqlite *sqlite, bool *ret_is_wal, struct err *err) CHECKED;

/* Begins a read transaction: takes a read mark, or READ(0) when the whole log is in the file. Repairs the
 * wal-index if it is torn (SQLite's recovery), for which it may wait up to 10 s for a process that is
 * repairing it already. */
bool sqlite_begin_read(struct sqlite *sqlite, struct err *err) CHECKED;
/* The same with the write lock: nobody can commit until sqlite_end(). */
bool sqlite_begin_write(struct sqlite *sqlite, struct err *err) CHECKED;
/* Ends it by ROLLBACK. Fine without a transaction. */
void sqlite_end(struct sqlite *sqlite);

enum sqlite_checkpoint {
    SQLITE_PASSIVE,  /* as far as read marks allow; success says nothing about how far that was */
    SQLITE_TRUNCATE, /* everything, and then the log becomes an empty file; ERR_TRANSIENT if that can't be had
                        now */
};

/* Never within a transaction of the same connection, and never while nothing else of us holds a mark, READ(0)
 * or the write lock: the log could restart under it (the WAL-reset bug of SQLite before 3.51.3,
 * https://sqlite.org/wal.html#the_wal_reset_bug). */
bool sqlite_checkpoint(struct sqlite *sqlite, enum sqlite_checkpoint mode, struct err *err) CHECKED;

/* PRAGMA integrity_check: every page and cell, every index against its table. ERR_CORRUPT: the first thing
 * that is wrong, in SQLite's words; also a schema that this SQLite can't read. ERR_CANCELED: *canceled (may
 * be NULL) became true. ERR_SYSTEM: it can't be checked here (an index over a function of the application's
 * own). For a database that nobody else uses. */
bool sqlite_check(struct sqlite *sqlite, const atomic_bool *canceled, struct err *err) CHECKED;

/* The locks of the wal-index that we take ourselves (https://sqlite.org/walformat.html#wal_locks). */
enum sqlite_slot {
    SQLITE_SLOT_CHECKPOINT = 1, /* exclusive: nobody else checkpoints */
    SQLITE_SLOT_READ0 = 3,      /* shared: nobody writes into the database file */
};

/* Takes a slot on this connection's own handle. SQLite does not know of it: a connection that holds one so
 * runs no transaction meanwhile, since the handle keeps one bit for both and the transaction's end would
 * clear it. The connection must have read once in WAL mode. */
bool sqlite_lock(struct sqlite *sqlite, enum sqlite_slot slot, struct err *err) CHECKED;
void sqlite_unlock(struct sqlite *sqlite, enum sqlite_slot slot);

/* The first 32 KiB of the mapped wal-index, in which other processes write. The connection must have read
 * once in WAL mode (ERR_CONFLICT: it has not, or the database left that mode). Stays mapped until
 * sqlite_close(). */
bool sqlite_map_index(struct sqlite *sqlite, const uint32_t **ret_words, struct err *err) CHECKED;

/* "3.40.1": the library that is loaded. Static. */
const char *sqlite_version(void);

enum { SQLITE_DATE_SIZE = 11 };

/* "2022-12-28": when its source was checked in, which tells builds of one version apart. */
void sqlite_source_date(char date[SQLITE_DATE_SIZE]);

#endif
