/* One moment of several databases.
 *
 * A database file is the whole state when its log is wholly in it (backfilled) and nothing has been committed
 * since; READ(0) taken then keeps it so. To have that for several databases at one and the same moment,
 * READ(0) is taken on each, and then all headers are looked at once more: if none has moved since its own
 * READ(0), then between the last lock and the first of these looks all files together were what was
 * committed. So where the application always commits to one before the other, no frozen pair shows the second
 * without the first.
 *
 * That works without a writer noticing as long as commits leave gaps longer than a checkpoint of the last few
 * frames, some milliseconds. If that fails again and again, the write locks are taken for the length of such
 * a checkpoint. A process that is stopped just then keeps the application waiting, and one that gives up
 * after 5 s dies of it: so this is the exception, and the wait for the locks is short. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/database_internal.h"

#include <assert.h>
#include <string.h>

enum {
    FREE_ATTEMPTS = 8,  /* at least, and at least for */
    FREE_MS = 60,       /* so that a checkpoint of the application's own has time to end */
    FREE_MAX_MS = 1000, /* however few attempts that were */
    RETRY_MIN_US =
        1000, /* doubled from attempt to attempt with the write lock, which is not to be held all the time */
    RETRY_MAX_US = 200000,
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

/* With the write lock: nothing is committed, so the checkpoint is the last one needed. */
static bool approach_locked(struct database *database, struct err *err)
{
    struct wal_index index;

    assert(database->has_write);
    if (!database_look(database, &index, err))
        return false;
    if (database->has_file && database_is_anchored(database, &index))
        return true;
    if (!database_collect_is_near(database, err) || !database_hold_mark(database, err))
        return false;
    database_drop_file(database);
    return wal_index_is_backfilled(&index) || database_checkpoint(database, err);
}

static bool lock_all_writes(const struct freeze *freeze, struct err *err)
{
    uint64_t give_up_ms = clock_monotonic_ms() + WRITE_LOCK_MAX_MS;

    for (size_t at = 0; at < freeze->count; at++)
        if (!database_hold_write(freeze->databases[at], give_up_ms, freeze->canceled, err))
            return false;
    for (size_t at = 0; at < freeze->count; at++)
        if (!approach_locked(freeze->databases[at], err))
            return false;
    return true;
}

static bool hold_all_files(const struct freeze *freeze, struct err *err)
{
    for (size_t at = 0; at < freeze->count; at++)
        if (!freeze->databases[at]->has_file && !database_hold_file(freeze->databases[at], err))
            return err_wrap(err, "%s", freeze->databases[at]->path);
    return true;
}

/* The second look: from the last READ(0) to the first of these, all stood still. */
static bool verify_all(const struct freeze *freeze, struct err *err)
{
    for (size_t at = 0; at < freeze->count; at++) {
        struct database *database = freeze->databases[at];
        struct wal_index now = {0};
        if (!database_position_at(database, &now.header, &database->frozen.position) ||
            !database_is_anchored(database, &now))
            return err_set(err, ERR_TRANSIENT, "%s: the application committed meanwhile", database->path);
    }
    return true;
}

/* How long the file is: an empty log does not say, and the file itself is right now that it is the whole
 * state. */
static bool measure(struct database *database, struct err *err)
{
    struct stat status;
    uint32_t page_size = 0;

    if (!database_page_size(database->fd, &page_size, err))
        return err_wrap(err, "%s", database->path);
    if (fstat(database->fd, &status) != 0)
        return err_errno(err, "look at %s", database->path);
    if (page_size == 0 || status.st_size % page_size != 0 ||
        (database->anchored.frames > 0 && status.st_size / page_size != database->anchored.pages))
        return err_set(err, ERR_CORRUPT, "%s: %lld bytes are no whole number of its pages", database->path,
                       (long long)status.st_size);
    database->frozen.page_size = page_size;
    database->frozen.page_count = (uint32_t)((uint64_t)status.st_size / page_size);
    return true;
}

static bool approach_all(const struct freeze *freeze, bool with_writes, struct err *err)
{
    for (size_t at = 0; at < freeze->count; at++) {
        struct database *database = freeze->databases[at];
        if (!approach(database, err))
            return err_wrap(err, "%s", database->path);
        /* What would have to be synced and handed over under the write lock is so now. */
        if (with_writes && fdatasync(database->fd) != 0)
            return err_errno(err, "sync %s", database->path);
        if (with_writes && !database_collect_ahead(database, err))
            return err_wrap(err, "%s", database->path);
    }
    return true;
}

static void unlock_writes(const struct freeze *freeze)
{
    for (size_t at = 0; at < freeze->count; at++)
        if (freeze->databases[at]->has_write)
            database_drop_write(freeze->databases[at]);
}

static bool attempt_freeze(const struct freeze *freeze, bool with_writes, struct err *err)
{
    bool frozen;

    if (!approach_all(freeze, with_writes, err))
        return false;
    frozen = (!with_writes || lock_all_writes(freeze, err)) && hold_all_files(freeze, err) &&
             verify_all(freeze, err);
    unlock_writes(freeze);
    for (size_t at = 0; frozen && at < freeze->count; at++)
        frozen = measure(freeze->databases[at], err);
    return frozen;
}

/* Each ends with one lock: READ(0) if frozen, else what it has. */
static void settle_all(const struct freeze *freeze, bool frozen)
{
    for (size_t at = 0; at < freeze->count; at++) {
        struct database *database = freeze->databases[at];
        if (frozen)
            database_drop_mark(database);
        else if (database->has_mark)
            database_drop_file(database);
        database->is_frozen = frozen;
        if (frozen)
            database_mark_set(database);
    }
}

/* Attempts until one succeeds. While nothing but commits is in the way they follow each other at once. */
static bool freeze_all(const struct freeze *freeze, uint64_t deadline_ms, struct err *err)
{
    uint64_t begun_ms = clock_monotonic_ms();
    uint64_t pause_us = RETRY_MIN_US;

    for (unsigned attempt = 0;; attempt++) {
        uint64_t tried_ms = clock_monotonic_ms() - begun_ms;
        bool with_writes = tried_ms >= FREE_MAX_MS || (attempt >= FREE_ATTEMPTS && tried_ms >= FREE_MS);
        if (attempt_freeze(freeze, with_writes, err))
            return true;
        if (err->code != ERR_TRANSIENT || !database_pause(pause_us, deadline_ms, freeze->canceled, err))
            return false;
        if (with_writes && pause_us < RETRY_MAX_US)
            pause_us *= 2;
    }
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
    if (!wal_index_read(database->index, TORN_US, &index, &ignored) || database_is_anchored(database, &index))
        return;
    if (!database_leave_file(database, &ignored))
        return; /* the file stays as it is until database_tend() can do it */
}

const struct database_frozen *database_frozen(const struct database *database)
{
    assert(database->is_frozen);
    return &database->frozen;
}

bool database_read_frozen(struct database *database, uint64_t offset, void *bytes, size_t size,
                          struct err *err)
{
    assert(database->is_frozen);
    return fs_read_at(database->fd, bytes, size, offset, err) || err_wrap(err, "%s", database->path);
}

uint64_t database_log_growth(const struct database *database)
{
    const struct wal_index_header *anchored = &database->anchored;
    struct wal_index index;
    struct err torn = {0};
    uint64_t frames;

    if (!database->is_frozen || !wal_index_read(database->index, TORN_US, &index, &torn))
        return 0;
    frames = index.header.frames;
    if (memcmp(index.header.salt, anchored->salt, sizeof(anchored->salt)) == 0)
        frames -= anchored->frames;
    return frames * index.header.page_size;
}
