/* Every commit of an attached database, read from its log before the log can lose it.
 *
 * The locks are what makes that possible (database_hold.c), so the locks wait: a mark is moved, and READ(0)
 * is relied upon, only when everything up to the new lock has been handed over, while the old lock is still
 * held. If the sink refuses, the new lock is given back, the log grows, and what was refused is handed over
 * again later.
 *
 * Frames are only numbered within one log. The log may restart under READ(0), once, and then all that was in
 * the log before is in the database file and has been collected; the new one begins with nothing known of it
 * but the checksum in its file's header. SQLite also gives READ(0) to a read transaction that finds the whole
 * log in the file, without saying so; hence "may restart" is looked up in the wal-index under the new lock.
 * While part of the log is not in the file a mark is a mark, and nothing restarts.
 *
 * Locks are not all that is trusted: each commit counts up in the wal-index, so a restart that swallowed one
 * shows in the count, whoever ignored which lock. */
#include "base/clock.h"
#include "snapshot/collector.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

enum {
    LOOKS_MAX = 100,
    NEAR_NS = 50 * 1000 * 1000,
};

static bool same_log(const uint32_t one[2], const uint32_t other[2])
{
    return one[0] == other[0] && one[1] == other[1];
}

static bool lost(struct err *err, const char *how)
{
    return err_set(err, ERR_CONFLICT, "lost continuity: %s", how);
}

static bool open_log(const struct database *database, struct err *err)
{
    struct collector *collector = database->collector;
    CLEANUP(close_fdp) int fd = -1;
    struct stat status;

    if (collector->log_fd >= 0)
        return true;
    fd = open(database->log_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &status) != 0)
        return err_errno(err, "open %s", database->log_path);
    if (status.st_dev != database->log_status.st_dev || status.st_ino != database->log_status.st_ino)
        return lost(err, "the log is another file");
    collector->reader.fd = collector->log_fd = MOVE_FD(fd);
    return true;
}

/* How many commits the new log has up to the header. */
static bool count_commits(struct collector *collector, const struct wal_index_header *header,
                          uint32_t *ret_commits, struct err *err)
{
    struct wal_position start = {.salt = {header->salt[0], header->salt[1]}};
    struct wal_commit commit = {0};
    uint32_t commits = 0;

    if (header->frames > 0 && !wal_reader_begin(&collector->reader, &start, err))
        return false;
    for (; commit.end.frame < header->frames; commits++)
        if (!wal_reader_next(&collector->reader, header->frames, &commit, err))
            return false;
    *ret_commits = commits;
    return true;
}

/* Whether the log that the header tells of begins where the collected one ended. */
static bool continues(struct database *database, const struct wal_index_header *header, struct err *err)
{
    struct collector *collector = database->collector;
    uint32_t commits = 0;

    if (!collector->may_restart)
        return lost(err, "the log restarted although a lock of ours forbids it");
    if (header->frames > 0 && header->page_size != collector->page_size)
        return lost(err, "the page size changed");
    if (!open_log(database, err) || !count_commits(collector, header, &commits, err))
        return false;
    /* A repaired wal-index counts from 0 again, and commits that were padded to whole sectors count less than
     * they write: what counts more than it writes has lost something. */
    if (header->changes > collector->changes && header->changes - collector->changes > commits)
        return lost(err, "the log restarted before all of it was read");
    return true;
}

static void enter_log(struct collector *collector, const struct wal_index_header *header)
{
    collector->collected = (struct wal_position){.salt = {header->salt[0], header->salt[1]}};
    page_map_clear(&collector->map);
}

static bool hand_over_commits(struct collector *collector, const struct wal_index_header *target,
                              struct err *err)
{
    struct wal_commit commit;

    while (collector->collected.frame < target->frames) {
        if (!wal_reader_next(&collector->reader, target->frames, &commit, err))
            return false;
        if (commit.end.frame == target->frames && !same_log(commit.end.checksum, target->frame_checksum))
            return err_set(err, ERR_CORRUPT, "the log and the wal-index differ at frame %u", target->frames);
        if (!collector_hand_over(collector, &commit, err))
            return false;
        collector->collected = commit.end;
        collector->changes++;
        /* It is not in the file, and what holds a lock keeps it out: no restart until the lock moves on. */
        collector->may_restart = false;
    }
    return true;
}

