/* One unit of a restore: an object is fetched and proved, decoded and proved again, and written. Fetchers run
 * these side by side. */
#include "snapshot/restore_internal.h"

#include "snapshot/blob.h"
#include "snapshot/pagehash.h"
#include "snapshot/part.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

size_t restore_database_of_frame(const struct manifest *manifest, uint32_t frame)
{
    for (size_t at = 0; at < manifest->databases_count; at++) {
        const struct manifest_database *database = &manifest->databases[at];
        if (frame >= database->first_frame && frame - database->first_frame < database->frames)
            return at;
    }
    return manifest->databases_count;
}

static size_t first_inline_of(const struct restore *restore, uint32_t frame)
{
    size_t low = 0, high = restore->inline_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tree_at(restore->manifest->tree, restore->inline_entries[middle])->target < frame)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool wait_for_release(struct restore *restore, struct err *err)
{
    MUTEX_GUARD(&restore->mutex);
    while (!restore->released && !restore->stopped)
        pthread_cond_wait(&restore->changed, &restore->mutex);
    if (restore->stopped)
        return err_set(err, ERR_CANCELED, "the restore was stopped");
    return true;
}

static bool open_file(struct restore *restore, const struct tree_entry *entry, int *ret_fd, struct err *err)
{
    MUTEX_GUARD(&restore->mutex);
    return place_file(restore->place, tree_path(restore->manifest->tree, entry), entry->size, ret_fd, err);
}

static bool seal_file(const struct tree_entry *entry, int fd, struct err *err)
{
    return place_seal(fd, entry->mode, entry->uid, entry->gid, entry->mtime_ns, err);
}

static bool write_small_file(struct restore *restore, const struct tree_entry *entry, const uint8_t *raw,
                             struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;

    if (!open_file(restore, entry, &fd, err) || !place_write(fd, raw + entry->extra, entry->size, 0, err))
        return err_wrap(err, "write %s", tree_path(restore->manifest->tree, entry));
    return seal_file(entry, fd, err);
}

static bool write_small_files(struct restore *restore, uint32_t frame, const uint8_t *raw, struct err *err)
{
    for (size_t at = first_inline_of(restore, frame); at < restore->inline_count; at++) {
        const struct tree_entry *entry = tree_at(restore->manifest->tree, restore->inline_entries[at]);
        if (entry->target != frame)
            break;
        if (restore_keeps_entry(restore, restore->inline_entries[at]))
            continue;
        if (restore->place && !write_small_file(restore, entry, raw, err))
            return false;
        atomic_fetch_add(&restore->done_bytes, entry->size);
    }
    return true;
}

/* The kernel lets one thread at a time write to a file by way of the page cache; the others would spin for it
 * where they could decode (ext4: 15 % of all samples). */
static bool write_cached(struct database_job *job, const uint8_t *raw, size_t size, uint64_t offset,
                         struct err *err)
{
    bool written;

    mutex_locked(&job->writing);
    written = place_write(job->fd, raw, size, offset, err);
    pthread_mutex_unlock(&job->writing);
    /* Start the disk now: everything is synced in the end, and by then most of it should be there. */
    (void)sync_file_range(job->fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
    return written;
}

static bool write_frame(struct database_job *job, struct frame_room *room, size_t size, uint64_t offset,
                        struct err *err)
{
    if (!atomic_load(&job->is_direct))
        return write_cached(job, room->raw, size, offset, err);
    memset(room->raw + size, 0,
           sizeof(room->raw) - size); /* the padding; what was here may be another's page */
    return place_write_direct(job->fd, &job->is_direct, room->raw, size, offset, err);
}

/* Units write to different places of the hashes. */
static uint64_t hash_pages(const struct manifest_database *database, const uint8_t *raw, size_t size,
                           uint64_t offset)
{
    uint64_t first = offset / database->page_size + 1;

    return database->hashes
               ? pagehash_each(raw, size, database->page_size, first, database->hashes->values + first - 1)
               : pagehash_of(raw, size, database->page_size, first);
}

static bool write_pages(struct restore *restore, size_t index, uint32_t frame, struct frame_room *room,
                        struct err *err)
{
    const struct manifest_database *database = &restore->manifest->databases[index];
    struct database_job *job = &restore->databases[index];
    uint32_t raw_bytes = restore->manifest->frames[frame].raw_bytes;
    uint64_t offset = (uint64_t)(frame - database->first_frame) * FRAME_RAW_BYTES;
    uint64_t hash;

