/* One moment of several databases.
 *
 * A database file is the whole state when its log is wholly in it (backfilled) and nothing has been committed
 * since; READ(0) taken then keeps it so. An application that never pauses, or whose readers overlap so that
 * some old one always keeps the end of the log out of the file, never lets that happen. Then it is frozen at
 * a mark: the state is the database file and, over it, the log up to a frame, and while the mark is held
 * neither is overwritten (database_frozen.c). That costs a reading of the log, so the file is tried first.
 * Waiting for a gap under the write lock instead would make the application wait for us, and die of it if we
 * were stopped just then; and against readers it doesn't help.
 *
 * To have one and the same moment of several, all of this is taken of each, and then all headers are looked
 * at once more: if none has moved, then between the last of the first looks and the first of the second what
 * is held of all together was what was committed. So where the application always commits to one before the
 * other, no frozen pair shows the second without the first. */
#include "base/clock.h"
#include "snapshot/database_internal.h"

#include <assert.h>

enum {
    FILE_ATTEMPTS = 8,  /* at least, and at least for */
    FILE_MS = 60,       /* so that a checkpoint of the application's own has time to end */
    FILE_MAX_MS = 1000, /* however few attempts that were */
    RETRY_US = 1000,
};

struct freeze {
    struct database *const *databases;
    size_t count;
    const atomic_bool *canceled;
};

/* Brings the file so near to what is committed that the rest is quick. Ends with READ(0) held, or a mark. */
static bool approach(struct database *database, struct err *err)
{
    struct wal_index index;

    if (!database_look(database, &index, err))
        return false;
    if (database->has_file) {
        if (database_is_anchored(database, &index))
            return true;
        if (!database_leave_file(database, err))
            return false;
    }
    return wal_index_is_backfilled(&index) ||
           (database_hold_mark(database, err) && database_checkpoint(database, err));
}

/* READ(0) on a file that is the whole state. */
static bool hold_file(struct database *database, struct err *err)
{
    return approach(database, err) && (database->has_file || database_hold_file(database, err));
}

/* What is held anyway, if it will do. Nothing of it takes long, so that no other one moves meanwhile. */
static bool hold_either(struct database *database, struct err *err)
{
    struct wal_index index;

    if (!database_look(database, &index, err))
        return false;
    if (database->has_file)
        return database_is_anchored(database, &index) || database_leave_file(database, err);
    return !wal_index_is_backfilled(&index) || database_hold_file(database, err);
}

static bool hold_all(const struct freeze *freeze, bool with_marks, struct err *err)
{
    for (size_t at = 0; at < freeze->count; at++) {
        struct database *database = freeze->databases[at];
        if (with_marks ? !hold_either(database, err) : !hold_file(database, err))
            return err_wrap(err, "%s", database->path);
    }
    return true;
}

/* The first look, at those that are held by a mark. What was asked for as a mark is READ(0) if the whole log
 * was in the file just then, and READ(0) lets the log restart; but not while part of it is not in the file.
 * So that is looked for now, under the lock. */
static bool note_marked(const struct freeze *freeze, struct err *err)
{
    for (size_t at = 0; at < freeze->count; at++) {
        struct database *database = freeze->databases[at];
        struct wal_index now;
        if (database->has_file)
            continue;
        assert(database->has_mark);
        if (!wal_index_read(database->index, TORN_US, &now, err))
            return err_wrap(err, "%s", database->path);
        if (wal_index_is_backfilled(&now))
            return err_set(err, ERR_TRANSIENT, "%s: the application checkpointed meanwhile", database->path);
        database->anchored = now.header;
    }
    return true;
}

static bool stands_still(struct database *database, const struct wal_index *now)
{
    return database->has_file ? database_is_anchored(database, now)
                              : wal_index_equal(&database->anchored, &now->header);
}

/* The second look. */
static bool verify_all(const struct freeze *freeze, struct err *err)
{
    for (size_t at = 0; at < freeze->count; at++) {
        struct database *database = freeze->databases[at];
        struct wal_index now = {0};
        if (!database_position_at(database, &now.header, &database->frozen.position) ||
            !stands_still(database, &now))
            return err_set(err, ERR_TRANSIENT, "%s: the application committed meanwhile", database->path);
    }
    return true;
}

/* What is collected ends at the moment, too. READ(0) is held only when that is so; a mark is held since
 * before. */
static bool collect_all(const struct freeze *freeze, struct err *err)
{
    for (size_t at = 0; at < freeze->count; at++) {
        struct database *database = freeze->databases[at];
        if (!database->has_file && database->collector &&
            !database_collect(database, &database->anchored, err))
            return false;
    }
    return true;
}

static bool attempt_freeze(const struct freeze *freeze, bool with_marks, struct err *err)
{
    bool frozen = hold_all(freeze, with_marks, err) && note_marked(freeze, err) && verify_all(freeze, err) &&
                  collect_all(freeze, err);

    for (size_t at = 0; frozen && at < freeze->count; at++)
        frozen = database_frozen_begin(freeze->databases[at], err);
    return frozen;
}

/* Each ends with one lock: READ(0) or a mark. */
static void settle_all(const struct freeze *freeze, bool frozen)
{
    for (size_t at = 0; at < freeze->count; at++) {
        struct database *database = freeze->databases[at];
        if (frozen && database->has_file)
            database_drop_mark(database);
        else if (database->has_mark)
            database_drop_file(database);
        database->is_frozen = frozen;
        if (frozen)
            database_mark_set(database);
        else
            database_frozen_end(database);
    }
}

/* Attempts until one succeeds. */
static bool freeze_all(const struct freeze *freeze, uint64_t deadline_ms, struct err *err)
{
    uint64_t begun_ms = clock_monotonic_ms();
    struct err why = {0};

    for (unsigned attempt = 0;; attempt++) {
        uint64_t tried_ms = clock_monotonic_ms() - begun_ms;
        bool with_marks = tried_ms >= FILE_MAX_MS || (attempt >= FILE_ATTEMPTS && tried_ms >= FILE_MS);
        if (attempt_freeze(freeze, with_marks, &why))
            return true;
        if (why.code != ERR_TRANSIENT || !database_pause(RETRY_US, deadline_ms, freeze->canceled, &why))
            break;
    }
    *err = why;
    return false;
}

bool database_freeze(struct database *const *databases, size_t count, uint64_t deadline_ms,
                     const atomic_bool *canceled, struct err *err)
{
    struct freeze freeze = {.databases = databases, .count = count, .canceled = canceled};
    bool frozen;

    assert(count <= DATABASE_FREEZE_MAX);
    for (size_t at = 0; at < count; at++)
        assert(!databases[at]->is_frozen);
    frozen = freeze_all(&freeze, deadline_ms, err);
    settle_all(&freeze, frozen);
    return frozen || err_wrap(err, "freeze the databases");
}

void database_thaw(struct database *database)
{
    struct wal_index index;
    struct err ignored = {0};

    if (!database->is_frozen)
        return;
    database->is_frozen = false;
    database_frozen_end(database);
    if (!database->has_file || !wal_index_read(database->index, TORN_US, &index, &ignored) ||
        database_is_anchored(database, &index))
        return;
    if (!database_leave_file(database, &ignored))
        return; /* the file stays as it is until database_tend() can do it */
}
