/* A connection has its files open, but asks for the rollback journal by name each time it begins to read: one
 * that lies there, while nobody has the database locked, was left by a writer that died, and is rolled back
 * and deleted. Where another database has taken the name meanwhile (deleted and created, renamed), that is
 * the journal of *its* commit in progress, and the locks are those of the former file: the pages would go
 * into that one, wherever it is now, and the application would lose the journal that a crash would need.
 *
 * So connections go through a VFS of our own, which is SQLite's but for this: the journal of a name is only
 * touched while the file of that name is claimed (guarded_file.h). It is opened first and asked then: a
 * database claims its name before its journal is there, so the answer holds for what was opened. */
#include "snapshot/sqlite.h"

#include "base/buf.h"
#include "snapshot/guarded_file.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

/* One region of the wal-index, the unit in which SQLite maps it (WALINDEX_PGSZ in wal.c). */
enum { INDEX_REGION_BYTES = 32768 };

struct sqlite {
    sqlite3 *connection;
};

static enum err_code code_of(int result)
{
    switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return ERR_TRANSIENT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ERR_DENIED;
    case SQLITE_CANTOPEN:
        return ERR_NOT_FOUND;
    default:
        return ERR_SYSTEM;
    }
}

static void record(struct sqlite *sqlite, int result, const char *doing, struct err *err)
{
    const char *text = sqlite3_errmsg(sqlite->connection);

    err_record(err, code_of(result), "%s: %s (SQLite %d)", doing,
               sqlite3_errcode(sqlite->connection) == SQLITE_OK ? sqlite3_errstr(result) : text, result);
}

static bool run(struct sqlite *sqlite, const char *sql, struct err *err)
{
    int result = sqlite3_exec(sqlite->connection, sql, NULL, NULL, NULL);

    if (result == SQLITE_OK)
        return true;
    record(sqlite, result, sql, err);
    return false;
}