    if (restore_keeps_database(restore, index))
        return true;
    hash = hash_pages(database, room->raw, raw_bytes, offset);
    if (restore->place && !write_frame(job, room, raw_bytes, offset, err))
        return err_wrap(err, "write %s", database->path);
    atomic_fetch_xor(&job->rolling_hash, hash);
    atomic_fetch_add(&restore->done_bytes, raw_bytes);
    return true;
}

static bool check_part(const struct manifest_part *part, const struct buf *object, struct err *err)
{
    struct digest hash = digest_of(object->bytes, object->size);

    if (object->size != part->bytes || memcmp(hash.bytes, part->hash.bytes, HASH_SIZE) != 0)
        return err_set(err, ERR_CORRUPT, "it is damaged: its hash is not the one in the manifest");
    if (!part_is_sound(object, part->frames))
        return err_set(err, ERR_CORRUPT, "it is not a part of a base");
    return true;
}

static bool decode_frames(struct restore *restore, const struct manifest_part *part, const uint8_t *stored,
                          struct frame_room *room, struct codec *codec, struct err *err)
{
    for (uint32_t at = 0; at < part->frames; at++) {
        uint32_t frame = part->first_frame + at;
        const struct manifest_frame *size = &restore->manifest->frames[frame];
        size_t database = restore_database_of_frame(restore->manifest, frame);

        assert(size->raw_bytes <= FRAME_RAW_BYTES);
        if (!codec_decompress(codec, stored, size->stored_bytes, room->raw, size->raw_bytes, err))
            return false;
        stored += size->stored_bytes;
        if (database < restore->manifest->databases_count
                ? !write_pages(restore, database, frame, room, err)
                : !write_small_files(restore, frame, room->raw, err))
            return false;
    }
    return true;
}

static bool decode_part(struct restore *restore, const struct manifest_part *part, const struct buf *object,
                        struct codec *codec, struct err *err)
{
    struct frame_room *room = restore_take_room(restore);
    bool decoded = decode_frames(restore, part, object->bytes + PART_HEADER_BYTES, room, codec, err);

    restore_give_room(restore, room);
    return decoded;
}

bool restore_part(struct restore *restore, size_t index, struct codec *codec, struct err *err)
{
    const struct manifest_part *part = &restore->manifest->parts[index];
    struct key key = key_part(restore->manifest->position, &restore->manifest->owner, part->n);
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(part->bytes);

    if (!store_get(restore->store, key.text, &object, err) || !check_part(part, &object, err))
        return err_wrap(err, "%s", key.text);
    atomic_fetch_add(&restore->objects, 1);
    if (!wait_for_release(restore, err))
        return false;
    if (!decode_part(restore, part, &object, codec, err))
        return err_wrap(err, "%s", key.text);
    return true;
}

static bool fetch_piece(struct restore *restore, const struct tree_piece *piece, struct codec *codec,
                        struct buf *raw, struct err *err)
{
    struct key key = key_blob(piece->tag, &piece->content);
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX);

    if (!store_get(restore->store, key.text, &object, err) ||
        !blob_decode(codec, &object, &piece->content, piece->raw_bytes, raw, err))
        return err_wrap(err, "%s", key.text);
    atomic_fetch_add(&restore->objects, 1);
    return true;
}

/* The file's descriptor: made by whichever piece comes first. */
static bool file_of_job(struct restore *restore, struct file_job *job, int *ret_fd, struct err *err)
{
    const struct tree_entry *entry = tree_at(restore->manifest->tree, job->entry);

    MUTEX_GUARD(&restore->mutex);
    if (job->fd < 0 &&
        !place_file(restore->place, tree_path(restore->manifest->tree, entry), entry->size, &job->fd, err))
        return false;
    *ret_fd = job->fd;
    return true;
}

/* The last piece of a file seals it. */
static bool finish_piece(struct restore *restore, struct file_job *job, bool written, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;
    const struct tree_entry *entry = tree_at(restore->manifest->tree, job->entry);

    mutex_locked(&restore->mutex);
    assert(job->left > 0);
    if (--job->left > 0) {
        pthread_mutex_unlock(&restore->mutex);
        return written;
    }
    pthread_mutex_unlock(&restore->mutex);
    fd = job->fd;
    free(job);
    return written && (fd < 0 || seal_file(entry, fd, err));
}

static bool write_piece(struct restore *restore, struct file_job *job, uint32_t index, struct codec *codec,
                        struct err *err)
{
    const struct tree_entry *entry = tree_at(restore->manifest->tree, job->entry);
    const struct tree_piece *piece = &tree_pieces(restore->manifest->tree, entry)[index];
    CLEANUP(buf_clearp) struct buf raw = BUF_INIT(TREE_PIECE_SIZE);
    int fd = -1;

    if (piece->tag != 0 && !fetch_piece(restore, piece, codec, &raw, err))
        return false;
    if (!wait_for_release(restore, err))
        return false;
    if (restore->place && (!file_of_job(restore, job, &fd, err) ||
                           !place_write(fd, raw.bytes, raw.size, (uint64_t)index * TREE_PIECE_SIZE, err)))
        return err_wrap(err, "write %s", tree_path(restore->manifest->tree, entry));
    atomic_fetch_add(&restore->done_bytes, piece->raw_bytes);
    return true;
}

bool restore_piece(struct restore *restore, const struct unit *unit, struct codec *codec, struct err *err)
{
    return finish_piece(restore, unit->job, write_piece(restore, unit->job, unit->piece, codec, err), err);
}
