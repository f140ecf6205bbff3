/* The locks on an attached database.
 *
 * What the rules of wal.c come to (https://sqlite.org/walformat.html#wal_locks, and its source): a writer
 * restarts the log only if all of it is in the database file and nobody holds a mark, READ(1) to READ(4). A
 * checkpointer writes into the file only up to the smallest mark, and only if nobody holds READ(0). So a mark
 * keeps every frame from being overwritten, and READ(0) keeps the file from changing; and since a restart
 * sets "how much is in the file" back to 0, READ(0) allows one restart at most.
 *
 * The invariant: from database_hold_first() on we hold a mark, or READ(0) taken while the file was the whole
 * state, at every instant. Each hand-over takes the new lock before it lets go of the old one. The obvious
 * way, to end the read transaction for a checkpoint and begin it again afterwards, leaves a gap in which the
 * application may restart the log and overwrite frames that nobody has read. It also checkpoints without a
 * mark, which makes SQLite before 3.51.3 overwrite the file with stale frames when the log restarts under the
 * checkpointer ("WAL-reset bug").
 *
 * Where commits are collected (database_collect.c) each hand-over also waits, with both locks held, until all
 * up to the new lock has been handed on.
 *
 * A mark cannot be had when the whole log is in the file: the transaction then gets READ(0) by itself. That
 * keeps the invariant too, and is why a checkpoint is always preceded by moving the mark. */
#include "snapshot/database_internal.h"

#include <assert.h>

enum { WRITE_LOCK_STEP_US = 50 };

static void assert_held(const struct database *database)
{
    assert(database->has_mark || database->has_file);
}

/* The connection that is free for the next mark, or for a checkpoint. */
static struct sqlite *spare_of(struct database *database)
{
    return database->turns[database->holder ^ 1];
}

bool database_look(struct database *database, struct wal_index *ret_index, struct err *err)
{
    struct err torn = {0};

    if (wal_index_read(database->index, TORN_US, ret_index, &torn))
        return true;
    /* An application that is killed between its two copies leaves this behind. The beginning of any read
     * transaction mends it, ours as well as the one of the next application. */
    if (!sqlite_begin_read(spare_of(database), err))
        return err_wrap(err, "repair the wal-index");
    sqlite_end(spare_of(database));
    return wal_index_read(database->index, TORN_US, ret_index, err);
}

bool database_repair(struct database *database, struct err *err)
{
    struct wal_index ignored;

    return database_look(database, &ignored, err);
}

bool database_hold_mark(struct database *database, struct err *err)
{
    struct wal_index index;

    if (!database_look(database, &index, err))
        return false;
    if (!sqlite_begin_read(spare_of(database), err))
        return err_wrap(err, "take a read mark");
    if (!database_collect_for_mark(database, err)) {
        sqlite_end(spare_of(database));
        return false;
    }
    if (database->has_mark)
        sqlite_end(database->turns[database->holder]);
    database->holder ^= 1;
    database->has_mark = true;
    database->marked = index.header;
    assert_held(database);
    return true;
}

void database_drop_mark(struct database *database)
{
    assert(database->has_file && database_has_collected(database, &database->anchored));
    if (database->has_mark)
        sqlite_end(database->turns[database->holder]);
    database->has_mark = false;
}

/* Only what is seen under the lock counts: before it, frames may have been appended and partly backfilled. */
static bool is_whole_state(struct database *database, const struct wal_index *before,
                           struct wal_index_header *ret_header, struct err *err)
{
    struct wal_index after;

    if (!wal_index_read(database->index, TORN_US, &after, err) || !wal_index_is_backfilled(&after) ||
        !wal_index_equal(&before->header, &after.header))
        return err_set(err, ERR_TRANSIENT, "the application committed meanwhile");
    *ret_header = after.header;
    return database_collect_for_file(database, &after.header, err);
}

bool database_hold_file(struct database *database, struct err *err)
{
    struct wal_index before;
    struct wal_index_header header;

    assert(!database->has_file);
    if (!wal_index_read(database->index, TORN_US, &before, err))
        return false;
    if (!wal_index_is_backfilled(&before))
        return err_set(err, ERR_TRANSIENT, "%u of %u frames are in the file", before.backfilled,
                       before.header.frames);
    if (!sqlite_lock(database->anchor, SQLITE_SLOT_READ0, err))
        return false;
    if (!is_whole_state(database, &before, &header, err)) {
        sqlite_unlock(database->anchor, SQLITE_SLOT_READ0);
        return false;
    }
    database->has_file = true;
    database->anchored = header;
    return true;
}