/* As far as it gets; from what was done the time for what is left is guessed. */
static bool hand_over_timed(struct collector *collector, const struct wal_index_header *target,
                            struct err *err)
{
    uint64_t begun_ns = clock_monotonic_ns();
    uint32_t first = collector->collected.frame;
    bool handed_over = hand_over_commits(collector, target, err);

    if (collector->collected.frame > first)
        collector->ns_per_frame = (clock_monotonic_ns() - begun_ns) / (collector->collected.frame - first);
    return handed_over;
}

static void trim(struct collector *collector)
{
    enum { KEPT_MAX = 128 << 10 };

    wal_reader_trim(&collector->reader);
    if (collector->images.capacity > KEPT_MAX)
        buf_clear(&collector->images);
    if (collector->previous.capacity > KEPT_MAX)
        buf_clear(&collector->previous);
}

/* Up to a header that is now, or was a moment ago, the one of the wal-index. */
static bool collect_to(struct database *database, const struct wal_index_header *target, struct err *err)
{
    struct collector *collector = database->collector;
    bool handed_over;

    if (collector->collected.frame == 0 || !same_log(target->salt, collector->collected.salt)) {
        if (!continues(database, target, err))
            return false;
        enter_log(collector, target);
    }
    if (target->frames < collector->collected.frame)
        return lost(err, "the log has become shorter");
    if (target->frames > collector->collected.frame) {
        if (!open_log(database, err) || !wal_reader_begin(&collector->reader, &collector->collected, err))
            return false;
        handed_over = hand_over_timed(collector, target, err);
        trim(collector);
        if (!handed_over)
            return false;
    }
    collector->changes = target->changes;
    return true;
}

static bool look_now(struct database *database, struct wal_index_header *ret_header, uint64_t *ret_position,
                     struct err *err)
{
    struct wal_index index;

    /* A torn header usually has a writer at work on it. */
    for (unsigned look = 0; look < LOOKS_MAX; look++) {
        if (database_position_at(database, ret_header, ret_position))
            return true;
        if (!wal_index_read(database->index, TORN_US, &index, err))
            return false;
    }
    return err_set(err, ERR_TRANSIENT, "the wal-index does not come to rest");
}

static bool collect_now(struct database *database, struct err *err)
{
    struct wal_index_header header;
    uint64_t position = 0;

    if (!look_now(database, &header, &position, err) || !collect_to(database, &header, err))
        return false;
    database->collector->position = position;
    return true;
}

/* Up to a header that may be older than what has been collected. */
static bool collect_limited(struct database *database, const struct wal_index_header *limit,
                            const struct wal_index_header *now, struct err *err)
{
    struct collector *collector = database->collector;
    bool is_in_log = same_log(limit->salt, collector->collected.salt);

    if (same_log(limit->salt, now->salt))
        return (is_in_log && limit->frames <= collector->collected.frame) || collect_to(database, limit, err);
    /* The limit is of a log that is gone. */
    if (is_in_log && limit->frames > collector->collected.frame)
        return lost(err, "the log restarted before all of it was read");
    return same_log(collector->collected.salt, now->salt) || continues(database, now, err);
}

static void follow_position(struct database *database, const struct wal_index_header *header)
{
    uint64_t position = database_position_given(database, header);

    if (position > database->collector->position)
        database->collector->position = position;
}

bool database_collect(struct database *database, const struct wal_index_header *limit, struct err *err)
{
    struct wal_index index;

    assert(database->collector);
    if (!database_look(database, &index, err))
        return err_wrap(err, "%s", database->path);
    if (limit ? !collect_limited(database, limit, &index.header, err) : !collect_now(database, err))
        return err_wrap(err, "read the commits of %s", database->path);
    if (limit)
        follow_position(database, limit);
    return true;
}

bool database_collect_for_mark(struct database *database, struct err *err)
{
    struct wal_index index;

    if (!database->collector)
        return true;
    if (!wal_index_read(database->index, TORN_US, &index, err) || !collect_now(database, err))
        return false;
    database->collector->may_restart = wal_index_is_backfilled(&index);
    return true;
}

