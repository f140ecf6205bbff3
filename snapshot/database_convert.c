/* What a file is, and how it gets into WAL mode.
 *
 * WAL mode is a property of the file, so it can be set from outside, once and for all, while the application
 * is writing: its next transaction finds the log and uses it. SQLite needs the file for itself for that one
 * transaction. Its own way of waiting (busy_timeout) starves against a writer that commits without a pause
 * and, once it has its turn, would keep the application waiting as well; one attempt without waiting every
 * 0.2 ms gets through in some ten milliseconds and is in nobody's way meanwhile. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/database_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* The database header (https://sqlite.org/fileformat.html#the_database_header). */
enum {
    HEADER_SIZE = 100,
    AT_PAGE_SIZE = 16,
    AT_WRITE_VERSION = 18,
    AT_READ_VERSION = 19,
    AT_FRACTIONS = 21, /* three bytes that are always 64, 32, 32 */
    VERSION_ROLLBACK = 1,
    VERSION_WAL = 2,
    PAGE_SIZE_MIN = 512,
};

enum { QUICK_RETRY_US = 100, QUICK_RETRIES = 10000, SLOW_RETRY_US = 1000 };

/* 0: none that exists. */
static uint32_t page_size_of(const uint8_t stored[2])
{
    uint32_t page_size = (uint32_t)stored[0] << 8 | stored[1];

    if (page_size == 1)
        return 65536;
    return page_size >= PAGE_SIZE_MIN && (page_size & (page_size - 1)) == 0 ? page_size : 0;
}

static bool is_header(const uint8_t header[HEADER_SIZE], uint64_t file_size)
{
    static const uint8_t fractions[] = {64, 32, 32};
    uint32_t page_size = page_size_of(header + AT_PAGE_SIZE);

    return memcmp(header, "SQLite format 3", 16) == 0 && memcmp(header + AT_FRACTIONS, fractions, 3) == 0 &&
           page_size > 0 && file_size >= page_size &&
           (header[AT_WRITE_VERSION] == VERSION_ROLLBACK || header[AT_WRITE_VERSION] == VERSION_WAL) &&
           (header[AT_READ_VERSION] == VERSION_ROLLBACK || header[AT_READ_VERSION] == VERSION_WAL);
}

bool database_page_size(int fd, uint32_t *ret_page_size, struct err *err)
{
    uint8_t stored[2];

    if (!fs_read_at(fd, stored, sizeof(stored), AT_PAGE_SIZE, err))
        return false;
    *ret_page_size = page_size_of(stored);
    return true;
}

bool database_kind_of(int fd, enum database_kind *ret_kind, struct err *err)
{
    uint8_t header[HEADER_SIZE];
    struct stat status;

    if (fstat(fd, &status) != 0)
        return err_errno(err, "look at a file");
    if (status.st_size < HEADER_SIZE) {
        *ret_kind = status.st_size == 0 ? DATABASE_EMPTY : DATABASE_NONE;
        return true;
    }
    if (!fs_read_at(fd, header, sizeof(header), 0, err))
        return false;
    if (!is_header(header, (uint64_t)status.st_size))
        *ret_kind = DATABASE_NONE;
    else
        *ret_kind = header[AT_READ_VERSION] == VERSION_WAL ? DATABASE_WAL : DATABASE_ROLLBACK;
    return true;
}

/* Claims the file, which must be there and not empty: SQLite would write a header into an empty one, and an
 * application that decides by the file whether this is its first start would take that for its own. */
static bool claim_filled(const char *path, struct guarded_claim *ret_claim, struct err *err)
{
    if (!guarded_file_claim(AT_FDCWD, path, ret_claim, err))
        return false;
    if (ret_claim->status.st_size > 0)
        return true;
    guarded_file_release(ret_claim);
    return err_set(err, ERR_NOT_FOUND, "%s is still empty", path);
}

static bool set_wal(const char *path, uint64_t deadline_ms, const atomic_bool *canceled, struct err *err)
{
    CLEANUP(sqlite_closep) struct sqlite *sqlite = NULL;
    struct err unreadable = {0};
    bool is_wal = false;

    if (!sqlite_open(path, &sqlite, err))
        return false;
    for (unsigned attempt = 0; !sqlite_set_wal(sqlite, &is_wal, err); attempt++) {
        if (err->code == ERR_TRANSIENT &&
            database_pause(attempt < QUICK_RETRIES ? QUICK_RETRY_US : SLOW_RETRY_US, deadline_ms, canceled,
                           err))
            continue;
        if (err->code == ERR_TRANSIENT)
            err_record(err, ERR_CONFLICT, "the application keeps it locked (%.300s)", err->text);
        /* A schema that can't be read may be a newer SQLite's, or encrypted: the file is a database then. */
        if (err->code == ERR_CORRUPT &&
            (sqlite_begin_read(sqlite, &unreadable) || unreadable.code != ERR_CORRUPT))
            err->code = ERR_SYSTEM;
        sqlite_end(sqlite);
        return false;
    }
    return is_wal || err_set(err, ERR_CONFLICT, "SQLite keeps another journal mode");
}

static bool has_side(const char *path, const char *suffix)
{
    CLEANUP(freep) char *side = xasprintf("%s%s", path, suffix);
    struct stat status;

    return lstat(side, &status) == 0 && status.st_size > 0;
}

/* SQLite has refused the file, and has nothing open any more. */
static bool is_in_use(const struct guarded_claim *claim, const char *path)
{
    CLEANUP(close_fdp) int fd = -1;
    struct err ignored = {0};

    return has_side(path, "-wal") || has_side(path, "-journal") ||
           !guarded_file_reopen(claim->path_fd, &fd, &ignored) || database_file_is_locked(fd);
}

static bool convert_claimed(const struct guarded_claim *claim, const char *path, uint64_t deadline_ms,
                            const atomic_bool *canceled, struct err *err)
{
    if (set_wal(path, deadline_ms, canceled, err))
        return true;
    if (err->code == ERR_CORRUPT && is_in_use(claim, path))
        err->code = ERR_SYSTEM;
    return false;
}

bool database_convert(const char *path, uint64_t deadline_ms, const atomic_bool *canceled, struct err *err)
{
    struct guarded_claim claim = GUARDED_CLAIM_INIT;
    bool converted;

    assert(path[0] == '/');
    if (!claim_filled(path, &claim, err))
        return err_wrap(err, "set WAL mode");
    converted = convert_claimed(&claim, path, deadline_ms, canceled, err);
    guarded_file_release(&claim);
    return converted || err_wrap(err, "set WAL mode of %s", path);
}
