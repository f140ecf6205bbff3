/* The regular care of an attached database.
 *
 * A mark that stays keeps the log from restarting, so it would grow for ever. Hence, in TAIL: move the mark
 * along; when the log has grown, checkpoint under the mark; and when the file holds everything, exchange the
 * mark for READ(0). Now the application's next commit restarts the log, and as soon as that is seen, a mark
 * is taken again. A commit that comes between two of these steps only means that the round is made again. */
#include "base/clock.h"
#include "snapshot/database_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>

enum {
    RUSHED_FRAMES = 2 * CHECKPOINT_FRAMES,
    RUSHED_FOR_MS = 1000, /* … and for so long after */
    ROUNDS_MAX = 4,       /* checkpoints for one call */
    ROUNDS_LONG_MAX = 2,  /* … above LOG_BYTES_HARD: the rest is short enough for the write lock */
    WRITE_LOCK_TRIES = 3, /* above LOG_BYTES_HARD */
    CONTESTED_LOOKS =
        5, /* in a row: a connection that opens or closes looks the same for some microseconds */
    CONTESTED_MS = 20,
};

/* The bytes that SQLite locks (https://sqlite.org/lockingv3.html#locking, os_unix.c): in the database file on
 * the way to an exclusive lock, and for reading; in the wal-index for as long as it is in use. */
enum {
    PENDING_BYTE = 0x40000000,
    SHARED_FIRST = PENDING_BYTE + 2,
    SHARED_BYTES = 510,
    INDEX_USED_BYTE = 128
};

/* Whether another process has a lock there that would be in the way of one of `type`. Ours never count. */
static bool is_locked(int fd, short type, off_t first, off_t bytes)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = bytes};

    return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool database_file_is_locked(int fd)
{
    return is_locked(fd, F_WRLCK, PENDING_BYTE, SHARED_FIRST + SHARED_BYTES - PENDING_BYTE);
}

/* Somebody wants the database file for himself: he is on his way to an exclusive lock (to leave WAL mode;
 * older versions stay there while they wait), or he reads it without the wal-index (locking_mode=EXCLUSIVE).
 * An application that gives up at once, or asks again without leaving a trace, can't be noticed. */
static bool looks_contested(const struct database *database)
{
    return is_locked(database->fd, F_RDLCK, PENDING_BYTE, 1) ||
           (is_locked(database->fd, F_WRLCK, SHARED_FIRST, SHARED_BYTES) &&
            !is_locked(database->index_fd, F_WRLCK, INDEX_USED_BYTE, 1));
}

static bool is_contested(struct database *database)
{
    if (!looks_contested(database))
        database->contested_looks = 0;
    else if (database->contested_looks++ == 0)
        database->contested_ms = clock_monotonic_ms();
    return database->contested_looks >= CONTESTED_LOOKS &&
           clock_monotonic_ms() - database->contested_ms >= CONTESTED_MS;
}

/* A log that once was long keeps its file, which the application then fills from the beginning. */
static void cut_log(struct database *database)
{
    struct err committed_meanwhile = {0};
    struct stat log;

    if (lstat(database->log_path, &log) != 0 || log.st_size <= LOG_BYTES_MAX)
        return;
    if (!database_truncate_log(database, &committed_meanwhile))
        return; /* next time */
}

/* Exchanges the mark for READ(0), which needs that nothing is committed meanwhile. */
static bool hand_over(struct database *database, struct err *err)
{
    if (!database_hold_file(database, err))
        return false;
    database_drop_mark(database);
    cut_log(database);
    return true;
}

/* The same with the write lock, for an application that never pauses: better a stall of some ms than a full
 * disk. */
static bool hand_over_locked(struct database *database, struct err *err)
{
    bool held;

    if (!database_collect_ahead(database, err) ||
        !database_hold_write(database, clock_monotonic_ms() + WRITE_LOCK_MAX_MS, err))
        return false;
    held = database_collect_is_near(database, err) && database_hold_mark(database, err) &&
           database_checkpoint(database, err) && database_hold_file(database, err);
    database_drop_write(database);
    if (held)
        database_drop_mark(database);
    return held;
}

/* An application that was faster, or in the way, is left alone until the next time. */
static bool shorten_log(struct database *database, const struct wal_index_header *header, struct err *err)
{
    bool is_long = (uint64_t)header->frames * header->page_size > LOG_BYTES_HARD;

    for (unsigned round = 0; round < (is_long ? ROUNDS_LONG_MAX : ROUNDS_MAX); round++) {
        if (!database_hold_mark(database, err) || !database_checkpoint(database, err))
            return err->code == ERR_TRANSIENT;
        if (hand_over(database, err))
            return true;
        if (err->code != ERR_TRANSIENT)
            return false;
    }
    if (!is_long)
        return true;
    for (unsigned attempt = 0; attempt < WRITE_LOCK_TRIES; attempt++)
        if (hand_over_locked(database, err) || err->code != ERR_TRANSIENT)
            break;
    return database->has_file || err->code == ERR_TRANSIENT;
}

static bool tend_mark(struct database *database, const struct wal_index *index, struct err *err)
{
    assert(database->has_mark && !database->has_file);
    if (index->header.frames >= CHECKPOINT_FRAMES)
        return shorten_log(database, &index->header, err);
    /* A mark that stays behind would make a blocking checkpoint of the application wait for it. */
    if (!wal_index_equal(&database->marked, &index->header) && !database_hold_mark(database, err))
        return false;
    return !wal_index_is_backfilled(index) || hand_over(database, err) || err->code == ERR_TRANSIENT;
}

static bool tend_file(struct database *database, const struct wal_index *index, struct err *err)
{
    assert(database->has_file && !database->has_mark);
    if (!database_is_anchored(database, index))
        return database_leave_file(database, err);
    cut_log(database);
    return true;
}

/* The file stays as it is, the log is read on. */
static bool tend_frozen(struct database *database, struct err *err)
{
    return !database->collector || database_collect(database, NULL, err);
}

bool database_tend(struct database *database, struct err *err)
{
    struct wal_index index;

    if (database_is_stale(database))
        return err_set(err, ERR_NOT_FOUND, "%s was deleted or replaced", database->path);
    if (is_contested(database))
        return err_set(err, ERR_CONFLICT, "the application wants %s for itself", database->path);
    if (!database_look(database, &index, err))
        return err_wrap(err, "%s", database->path);
    if (index.header.frames >= RUSHED_FRAMES)
        database->rushed_until_ms = clock_monotonic_ms() + RUSHED_FOR_MS;
    if (database->is_frozen)
        return tend_frozen(database, err);
    return (database->has_file ? tend_file(database, &index, err) : tend_mark(database, &index, err)) ||
           err_wrap(err, "%s", database->path);
}
