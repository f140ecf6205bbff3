/* What shows, after a crash, that the local database contains a state that was shipped.
 *
 * The marked state M is what had been committed up to frame F of log generation S, whose checksum C covers
 * all frames before it and the salts. Both salts are compared; the second is random for each generation.
 *
 * PROVEN, first: the log is of generation S and still has frame F with checksum C. The state is M and what
 * the log has after F; PROVEN_SAME if that is nothing.
 *
 * PROVEN, second: the log is of generation T, which we have seen to follow M while we held a lock all the
 * time. A log restarts only when everything before it is in the file, so the file contains M.
 *
 * PROVEN, third: the log is a later one, and nobody knows how it came about (it restarted in the last moment,
 * or the application went on alone), but behind what it has overwritten so far its file still has frame F of
 * S with checksum C, or frames of T. So this very file was that log, and each restart since has put all
 * before it into the database.
 *
 * PROVABLE_BY_HASH: any other log, or none. If the database file itself hashes to M's value it is M, and
 * whatever the log holds was committed on top.
 *
 * UNPROVEN: the file has another length or page size than M.
 *
 * What does not prove anything: salts whose first half has counted on from S. A database that was set back to
 * before M (a disk snapshot, a copy put back by hand) and went on from there counts the same way. And a log
 * proves nothing for another database file: the inode must be the same for those three. An old copy written
 * into the very same inode beside the newest log is not noticed here, just as it is not noticed by SQLite. */
#include "base/fs.h"
#include "snapshot/database_internal.h"
#include "snapshot/wal_file.h"

#include <assert.h>
#include <fcntl.h>

void database_mark_set(struct database *database)
{
    const struct wal_index_header *header = &database->anchored;

    assert(database->is_frozen);
    database->mark = (struct database_mark){
        .inode = database->claim.status.st_ino,
        .page_size = database->frozen.page_size,
        .page_count = database->frozen.page_count,
        .salt = {header->salt[0], header->salt[1]},
        .frame = header->frames,
        .frame_checksum = {header->frame_checksum[0], header->frame_checksum[1]},
        .tail_salt = {header->salt[0], header->salt[1]},
    };
}

void database_mark(struct database *database, struct database_mark *ret_mark)
{
    struct wal_index index;
    struct err torn = {0};

    /* Since the freeze a lock was held at every instant, so whatever log is there now follows the marked
     * state. */
    if (database->mark.inode != 0 && wal_index_read(database->index, TORN_US, &index, &torn)) {
        database->mark.tail_salt[0] = index.header.salt[0];
        database->mark.tail_salt[1] = index.header.salt[1];
    }
    *ret_mark = database->mark;
}

static bool salts_match(const uint32_t one[2], const uint32_t other[2])
{
    return one[0] == other[0] && one[1] == other[1] && (one[0] != 0 || one[1] != 0);
}

static bool is_later(const uint32_t salt[2], const uint32_t before[2])
{
    uint32_t restarts = salt[0] - before[0];

    return restarts > 0 && restarts <= INT32_MAX;
}

/* As part of the log or as what is left of an earlier one. A lock of ours keeps it from being overwritten
 * while we look; a log that restarts under READ(0) shows in the salts. */
static bool read_frame(const struct database *database, uint32_t frame, uint32_t page_size,
                       struct wal_frame_header *ret_frame)
{
    CLEANUP(close_fdp) int fd = open(database->log_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    uint8_t bytes[WAL_FRAME_HEADER_SIZE];
    struct err err = {0}; /* unreadable is unproven */

    if (frame == 0 || fd < 0 ||
        !fs_read_at(fd, bytes, sizeof(bytes), wal_file_frame_offset(frame, page_size), &err))
        return false;
    wal_file_parse_frame(bytes, ret_frame);
    return true;
}

static bool has_frame(const struct database *database, const struct database_mark *mark)
{
    struct wal_frame_header frame;

    return read_frame(database, mark->frame, mark->page_size, &frame) &&
           salts_match(frame.salt, mark->salt) && frame.checksum[0] == mark->frame_checksum[0] &&
           frame.checksum[1] == mark->frame_checksum[1];
}

/* Whether what follows the end of the log was the log T. */
static bool has_tail(const struct database *database, const struct database_mark *mark,
                     const struct wal_index_header *header)
{
    struct wal_frame_header frame;

    return !salts_match(mark->tail_salt, mark->salt) &&
           read_frame(database, header->frames + 1, mark->page_size, &frame) &&
           salts_match(frame.salt, mark->tail_salt);
}

static enum database_proof proof_of_log(const struct database *database, const struct database_mark *mark,
                                        const struct wal_index_header *header)
{
    if (database->claim.status.st_ino != mark->inode)
        return DATABASE_UNPROVEN;
    if (salts_match(header->salt, mark->salt)) {
        if (header->frames < mark->frame || (mark->frame > 0 && !has_frame(database, mark)))
            return DATABASE_UNPROVEN;
        return header->frames == mark->frame ? DATABASE_PROVEN_SAME : DATABASE_PROVEN;
    }
    if (salts_match(header->salt, mark->tail_salt))
        return DATABASE_PROVEN;
    return is_later(header->salt, mark->tail_salt) &&
                   (has_frame(database, mark) || has_tail(database, mark, header))
               ? DATABASE_PROVEN
               : DATABASE_UNPROVEN;
}

static enum database_proof judge(const struct database *database, const struct database_mark *mark,
                                 const struct wal_index_header *header, uint64_t file_size)
{
    enum database_proof proof = proof_of_log(database, mark, header);

    if (proof == DATABASE_UNPROVEN && file_size == (uint64_t)mark->page_count * mark->page_size)
        proof = DATABASE_PROVABLE_BY_HASH;
    return proof;
}

bool database_prove(struct database *database, const struct database_mark *mark,
                    enum database_proof *ret_proof, struct err *err)
{
    struct wal_index index;
    struct stat status;
    uint32_t page_size = 0;

    if (!database_look(database, &index, err) || !database_page_size(database->fd, &page_size, err))
        return err_wrap(err, "%s", database->path);
    if (fstat(database->fd, &status) != 0)
        return err_errno(err, "look at %s", database->path);
    *ret_proof = page_size == 0 || page_size != mark->page_size
                     ? DATABASE_UNPROVEN
                     : judge(database, mark, &index.header, (uint64_t)status.st_size);
    return true;
}
