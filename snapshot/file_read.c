/* A name alone proves nothing, and neither does a look before reading: a file counts as read when nothing
 * about it moved from before the first byte to after the last (size, mtime, ctime). One that keeps moving is
 * the caller's to judge: a torn content would be worse than an old one.
 *
 * Times of files move in ticks of a few milliseconds. Of two writes within one tick the second can't be told
 * from the first by any of these, and a file read between them would look unchanged for ever. So one that was
 * written in the current tick is read in the next.
 *
 * The scan before has found that it is no database. That holds for the file as the scan met it: one that has
 * moved since is noted without its inode, so that the next scan looks into it again. And one that begins like
 * a database by now is not taken at all: it may stand still for as long as its writer is kept waiting in the
 * middle of a commit, and what the scan met as its journal belongs to another state of it. Nor is that
 * journal: read before there was a database it undoes all of it, but it may be of any later commit by now.
 * A file that has pages of a first transaction is not taken either: without that very journal it is none. */
#include "snapshot/file_read.h"

#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/blob.h"
#include "snapshot/guarded_file.h"
#include "snapshot/key.h"
#include "snapshot/scan.h"

#include <assert.h>
#include <string.h>

enum { READ_ATTEMPTS = 3 };

static bool is_same(const struct stat *before, const struct stat *after)
{
    return before->st_size == after->st_size && before->st_ino == after->st_ino &&
           memcmp(&before->st_mtim, &after->st_mtim, sizeof(before->st_mtim)) == 0 &&
           memcmp(&before->st_ctim, &after->st_ctim, sizeof(before->st_ctim)) == 0;
}

/* The ctime doesn't count: a link of our own to a file that may vanish moves it. What had vanished by the
 * scan (inode 0) is read by such a link. */
static bool has_moved(const struct tree_entry *scanned, const struct stat *status)
{
    return scanned->inode != 0 &&
           (scanned->inode != status->st_ino || scanned->size != (uint64_t)status->st_size ||
            scanned->mtime_ns != clock_ns_of(status->st_mtim));
}

static void note_status(struct tree_entry *entry, const struct stat *status)
{
    entry->size = (uint64_t)status->st_size;
    entry->mode = (uint16_t)(status->st_mode & 07777);
    entry->uid = status->st_uid;
    entry->gid = status->st_gid;
    entry->mtime_ns = clock_ns_of(status->st_mtim);
    entry->ctime_ns = clock_ns_of(status->st_ctim);
    entry->inode = status->st_ino;
}

/* Opens and looks. READ_DONE: there is something to read. */
static bool open_file(const struct file_reading *reading, const struct file_at *file, int *ret_fd,
                      struct stat *status, enum read_outcome *ret_outcome, struct err *err)
{
    CLEANUP(guarded_file_closep) int fd = -1;
    struct err why = {0};

    *ret_outcome = READ_DONE;
    if (reading->open(reading->context, file->index, file->path, &fd, &why)) {
        if (fstat(fd, status) != 0)
            return err_errno(err, "look at %s", file->path);
        clock_pass_stamp(clock_ns_of(status->st_ctim));
        *ret_fd = MOVE_FD(fd);
        return true;
    }
    *ret_outcome = READ_GONE;
    if (why.code == ERR_NOT_FOUND || why.code == ERR_CONFLICT || why.code == ERR_CORRUPT)
        return true;
    *ret_outcome = READ_FAILED;
    if (file->failure)
        *file->failure = why;
    else
        *err = why;
    return file->failure != NULL;
}

/* It was none when the scan met it. Under a name that is a plain file's even so, only what was empty then
 * counts: another one may never stand still. */
static bool is_database_now(const struct file_reading *reading, const struct file_at *file, int fd)
{
    return (file->entry->size == 0 || (reading->databases && globs_match(reading->databases, file->path))) &&
           scan_is_database(fd);
}

static bool is_side_file_now(const struct file_reading *reading, const char *path)
{
    CLEANUP(freep) char *stem = scan_stem(path);

    return stem && scan_begins_like_database(reading->directory_fd, stem);
}

/* After the last byte: READ_DONE if nothing has moved. */
static bool look_again(const struct file_reading *reading, const struct file_at *file, int fd,
                       const struct stat *before, enum read_outcome *ret_outcome, struct err *err)
{
    bool moved = has_moved(file->entry, before), may_be_another = moved || file->entry->inode == 0;
    /* Asked before the second look: the journal goes after something about the file has moved. */
    bool is_unborn = scan_is_unborn(reading->directory_fd, file->path, fd);
    struct stat after;

    if (fstat(fd, &after) != 0)
        return err_errno(err, "look at %s", file->path);
    *ret_outcome = READ_MOVING;
    if (!is_same(before, &after) || (may_be_another && is_database_now(reading, file, fd)))
        return true;
    *ret_outcome = READ_GONE;
    if (is_unborn || is_side_file_now(reading, file->path))
        return true;
    note_status(file->entry, &after);
    if (moved)
        file->entry->inode = 0;
    *ret_outcome = READ_DONE;
    return true;
}

static bool read_small_once(const struct file_reading *reading, const struct file_at *file, uint8_t *room,
                            enum read_outcome *ret_outcome, struct err *err)
{
    CLEANUP(guarded_file_closep) int fd = -1;
    struct stat status;
    struct err cut_off = {0};

