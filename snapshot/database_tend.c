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
    ROUNDS_MAX = 2,      /* checkpoints for one call */
    CONTESTED_MS = 20,   /* a closing connection asks for the file for some microseconds */
    WRITE_LOCK_TRIES = 3 /* above FRAMES_HARD_MAX */
};

/* The byte that SQLite locks on its way to an exclusive lock (https://sqlite.org/lockingv3.html#locking). */
enum { PENDING_BYTE = 0x40000000 };

/* Somebody wants the database file for himself: to leave WAL mode, or for locking_mode=EXCLUSIVE. Our own
 * locks never show up in F_GETLK. */
static bool is_contested(struct database *database)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = PENDING_BYTE, .l_len = 1};
    uint64_t now_ms = clock_monotonic_ms();

    if (fcntl(database->fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) {
        database->contested_ms = 0;
        return false;
    }
    if (database->contested_ms == 0)
        database->contested_ms = now_ms;
    return now_ms - database->contested_ms >= CONTESTED_MS;
}

/* Exchanges the mark for READ(0), which needs that nothing is committed meanwhile. */
static bool hand_over(struct database *database, struct err *err)
{
    if (!database_hold_file(database, err))
        return false;
    database_drop_mark(database);
    return true;
}

/* One attempt to bring the whole log into the file. */
static bool empty_log(struct database *database, struct err *err)
{
    return database_hold_mark(database, err) && database_checkpoint(database, err) &&
           hand_over(database, err);
}

/* The same with the write lock, for an application that never pauses: better a stall of some ms than a full
 * disk. */
static bool empty_log_locked(struct database *database, struct err *err)
{
    bool emptied;

    if (!database_hold_write(database, err))
        return false;
    emptied = empty_log(database, err);
    database_drop_write(database);
    return emptied;
}

static bool shorten_log(struct database *database, uint32_t frames, struct err *err)
{
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        if (empty_log(database, err))
            return true;
        if (err->code != ERR_TRANSIENT)
            return false;
    }
    for (unsigned attempt = 0; frames > FRAMES_HARD_MAX && attempt < WRITE_LOCK_TRIES; attempt++) {
        if (empty_log_locked(database, err))
            return true;
        if (err->code != ERR_TRANSIENT)
            return false;
    }
    return true; /* the application was faster; next time */
}

static bool tend_mark(struct database *database, const struct wal_index *index, struct err *err)
{
    struct err busy = {0};

    assert(database->has_mark && !database->has_file);
    if (index->header.frames >= CHECKPOINT_FRAMES)
        return shorten_log(database, index->header.frames, err);
    /* A mark that stays behind would make a blocking checkpoint of the application wait for it. */
    if (!wal_index_equal(&database->marked, &index->header) && !database_hold_mark(database, err))
        return false;
    if (wal_index_is_backfilled(index) && !hand_over(database, &busy) && busy.code != ERR_TRANSIENT)
        return err_set(err, busy.code, "%s", busy.text);
    return true;
}

static bool tend_file(struct database *database, const struct wal_index *index, struct err *err)
{
    struct stat log;

    assert(database->has_file && !database->has_mark);
    if (!database_is_anchored(database, index))
        return database_leave_file(database, err);
    if (lstat(database->log_path, &log) != 0 || log.st_size <= LOG_BYTES_MAX)
        return true;
    return database_truncate_log(database, err) || err->code == ERR_TRANSIENT;
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
    if (database->is_frozen)
        return true;
    return (database->has_file ? tend_file(database, &index, err) : tend_mark(database, &index, err)) ||
           err_wrap(err, "%s", database->path);
}
