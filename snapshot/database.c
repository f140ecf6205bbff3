#include "snapshot/database.h"

#include "base/buf.h"
#include "base/clock.h"
#include "snapshot/database_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

/* How soon an attempt that met a lock is made again. */
enum { ATTACH_RETRY_US = 500 };

bool database_pause(uint64_t delay_us, uint64_t deadline_ms, const atomic_bool *canceled, struct err *err)
{
    struct timespec delay = {.tv_sec = (time_t)(delay_us / 1000000),
                             .tv_nsec = (long)(delay_us % 1000000 * 1000)};

    if (canceled && atomic_load(canceled))
        return err_set(err, ERR_CANCELED, "stopping");
    if (clock_monotonic_ms() >= deadline_ms)
        return false;
    (void)ppoll(NULL, 0, &delay,
                NULL); /* the pause between two tries: a lock's release can't be waited for */
    return true;
}

static bool is_at(const char *path, const struct stat *status)
{
    struct stat now;

    return lstat(path, &now) == 0 && now.st_dev == status->st_dev && now.st_ino == status->st_ino;
}

bool database_is_rushed(const struct database *database)
{
    return clock_monotonic_ms() < database->rushed_until_ms;
}

const char *database_path(const struct database *database)
{
    return database->path;
}

bool database_is_attached(dev_t device, ino_t inode)
{
    return guarded_file_is_claimed(device, inode);
}

struct file_id database_file(const struct database *database)
{
    struct file_id id = {.inode = database->claim.status.st_ino};

    (void)!file_id_of(database->fd, &id); /* the number alone, then */
    return id;
}

bool database_is_stale(const struct database *database)
{
    return !is_at(database->path, &database->claim.status) ||
           !is_at(database->log_path, &database->log_status) ||
           !is_at(database->index_path, &database->index_claim.status);
}

/* Opens one connection and lets it read once, which opens the log and maps the wal-index. The mode is looked
 * at within the transaction, when nobody can change it; afterwards the open log keeps it as it is. */
static bool open_connection(struct database *database, struct sqlite **ret_sqlite, struct err *err)
{
    CLEANUP(sqlite_closep) struct sqlite *sqlite = NULL;
    enum database_kind kind = DATABASE_NONE;
    bool known;

    if (!sqlite_open(database->path, &sqlite, err) || !sqlite_begin_read(sqlite, err))
        return false;
    known = database_kind_of(database->fd, &kind, err);
    sqlite_end(sqlite);
    if (!known)
        return false;
    if (kind != DATABASE_WAL)
        return err_set(err, ERR_CONFLICT, "the database is not in WAL mode");
    *ret_sqlite = MOVE(sqlite);
    return true;
}

static bool open_connections(struct database *database, struct err *err)
{
    struct sqlite **const all[] = {&database->turns[0], &database->turns[1], &database->writer,
                                   &database->anchor};

    for (size_t at = 0; at < sizeof(all) / sizeof(all[0]); at++)
        if (!*all[at] && !open_connection(database, all[at], err))
            return false;
    return true;
}

/* Notes which files these are, and that they are the ones SQLite has opened by their names. */
static bool identify_files(struct database *database, struct err *err)
{
    if (!is_at(database->path, &database->claim.status))
        return err_set(err, ERR_NOT_FOUND, "another file has taken its place");
    if (lstat(database->log_path, &database->log_status) != 0)
        return err_errno(err, "look at %s", database->log_path);
    return guarded_file_claim(AT_FDCWD, database->index_path, &database->index_claim, err) &&
           guarded_file_reopen(database->index_claim.path_fd, &database->index_fd, err) &&
           sqlite_map_index(database->anchor, &database->index, err);
}

static bool try_attach(struct database *database, struct err *err)
{
    if (!open_connections(database, err))
        return false;
    if (!database->index && !identify_files(database, err))
        return false;
    return database_hold_first(database, err);
}

static struct database *database_new(const char *path)
{
    struct database *database = xcalloc(1, sizeof(*database));
    int failed = pthread_mutex_init(&database->position_mutex, NULL);

    assert(path[0] == '/' && !failed);
    database->path = xstrdup(path);
    database->log_path = xasprintf("%s-wal", path);
    database->index_path = xasprintf("%s-shm", path);
    database->fd = database->index_fd = -1;
    database->claim = database->index_claim = (struct guarded_claim)GUARDED_CLAIM_INIT;
    return database;
}

bool database_attach(const char *path, uint64_t deadline_ms, const atomic_bool *canceled,
                     struct database **ret_database, struct err *err)
{
    CLEANUP(database_detachp) struct database *database = database_new(path);

    if (!guarded_file_claim(AT_FDCWD, path, &database->claim, err) ||
        !guarded_file_reopen(database->claim.path_fd, &database->fd, err))
        return err_wrap(err, "attach");
    while (!try_attach(database, err)) {
        if (err->code == ERR_TRANSIENT && database_pause(ATTACH_RETRY_US, deadline_ms, canceled, err))
            continue;
        if (err->code == ERR_TRANSIENT && !database->index) /* not even reading was possible */
            err_record(err, ERR_CONFLICT, "the application keeps it locked: %.300s", err->text);
        return err_wrap(err, "attach %s", path);
    }
    database_position_begin(database);
    *ret_database = MOVE(database);
    return true;
}

/* The order matters: no descriptor of the database file may be closed while a connection still has locks. */
void database_detach(struct database *database)
{
    if (!database)
        return;
    database_collect_end(database);
    database_drop_all(database);
    sqlite_close(database->turns[0]);
    sqlite_close(database->turns[1]);
    sqlite_close(database->writer);
    sqlite_close(database->anchor);
    close_fdp(&database->fd);
    close_fdp(&database->index_fd);
    guarded_file_release(&database->index_claim);
    guarded_file_release(&database->claim);
    (void)pthread_mutex_destroy(&database->position_mutex);
    free(database->path);
    free(database->log_path);
    free(database->index_path);
    free(database);
}