    if (!open_file(reading, file, &fd, &status, ret_outcome, err))
        return false;
    if (*ret_outcome != READ_DONE)
        return true;
    *ret_outcome = status.st_size > TREE_INLINE_MAX ? READ_OTHER_SIZE : READ_MOVING;
    if (*ret_outcome == READ_OTHER_SIZE || !fs_read_at(fd, room, (size_t)status.st_size, 0, &cut_off))
        return true; /* it grew or shrank under our eyes */
    return look_again(reading, file, fd, &status, ret_outcome, err);
}

bool file_read_small(const struct file_reading *reading, const struct file_at *file, uint8_t *room,
                     enum read_outcome *ret_outcome, struct err *err)
{
    enum read_outcome outcome = READ_MOVING;

    for (int attempt = 0; outcome == READ_MOVING && attempt < READ_ATTEMPTS; attempt++)
        if (!read_small_once(reading, file, room, &outcome, err))
            return false;
    *ret_outcome = outcome;
    return true;
}

static bool is_zeros(const uint8_t *raw, size_t size)
{
    return raw[0] == 0 && memcmp(raw, raw + 1, size - 1) == 0;
}

/* Names the piece: zeros need no object, what is known keeps its key, the rest is new. */
static bool name_piece(const struct file_reading *reading, struct codec *codec, const uint8_t *raw,
                       struct tree_piece *piece, uint64_t *uploaded, struct err *err)
{
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX);
    const struct tree_piece *known = NULL;
    struct key key;

    if (is_zeros(raw, piece->raw_bytes))
        return true;
    piece->content = digest_of(raw, piece->raw_bytes);
    if (reading->known)
        known = piece_names_find(reading->known, &piece->content, piece->raw_bytes);
    piece->tag = known ? known->tag : reading->tag;
    if (known)
        return true;
    key = key_blob(piece->tag, &piece->content);
    if (!blob_encode(codec, raw, piece->raw_bytes, &object, err) ||
        !store_put(reading->store, key.text, object.bytes, object.size, err))
        return false;
    (*uploaded)++;
    return true;
}

bool file_store_piece(const struct file_reading *reading, struct codec *codec, const void *raw, uint32_t size,
                      struct file_pieces *pieces, struct err *err)
{
    assert(size > 0 && size <= TREE_PIECE_SIZE);
    pieces->count = 1;
    pieces->list = xrealloc(pieces->list, sizeof(pieces->list[0]));
    pieces->list[0] = (struct tree_piece){.raw_bytes = size};
    return name_piece(reading, codec, raw, &pieces->list[0], &pieces->uploaded, err);
}

/* *ret_whole false: the file has become shorter. */
static bool read_pieces(const struct file_reading *reading, int fd, uint64_t size, struct file_pieces *pieces,
                        bool *ret_whole, struct err *err)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(freep) uint8_t *raw = xmalloc(TREE_PIECE_SIZE);
    struct err cut_off = {0};

    *ret_whole = false;
    pieces->count = (uint32_t)((size + TREE_PIECE_SIZE - 1) / TREE_PIECE_SIZE);
    pieces->list = xrealloc(pieces->list, pieces->count * sizeof(pieces->list[0]));
    for (uint32_t index = 0; index < pieces->count; index++) {
        struct tree_piece *piece = &pieces->list[index];
        uint64_t offset = (uint64_t)index * TREE_PIECE_SIZE;
        *piece = (struct tree_piece){.raw_bytes = size - offset < TREE_PIECE_SIZE ? (uint32_t)(size - offset)
                                                                                  : TREE_PIECE_SIZE};
        if (reading->canceled && atomic_load(reading->canceled))
            return err_set(err, ERR_CANCELED, "the snapshot was stopped");
        if (!fs_read_at(fd, raw, piece->raw_bytes, offset, &cut_off))
            return true;
        if (!name_piece(reading, codec, raw, piece, &pieces->uploaded, err))
            return false;
    }
    *ret_whole = true;
    return true;
}

static bool read_large_once(const struct file_reading *reading, const struct file_at *file,
                            struct file_pieces *pieces, enum read_outcome *ret_outcome, struct err *err)
{
    CLEANUP(guarded_file_closep) int fd = -1;
    struct stat status;
    bool whole = false;

    if (!open_file(reading, file, &fd, &status, ret_outcome, err))
        return false;
    if (*ret_outcome != READ_DONE)
        return true;
    if (status.st_size <= TREE_INLINE_MAX) {
        file->entry->size = (uint64_t)status.st_size;
        *ret_outcome = READ_OTHER_SIZE;
        return true;
    }
    *ret_outcome = READ_MOVING;
    if (!read_pieces(reading, fd, (uint64_t)status.st_size, pieces, &whole, err))
        return err_wrap(err, "upload %s", file->path);
    return !whole || look_again(reading, file, fd, &status, ret_outcome, err);
}

bool file_read_large(const struct file_reading *reading, const struct file_at *file,
                     struct file_pieces *pieces, enum read_outcome *ret_outcome, struct err *err)
{
    enum read_outcome outcome = READ_MOVING;

    for (int attempt = 0; outcome == READ_MOVING && attempt < READ_ATTEMPTS; attempt++)
        if (!read_large_once(reading, file, pieces, &outcome, err))
            return false;
    *ret_outcome = outcome;
    return true;
}