void database_drop_file(struct database *database)
{
    assert(database->has_mark && database_has_collected(database, &database->marked));
    if (database->has_file)
        sqlite_unlock(database->anchor, SQLITE_SLOT_READ0);
    database->has_file = false;
}

bool database_is_anchored(struct database *database, const struct wal_index *index)
{
    assert(database->has_file);
    /* An empty log: restarted, but nothing committed since; what had been committed before could not restart.
     */
    if (index->header.frames == 0)
        database->anchored = index->header;
    return wal_index_equal(&database->anchored, &index->header);
}

/* In small steps: SQLite's own waiting would sleep past the gaps between the application's commits. */
bool database_hold_write(struct database *database, uint64_t give_up_ms, struct err *err)
{
    assert(!database->has_write);
    while (!sqlite_begin_write(database->writer, err))
        if (err->code != ERR_TRANSIENT || !database_pause(WRITE_LOCK_STEP_US, give_up_ms, NULL, err))
            return err_wrap(err, "take the write lock");
    database->has_write = true;
    return true;
}

void database_drop_write(struct database *database)
{
    sqlite_end(database->writer);
    database->has_write = false;
}

bool database_checkpoint(struct database *database, struct err *err)
{
    struct wal_index index;

    assert(database->has_mark && !database->is_frozen);
    if (!sqlite_checkpoint(spare_of(database), SQLITE_PASSIVE, err) ||
        !wal_index_read(database->index, TORN_US, &index, err))
        return false;
    if (index.backfilled < database->marked.frames)
        return err_set(err, ERR_TRANSIENT, "a reader of the application's keeps %u frames in the log",
                       index.header.frames - index.backfilled);
    return true;
}

bool database_truncate_log(struct database *database, struct err *err)
{
    struct wal_index index;

    assert(database->has_file && !database->has_mark);
    if (!sqlite_checkpoint(spare_of(database), SQLITE_TRUNCATE, err))
        return err_wrap(err, "cut the log");
    if (wal_index_read(database->index, TORN_US, &index, err))
        (void)database_is_anchored(database, &index); /* takes over the restarted header */
    return true;
}

bool database_leave_file(struct database *database, struct err *err)
{
    assert(database->has_file && !database->is_frozen);
    /* Something is in the log and READ(0) keeps it out of the file: this is a mark, never READ(0). */
    if (!database_hold_mark(database, err))
        return false;
    database_drop_file(database);
    return true;
}

/* READ(0) if the file is the whole state, else a mark. With CKPT held the answer can't change under us: a
 * mark asked for while the log is not wholly in the file is a mark. */
static bool hold_either(struct database *database, struct err *err)
{
    struct wal_index index;

    if (!wal_index_read(database->index, TORN_US, &index, err))
        return false;
    return wal_index_is_backfilled(&index) ? database_hold_file(database, err)
                                           : database_hold_mark(database, err);
}

bool database_hold_first(struct database *database, struct err *err)
{
    struct wal_index index;
    bool held;

    assert(!database->has_mark && !database->has_file);
    /* A torn wal-index is repaired before CKPT is taken: recovery needs that lock itself. */
    if (!database_look(database, &index, err))
        return false;
    if (!sqlite_lock(database->anchor, SQLITE_SLOT_CHECKPOINT, err))
        return err_wrap(err, "the application is checkpointing");
    held = hold_either(database, err);
    sqlite_unlock(database->anchor, SQLITE_SLOT_CHECKPOINT);
    return held;
}

void database_drop_all(struct database *database)
{
    if (database->has_write)
        database_drop_write(database);
    if (database->has_mark)
        sqlite_end(database->turns[database->holder]);
    if (database->has_file)
        sqlite_unlock(database->anchor, SQLITE_SLOT_READ0);
    database_frozen_end(database);
    database->has_mark = database->has_file = database->is_frozen = false;
}
