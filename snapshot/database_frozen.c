/* What a frozen database is read from.
 *
 * Under READ(0) the file is the state, and nobody writes into it. Frozen at a mark it is the file and, over
 * it, the log up to the frame F where the last commit of that moment ended: of each page the newest frame up
 * to F, and the file for a page that has none. Others go on meanwhile. The application appends behind F,
 * which nobody here looks at; and whoever checkpoints copies frames into the file, but none that is newer
 * than the oldest mark held, ours among them, so only pages that are read from the log here. The file may
 * even be shorter than the state: every page by which the database has grown is in the log.
 *
 * The frames are found by reading the log once from its beginning, checksums and all. The wal-index, which
 * says the same, can't be asked: its tables count up to the newest frame and not up to F. */
#include "base/fs.h"
#include "snapshot/database_internal.h"
#include "snapshot/page_map.h"
#include "snapshot/pagehash.h"
#include "snapshot/wal_reader.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

struct frozen_log {
    int fd;
    struct page_map map; /* of all commits up to F */
};

static void frozen_log_free(struct frozen_log *log)
{
    if (!log)
        return;
    close_fdp(&log->fd);
    page_map_clear(&log->map);
    free(log);
}
DEFINE_CLEANUP(struct frozen_log *, frozen_log_free, frozen_log_freep)

static bool open_log(const struct database *database, struct frozen_log *log, struct err *err)
{
    struct stat status;

    log->fd = open(database->log_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (log->fd < 0 || fstat(log->fd, &status) != 0)
        return err_errno(err, "open %s", database->log_path);
    return (status.st_dev == database->log_status.st_dev && status.st_ino == database->log_status.st_ino) ||
           err_set(err, ERR_NOT_FOUND, "%s was replaced", database->log_path);
}

/* Pages that a later commit has cut off again may stay in the map: nobody asks for them. */
static bool map_log(struct frozen_log *log, const struct wal_index_header *header, struct err *err)
{
    struct wal_position start = {.salt = {header->salt[0], header->salt[1]}};
    CLEANUP(wal_reader_clearp) struct wal_reader reader;
    struct wal_commit commit = {0};

    wal_reader_init(&reader, log->fd, header->page_size);
    if (!wal_reader_begin(&reader, &start, err))
        return false;
    while (commit.end.frame < header->frames) {
        if (!wal_reader_next(&reader, header->frames, &commit, err))
            return false;
        for (size_t at = 0; at < commit.count; at++)
            page_map_put(&log->map, commit.changes[at].page, commit.changes[at].frame);
    }
    return memcmp(commit.end.checksum, header->frame_checksum, sizeof(header->frame_checksum)) == 0 ||
           err_set(err, ERR_CORRUPT, "the log and the wal-index differ at frame %u", header->frames);
}

static bool begin_at_mark(struct database *database, struct err *err)
{
    CLEANUP(frozen_log_freep) struct frozen_log *log = xcalloc(1, sizeof(*log));

    log->fd = -1;
    if (!open_log(database, log, err) || !map_log(log, &database->anchored, err))
        return err_wrap(err, "%s", database->path);
    database->frozen.page_size = database->anchored.page_size;
    database->frozen.page_count = database->anchored.pages;
    database->frozen_log = MOVE(log);
    return true;
}

/* How long the file is: an empty log does not say, and the file itself is right now that it is the whole
 * state. */
static bool begin_in_file(struct database *database, struct err *err)
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

bool database_frozen_begin(struct database *database, struct err *err)
{
    assert(!database->frozen_log && (database->has_file || database->has_mark));
    return database->has_file ? begin_in_file(database, err) : begin_at_mark(database, err);
}

void database_frozen_end(struct database *database)
{
    frozen_log_free(MOVE(database->frozen_log));
}

void database_frozen_map(const struct database *database, struct page_map *ret_map)
{
    *ret_map = (struct page_map){0};
    if (database->frozen_log)
        page_map_copy(&database->frozen_log->map, ret_map);
}

const struct database_frozen *database_frozen(const struct database *database)
{
    assert(database->is_frozen);
    return &database->frozen;
}

/* --- reading ----------------------------------------------------------------------------------------- */

/* SQLite writes nothing on the lock-byte page, so it is in no log and may lie beyond the file. */
static bool read_file(const struct database *database, uint64_t first, uint64_t count, uint8_t *bytes,
                      struct err *err)
{
    size_t page_size = database->frozen.page_size;
    uint64_t lock_page = pagehash_lock_page(database->frozen.page_size);

    if (lock_page >= first && lock_page - first < count) {
        size_t before = (size_t)(lock_page - first), after = (size_t)(count - before - 1);
        memset(bytes + before * page_size, 0, page_size);
        return (before == 0 || read_file(database, first, before, bytes, err)) &&
               (after == 0 ||
                read_file(database, lock_page + 1, after, bytes + (before + 1) * page_size, err));
    }
    return fs_read_at(database->fd, bytes, (size_t)count * page_size, (first - 1) * page_size, err);
}

static bool read_frame(const struct database *database, uint32_t frame, uint8_t *bytes, struct err *err)
{
    uint32_t page_size = database->frozen.page_size;

    return fs_read_at(database->frozen_log->fd, bytes, page_size,
                      wal_file_frame_offset(frame, page_size) + WAL_FRAME_HEADER_SIZE, err);
}

static bool read_at_mark(const struct database *database, uint64_t first, uint64_t count, uint8_t *bytes,
                         struct err *err)
{
    const struct page_map *map = &database->frozen_log->map;
    size_t page_size = database->frozen.page_size;

    for (uint64_t at = 0, length = 1; at < count; at += length) {
        uint32_t frame = page_map_get(map, (uint32_t)(first + at));
        length = 1;
        while (frame == 0 && at + length < count && page_map_get(map, (uint32_t)(first + at + length)) == 0)
            length++;
        if (frame > 0 ? !read_frame(database, frame, bytes + at * page_size, err)
                      : !read_file(database, first + at, length, bytes + at * page_size, err))
            return err_wrap(err, "page %llu", (unsigned long long)(first + at));
    }
    return true;
}

bool database_read_frozen(struct database *database, uint64_t offset, void *bytes, size_t size,
                          struct err *err)
{
    uint32_t page_size = database->frozen.page_size;

    assert(database->is_frozen && offset % page_size == 0 && size % page_size == 0);
    return (database->frozen_log
                ? read_at_mark(database, offset / page_size + 1, size / page_size, bytes, err)
                : fs_read_at(database->fd, bytes, size, offset, err)) ||
           err_wrap(err, "%s", database->path);
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