bool database_collect_for_file(struct database *database, const struct wal_index_header *header,
                               struct err *err)
{
    if (!database->collector)
        return true;
    if (!collect_to(database, header, err))
        return false;
    database->collector->may_restart = true;
    return true;
}

/* How many frames are committed and not handed over. */
static bool count_left(struct database *database, uint32_t *ret_frames, struct err *err)
{
    const struct wal_position *collected = &database->collector->collected;
    struct wal_index index;

    if (!wal_index_read(database->index, TORN_US, &index, err))
        return false;
    *ret_frames = index.header.frames;
    if (same_log(index.header.salt, collected->salt) && index.header.frames >= collected->frame)
        *ret_frames -= collected->frame;
    return true;
}

static bool is_near(const struct collector *collector, uint32_t frames, struct err *err)
{
    return frames * collector->ns_per_frame <= NEAR_NS ||
           err_set(err, ERR_TRANSIENT, "%u frames are still to be read", frames);
}

bool database_collect_is_near(struct database *database, struct err *err)
{
    uint32_t frames = 0;

    return !database->collector ||
           (count_left(database, &frames, err) && is_near(database->collector, frames, err));
}

bool database_collect_ahead(struct database *database, struct err *err)
{
    uint32_t before, left = UINT32_MAX;

    if (!database->collector)
        return true;
    do { /* each round leaves what was committed during the one before */
        before = left;
        if (!collect_now(database, err) || !count_left(database, &left, err))
            return false;
        if (is_near(database->collector, left, err))
            return true;
    } while (left < before);
    return false;
}

bool database_has_collected(const struct database *database, const struct wal_index_header *header)
{
    const struct collector *collector = database->collector;

    /* A later log is entered only when all of the one before has been collected. */
    return !collector || !same_log(header->salt, collector->collected.salt) ||
           header->frames <= collector->collected.frame;
}

void database_collect_begin(struct database *database, const struct database_sink *sink)
{
    const struct wal_index_header *header = &database->anchored;
    struct collector *collector = xcalloc(1, sizeof(*collector));

    assert(database->is_frozen && !database->collector && sink->take);
    *collector = (struct collector){
        .sink = *sink,
        .database_fd = database->fd,
        .log_fd = -1,
        .page_size = database->frozen.page_size,
        .collected = {.salt = {header->salt[0], header->salt[1]},
                      .frame = header->frames,
                      .checksum = {header->frame_checksum[0], header->frame_checksum[1]}},
        .changes = header->changes,
        .position = database->frozen.position,
        .pages = database->frozen.page_count,
        .may_restart = database->has_file,
        .images = BUF_INIT(COLLECT_RUN_BYTES_MAX),
        .previous = BUF_INIT(COLLECT_RUN_BYTES_MAX),
    };
    database_frozen_map(database, &collector->map);
    wal_reader_init(&collector->reader, -1, collector->page_size);
    database->collector = collector;
}

void database_collect_end(struct database *database)
{
    struct collector *collector = database->collector;

    if (!collector)
        return;
    database->collector = NULL;
    wal_reader_clear(&collector->reader);
    page_map_clear(&collector->map);
    buf_clear(&collector->images);
    buf_clear(&collector->previous);
    close_fdp(&collector->log_fd);
    free(collector);
}

uint64_t database_collected_position(const struct database *database)
{
    assert(database->collector);
    return database->collector->position;
}

bool database_collects(const struct database *database)
{
    return database->collector != NULL;
}

void database_mark_collected(struct database *database, struct database_mark *ret_mark)
{
    const struct collector *collector = database->collector;
    const struct wal_position *collected = &collector->collected;

    database->mark = (struct database_mark){
        .inode = database->claim.status.st_ino,
        .page_size = collector->page_size,
        .page_count = collector->pages,
        .salt = {collected->salt[0], collected->salt[1]},
        .frame = collected->frame,
        .frame_checksum = {collected->checksum[0], collected->checksum[1]},
    };
    database_mark(database, ret_mark);
}