/* Everything that keeps the connection from changing something by itself. */
static bool restrain(struct sqlite *sqlite, struct err *err)
{
    sqlite3 *connection = sqlite->connection;
    int persist = 1, set = 0;
    int result = sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, &set);

    assert(result != SQLITE_OK || set == 1);
    if (result == SQLITE_OK)
        result = sqlite3_file_control(connection, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
    if (result == SQLITE_OK)
        result = sqlite3_wal_autocheckpoint(connection, 0);
    if (result == SQLITE_OK)
        result = sqlite3_busy_timeout(connection, 0);
    if (result == SQLITE_OK) /* its 120 KB would be for queries, of which there are none */
        result = sqlite3_db_config(connection, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
    if (result == SQLITE_OK)
        return true;
    record(sqlite, result, "configure a connection", err);
    return false;
}

static const char journal_suffix[] = "-journal";

static bool is_journal(const char *name)
{
    size_t length = strlen(name), suffix = sizeof(journal_suffix) - 1;

    return length > suffix && strcmp(name + length - suffix, journal_suffix) == 0;
}

/* Whether the database that has this journal by name is one that was claimed. */
static bool is_of_claimed(const char *journal)
{
    CLEANUP(freep) char *path = xstrdup(journal);
    struct stat status;

    path[strlen(path) - (sizeof(journal_suffix) - 1)] = '\0';
    return lstat(path, &status) == 0 && guarded_file_is_claimed(status.st_dev, status.st_ino);
}

static int open_guarded(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    bool is_guarded = name && (flags & SQLITE_OPEN_MAIN_JOURNAL);
    int result;

    if (is_guarded && !is_of_claimed(name))
        return SQLITE_CANTOPEN;
    result = sqlite3_vfs_find(NULL)->xOpen(vfs, name, file, flags, ret_flags);
    if (result != SQLITE_OK || !is_guarded || is_of_claimed(name))
        return result;
    (void)file->pMethods->xClose(file);
    file->pMethods = NULL; /* closed, for SQLite */
    return SQLITE_CANTOPEN;
}

static int access_guarded(sqlite3_vfs *vfs, const char *name, int flags, int *ret_answer)
{
    int result = sqlite3_vfs_find(NULL)->xAccess(vfs, name, flags, ret_answer);

    if (result == SQLITE_OK && *ret_answer && is_journal(name) && !is_of_claimed(name))
        return SQLITE_CANTOPEN;
    return result;
}

static int delete_guarded(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    if (is_journal(name) && !is_of_claimed(name))
        return SQLITE_CANTOPEN;
    return sqlite3_vfs_find(NULL)->xDelete(vfs, name, sync_directory);
}

static sqlite3_vfs guarded_vfs;

static void register_guarded_vfs(void)
{
    const sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    int result;

    assert(vfs);
    guarded_vfs = *vfs;
    guarded_vfs.zName = "holdfast";
    guarded_vfs.pNext = NULL;
    guarded_vfs.xOpen = open_guarded;
    guarded_vfs.xAccess = access_guarded;
    guarded_vfs.xDelete = delete_guarded;
    result = sqlite3_vfs_register(&guarded_vfs, 0);
    assert(result == SQLITE_OK);
}

/* Pages one by one, not 20 for each connection in advance: one page is all that is ever read. Too late, and
 * no matter, if something else of the process has used SQLite before. */
static void configure_library(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
    register_guarded_vfs();
}

bool sqlite_open(const char *path, struct sqlite **ret_sqlite, struct err *err)
{
    static pthread_once_t configured = PTHREAD_ONCE_INIT;
    int failed = pthread_once(&configured, configure_library);
    CLEANUP(sqlite_closep) struct sqlite *sqlite = xcalloc(1, sizeof(*sqlite));
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    int result;

    assert(!failed && path[0] == '/'); /* not a URI, not a temporary database */
    result = sqlite3_open_v2(path, &sqlite->connection, flags, guarded_vfs.zName);
    if (result != SQLITE_OK) {
        record(sqlite, result, "open", err);
        return false;
    }
    if (sqlite3_db_readonly(sqlite->connection, "main") != 0)
        return err_set(err, ERR_DENIED, "the database %s can't be written", path);
    if (!restrain(sqlite, err))
        return false;
    *ret_sqlite = MOVE(sqlite);
    return true;
}

void sqlite_close(struct sqlite *sqlite)
{
    int result;

    if (!sqlite)
        return;
    assert(sqlite3_total_changes(sqlite->connection) == 0);
    result = sqlite3_close(sqlite->connection);
    assert(result == SQLITE_OK);
    free(sqlite);
}

static int keep_first_text(void *context, int columns, char **values, char **names)
{
    char **kept = context;

    (void)names;
    if (!*kept && columns > 0 && values[0])
        *kept = xstrdup(values[0]);
    return 0;
}

/* What changes are some bytes in the first sector of the file, so a crash leaves the one or the other and no
 * journal is needed. One of ours would be rolled back into whatever takes the name while it is there. Within
 * a transaction a database that is in WAL mode by now stays in it: SQLite refuses (SQLITE_ERROR). */
static bool do_without_journal(struct sqlite *sqlite, struct err *err)
{
    int result;

    if (!sqlite_begin_read(sqlite, err))
        return false;
    result = sqlite3_exec(sqlite->connection, "PRAGMA journal_mode=OFF", NULL, NULL, NULL);
    if (result != SQLITE_OK && result != SQLITE_ERROR)
        record(sqlite, result, "set WAL mode", err);
    sqlite_end(sqlite);
    return result == SQLITE_OK || result == SQLITE_ERROR;
}

bool sqlite_set_wal(struct sqlite *sqlite, bool *ret_is_wal, struct err *err)
{
    CLEANUP(freep) char *mode = NULL;
    int result;

    if (!do_without_journal(sqlite, err))
        return false;
    result = sqlite3_exec(sqlite->connection, "PRAGMA journal_mode=WAL", keep_first_text, &mode, NULL);
    if (result != SQLITE_OK) {
        record(sqlite, result, "set WAL mode", err);
        return false;
    }
    *ret_is_wal = mode && strcmp(mode, "wal") == 0;
    return true;
}

static int is_canceled(void *context)
{
    const atomic_bool *canceled = context;

    return atomic_load(canceled);
}

/* Its reports have lines; an error is one. */
static void join_lines(char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            *text = ' ';
}

bool sqlite_check(struct sqlite *sqlite, const atomic_bool *canceled, struct err *err)
{
    enum { STEPS_BETWEEN_LOOKS = 1000 };
    CLEANUP(freep) char *verdict = NULL;
    int result;

    if (canceled)
        sqlite3_progress_handler(sqlite->connection, STEPS_BETWEEN_LOOKS, is_canceled,
                                 (void *)(uintptr_t)canceled);
    result = sqlite3_exec(sqlite->connection, "PRAGMA integrity_check(1)", keep_first_text, &verdict, NULL);
    sqlite3_progress_handler(sqlite->connection, 0, NULL, NULL);
    if (result == SQLITE_INTERRUPT)
        return err_set(err, ERR_CANCELED, "the check was stopped");
    if (result != SQLITE_OK) {
        record(sqlite, result, "integrity_check", err);
        return false;
    }
    if (verdict && strcmp(verdict, "ok") == 0)
        return true;
    if (verdict)
        join_lines(verdict);
    return err_set(err, ERR_CORRUPT, "integrity_check: %s", verdict ? verdict : "no answer");
}

static bool begin(struct sqlite *sqlite, const char *sql, struct err *err)
{
    assert(sqlite3_get_autocommit(sqlite->connection));
    if (run(sqlite, sql, err))
        return true;
    sqlite_end(sqlite);
    return false;
}

bool sqlite_begin_read(struct sqlite *sqlite, struct err *err)
{
    /* The pragma reads one field of page 1: a read transaction that needs no schema, so that a schema we
     * can't parse (a newer SQLite's, an extension's) is no obstacle. */
    return begin(sqlite, "BEGIN; PRAGMA user_version", err);
}

bool sqlite_begin_write(struct sqlite *sqlite, struct err *err)
{
    return begin(sqlite, "BEGIN IMMEDIATE", err);
}

void sqlite_end(struct sqlite *sqlite)
{
    if (!sqlite3_get_autocommit(sqlite->connection))
        (void)sqlite3_exec(sqlite->connection, "ROLLBACK", NULL, NULL, NULL);
    assert(
        sqlite3_get_autocommit(sqlite->connection)); /* ROLLBACK ends the transaction even when it reports */
}

bool sqlite_checkpoint(struct sqlite *sqlite, enum sqlite_checkpoint mode, struct err *err)
{
    int flag = mode == SQLITE_PASSIVE ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE;
    int result;

    assert(sqlite3_get_autocommit(sqlite->connection));
    result = sqlite3_wal_checkpoint_v2(sqlite->connection, "main", flag, NULL, NULL);
    if (result == SQLITE_OK)
        return true;
    record(sqlite, result, "checkpoint", err);
    return false;
}

static sqlite3_file *file_of(struct sqlite *sqlite)
{
    sqlite3_file *file = NULL;
    int result = sqlite3_file_control(sqlite->connection, "main", SQLITE_FCNTL_FILE_POINTER, &file);

    assert(result == SQLITE_OK && file && file->pMethods && file->pMethods->iVersion >= 2);
    return file;
}

static int sharing_of(enum sqlite_slot slot)
{
    return slot == SQLITE_SLOT_READ0 ? SQLITE_SHM_SHARED : SQLITE_SHM_EXCLUSIVE;
}

bool sqlite_lock(struct sqlite *sqlite, enum sqlite_slot slot, struct err *err)
{
    sqlite3_file *file = file_of(sqlite);
    int result = file->pMethods->xShmLock(file, (int)slot, 1, SQLITE_SHM_LOCK | sharing_of(slot));

    if (result == SQLITE_OK)
        return true;
    return err_set(err, code_of(result), "take lock %d of the wal-index: %s", slot, sqlite3_errstr(result));
}

void sqlite_unlock(struct sqlite *sqlite, enum sqlite_slot slot)
{
    sqlite3_file *file = file_of(sqlite);
    int result = file->pMethods->xShmLock(file, (int)slot, 1, SQLITE_SHM_UNLOCK | sharing_of(slot));

    assert(result == SQLITE_OK);
}

bool sqlite_map_index(struct sqlite *sqlite, const uint32_t **ret_words, struct err *err)
{
    sqlite3_file *file = file_of(sqlite);
    void volatile *words = NULL;
    int result = file->pMethods->xShmMap(file, 0, INDEX_REGION_BYTES, 0, &words);

    if (result != SQLITE_OK)
        return err_set(err, code_of(result), "map the wal-index: %s", sqlite3_errstr(result));
    if (!words)
        return err_set(err, ERR_CONFLICT, "the database has no wal-index: it is not in WAL mode");
    *ret_words =
        (const uint32_t *)(uintptr_t)words; /* volatile: SQLite's habit; we load atomically instead */
    return true;
}

const char *sqlite_version(void)
{
    return sqlite3_libversion();
}

/* The source id begins with it (https://sqlite.org/c3ref/libversion.html). */
void sqlite_source_date(char date[SQLITE_DATE_SIZE])
{
    (void)snprintf(date, SQLITE_DATE_SIZE, "%s", sqlite3_sourceid());
}
