/* A name alone proves nothing, and neither does a look before reading: a file counts as read when nothing
 * about it moved from before the first byte to after the last (size, mtime, ctime). One that keeps moving
 * goes in as the base before had it, since a torn content would be worse than an old one; one that vanished
 * and must stay for a while (its deletion may run ahead of the database) comes from there as well. */
#include "snapshot/base_files.h"

#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/blob.h"
#include "snapshot/guarded_file.h"
#include "snapshot/part_writer.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { READ_ATTEMPTS = 3, FILES_PENDING = 4, SMALL_RANGE_BYTES = 4 * FRAME_RAW_BYTES };

static bool same_file(const struct stat *before, const struct stat *after)
{
    return before->st_size == after->st_size && before->st_ino == after->st_ino &&
           memcmp(&before->st_mtim, &after->st_mtim, sizeof(before->st_mtim)) == 0 &&
           memcmp(&before->st_ctim, &after->st_ctim, sizeof(before->st_ctim)) == 0;
}

static int64_t ns_of(const struct timespec *time)
{
    return (int64_t)time->tv_sec * (int64_t)NS_PER_SECOND + time->tv_nsec;
}

static void note_status(struct tree_entry *entry, const struct stat *status)
{
    entry->size = (uint64_t)status->st_size;
    entry->mode = (uint16_t)(status->st_mode & 07777);
    entry->uid = status->st_uid;
    entry->gid = status->st_gid;
    entry->mtime_ns = ns_of(&status->st_mtim);
    entry->ctime_ns = ns_of(&status->st_ctim);
    entry->inode = status->st_ino;
}

static struct tree_entry *previous_of(const struct base_request *request, const char *path)
{
    struct tree_entry *entry = request->previous ? tree_find(request->previous->tree, path) : NULL;

    return entry && entry->kind == ENTRY_FILE ? entry : NULL;
}

/* The content of a small file as the base before holds it. */
static bool read_previous_inline(const struct base_request *request, const struct tree_entry *entry,
                                 struct codec *codec, uint8_t *raw, struct err *err)
{
    const struct manifest *manifest = request->previous;
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(PART_TARGET_BYTES + 2 * FRAME_RAW_BYTES);
    CLEANUP(freep) uint8_t *frame = NULL;
    const struct manifest_part *part = manifest->parts;
    const struct manifest_frame *size = &manifest->frames[entry->target];
    size_t offset = 16;
    struct key key;

    while (entry->target - part->first_frame >= part->frames)
        part++;
    key = key_part(manifest->position, &manifest->owner, part->n);
    if (!store_get(request->store, key.text, &object, err))
        return err_wrap(err, "read a small file back from %s", key.text);
    for (uint32_t at = part->first_frame; at < entry->target; at++)
        offset += manifest->frames[at].stored_bytes;
    if (object.size != part->bytes || offset + size->stored_bytes > object.size)
        return err_set(err, ERR_CORRUPT, "%s is damaged", key.text);
    frame = xmalloc(size->raw_bytes);
    if (!codec_decompress(codec, object.bytes + offset, size->stored_bytes, frame, size->raw_bytes, err))
        return err_wrap(err, "%s", key.text);
    memcpy(raw, frame + entry->extra, entry->size);
    return true;
}

enum outcome { READ_DONE, READ_GONE, READ_MOVING };

/* Reads a small file whole, from the disk; room has TREE_INLINE_MAX bytes. */
static bool read_small_once(const struct base_request *request, struct tree_entry *entry, const char *path,
                            uint8_t *room, enum outcome *ret_outcome, struct err *err)
{
    CLEANUP(guarded_file_closep) int fd = -1;
    struct stat before, after;
    struct err opened = {0};

    if (!guarded_file_open(request->directory_fd, path, &fd, &opened)) {
        *ret_outcome = READ_GONE;
        if (opened.code == ERR_NOT_FOUND || opened.code == ERR_CONFLICT || opened.code == ERR_CORRUPT)
            return true;
        *err = opened;
        return false;
    }
    if (fstat(fd, &before) != 0)
        return err_errno(err, "look at %s", path);
    *ret_outcome = READ_MOVING;
    if (before.st_size > TREE_INLINE_MAX || !fs_read_at(fd, room, (size_t)before.st_size, 0, &opened))
        return true; /* it grew or shrank under our eyes */
    if (fstat(fd, &after) != 0)
        return err_errno(err, "look at %s", path);
    if (same_file(&before, &after)) {
        note_status(entry, &after);
        *ret_outcome = READ_DONE;
    }
    return true;
}

/* The entry as it was: its metadata too, which belong to that content. */
static void take_previous(struct tree_entry *entry, const struct tree_entry *previous)
{
    entry->size = previous->size;
    entry->mode = previous->mode;
    entry->uid = previous->uid;
    entry->gid = previous->gid;
    entry->mtime_ns = previous->mtime_ns;
    entry->inode = 0; /* not what is on the disk: look again next time */
    entry->ctime_ns = 0;
}

/* ret_present: false if this entry has no content that could go in. */
static bool read_small(const struct base_request *request, struct tree *tree, struct tree_entry *entry,
                       struct codec *codec, uint8_t *room, bool *ret_present, struct err *err)
{
    const char *path = tree_path(tree, entry);
    const struct tree_entry *previous = previous_of(request, path);
    enum outcome outcome = READ_GONE;

    for (int attempt = 0; entry->inode != 0 && attempt < READ_ATTEMPTS; attempt++) {
        if (!read_small_once(request, entry, path, room, &outcome, err))
            return false;
        if (outcome != READ_MOVING)
            break;
    }
    *ret_present = true;
    if (outcome == READ_DONE)
        return true;
    if (!previous || previous->content == CONTENT_PIECES) {
        *ret_present = false;
        return true;
    }
    take_previous(entry, previous);
    return previous->content == CONTENT_NONE || read_previous_inline(request, previous, codec, room, err);
}

/* Consecutive small files that one task packs into frames. */
struct small_range {
    const struct base_request *request;
    struct tree *tree;
    size_t first;
    size_t end;
    struct part_list list;
    uint32_t frame; /* relative to the list */
};

static bool is_small(const struct tree_entry *entry)
{
    return entry->kind == ENTRY_FILE && entry->content == CONTENT_NONE && entry->size <= TREE_INLINE_MAX;
}

static bool flush_frame(struct small_range *range, struct part_writer *writer, const uint8_t *raw,
                        size_t *used, struct err *err)
{
    if (*used == 0)
        return true;
    if (!part_writer_add(writer, raw, *used, err))
        return false;
    *used = 0;
    range->frame++;
    return true;
}

static bool pack_small(struct small_range *range, struct part_writer *writer, uint8_t *raw, struct err *err)
{
    size_t used = 0;

    for (size_t at = range->first; at < range->end; at++) {
        struct tree_entry *entry = tree_at(range->tree, at);
        bool present = true;
        if (!is_small(entry) || (entry->size == 0 && entry->inode != 0))
            continue;
        if (used + TREE_INLINE_MAX > FRAME_RAW_BYTES && !flush_frame(range, writer, raw, &used, err))
            return false;
        if (!read_small(range->request, range->tree, entry, writer->codec, raw + used, &present, err))
            return false;
        if (!present)
            entry->kind = 0; /* dropped by tree_compact() */
        else if (entry->size > 0)
            tree_set_inline(entry, range->frame, (uint32_t)used);
        used += present ? entry->size : 0;
    }
    return flush_frame(range, writer, raw, &used, err) && part_writer_finish(writer, err);
}

static bool cut_small_range(void *context, struct err *err)
{
    struct small_range *range = context;
    CLEANUP(freep) uint8_t *raw = xmalloc(FRAME_RAW_BYTES);
    struct part_writer writer;
    bool cut;

    part_writer_open(&writer, range->request, &range->list);
    cut = pack_small(range, &writer, raw, err);
    part_writer_close(&writer);
    return cut;
}

static size_t split_small(const struct base_request *request, struct tree *tree,
                          struct small_range **ret_ranges)
{
    struct small_range *ranges = NULL;
    size_t count = 0, first = 0;
    uint64_t bytes = 0;

    for (size_t at = 0; at < tree_count(tree); at++) {
        const struct tree_entry *entry = tree_at(tree, at);
        bytes += is_small(entry) ? entry->size : 0;
        if (bytes < SMALL_RANGE_BYTES && at + 1 < tree_count(tree))
            continue;
        ranges = xrealloc(ranges, (count + 1) * sizeof(*ranges));
        ranges[count++] =
            (struct small_range){.request = request, .tree = tree, .first = first, .end = at + 1};
        first = at + 1;
        bytes = 0;
    }
    *ret_ranges = ranges;
    return count;
}

static void number_frames(struct small_range *range, struct manifest *manifest)
{
    uint32_t first = 0;

    part_list_append(&range->list, manifest, &first);
    for (size_t at = range->first; at < range->end; at++) {
        struct tree_entry *entry = tree_at(range->tree, at);
        if (entry->kind == ENTRY_FILE && entry->content == CONTENT_INLINE)
            tree_set_inline(entry, first + entry->target, entry->extra);
    }
}

static bool cut_small_files(struct base_request *request, struct manifest *manifest, struct err *err)
{
    CLEANUP(freep) struct small_range *ranges = NULL;
    size_t count = split_small(request, manifest->tree, &ranges);
    struct task_group group;
    bool cut;

    group_init(&group, request->pool, FILES_PENDING);
    for (size_t at = 0; at < count; at++)
        group_submit(&group, cut_small_range, &ranges[at]);
    cut = group_wait(&group, err);
    for (size_t at = 0; at < count; at++)
        number_frames(&ranges[at], manifest);
    return cut;
}

/* A file above the inline size: one task reads, hashes and uploads it piece by piece. */
struct large_file {
    const struct base_request *request;
    const char *path;
    size_t index;            /* of its entry */
    struct tree_entry entry; /* its status as read */
    const struct tree_entry *previous;
    struct tree_piece *pieces;
    uint32_t pieces_count;
    bool present;
    uint64_t uploaded;
};

static bool upload_piece(struct large_file *file, struct codec *codec, const struct tree_piece *piece,
                         const void *raw, struct err *err)
{
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX);
    struct key key = key_blob(piece->tag, &piece->content);

    if (!blob_encode(codec, raw, piece->raw_bytes, &object, err) ||
        !store_put(file->request->store, key.text, object.bytes, object.size, err))
        return err_wrap(err, "upload %s", file->path);
    file->uploaded++;
    return true;
}

static bool is_zeros(const uint8_t *raw, size_t size)
{
    return raw[0] == 0 && memcmp(raw, raw + 1, size - 1) == 0;
}

/* Names the piece: zeros need no object; content that the tree before names at this place keeps its key; the
 * rest is new. */
static bool name_piece(struct large_file *file, struct codec *codec, uint32_t index, const uint8_t *raw,
                       uint32_t size, struct err *err)
{
    struct tree_piece *piece = &file->pieces[index];
    const struct tree_piece *old = NULL;

    *piece = (struct tree_piece){.raw_bytes = size};
    if (is_zeros(raw, size))
        return true;
    piece->content = digest_of(raw, size);
    if (file->previous && file->previous->content == CONTENT_PIECES && index < file->previous->extra)
        old = &tree_pieces(file->request->previous->tree, file->previous)[index];
    if (old && old->tag != 0 && old->raw_bytes == size &&
        memcmp(old->content.bytes, piece->content.bytes, HASH_SIZE) == 0) {
        piece->tag = old->tag;
        return true;
    }
    piece->tag = file->request->log->newest.position + 1;
    return upload_piece(file, codec, piece, raw, err);
}

static bool read_pieces(struct large_file *file, int fd, uint64_t size, bool *ret_whole, struct err *err)
{
    CLEANUP(freep) uint8_t *raw = xmalloc(TREE_PIECE_SIZE);
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    struct err read = {0};

    file->pieces_count = (uint32_t)((size + TREE_PIECE_SIZE - 1) / TREE_PIECE_SIZE);
    file->pieces = xrealloc(file->pieces, file->pieces_count * sizeof(file->pieces[0]));
    for (uint32_t index = 0; index < file->pieces_count; index++) {
        uint64_t offset = (uint64_t)index * TREE_PIECE_SIZE;
        uint32_t piece = size - offset < TREE_PIECE_SIZE ? (uint32_t)(size - offset) : TREE_PIECE_SIZE;
        if (file->request->canceled && atomic_load(file->request->canceled))
            return err_set(err, ERR_CANCELED, "the snapshot was stopped");
        if (!fs_read_at(fd, raw, piece, offset, &read)) {
            *ret_whole = false; /* it shrank */
            return true;
        }
        if (!name_piece(file, codec, index, raw, piece, err))
            return false;
    }
    *ret_whole = true;
    return true;
}

static bool read_large_once(struct large_file *file, enum outcome *ret_outcome, struct err *err)
{
    CLEANUP(guarded_file_closep) int fd = -1;
    struct stat before, after;
    struct err opened = {0};
    bool whole = false;

    if (!guarded_file_open(file->request->directory_fd, file->path, &fd, &opened)) {
        *ret_outcome = READ_GONE;
        if (opened.code == ERR_NOT_FOUND || opened.code == ERR_CONFLICT || opened.code == ERR_CORRUPT)
            return true;
        *err = opened;
        return false;
    }
    if (fstat(fd, &before) != 0)
        return err_errno(err, "look at %s", file->path);
    *ret_outcome = READ_MOVING;
    if (before.st_size <= TREE_INLINE_MAX)
        return true; /* small now: the next base takes it inline */
    if (!read_pieces(file, fd, (uint64_t)before.st_size, &whole, err))
        return false;
    if (fstat(fd, &after) != 0)
        return err_errno(err, "look at %s", file->path);
    if (whole && same_file(&before, &after)) {
        note_status(&file->entry, &after);
        *ret_outcome = READ_DONE;
    }
    return true;
}

static void copy_previous_pieces(struct large_file *file)
{
    const struct tree_entry *previous = file->previous;

    file->pieces_count = previous->extra;
    file->pieces = xrealloc(file->pieces, previous->extra * sizeof(file->pieces[0]));
    memcpy(file->pieces, tree_pieces(file->request->previous->tree, previous),
           previous->extra * sizeof(file->pieces[0]));
}

static bool is_unchanged(const struct tree_entry *entry, const struct tree_entry *previous)
{
    return previous && previous->content == CONTENT_PIECES && previous->inode != 0 &&
           entry->inode == previous->inode && entry->size == previous->size &&
           entry->mtime_ns == previous->mtime_ns && entry->ctime_ns == previous->ctime_ns;
}

static bool cut_large_file(void *context, struct err *err)
{
    struct large_file *file = context;
    enum outcome outcome = READ_GONE;

    file->present = true;
    if (is_unchanged(&file->entry, file->previous)) {
        copy_previous_pieces(file);
        return true;
    }
    for (int attempt = 0; file->entry.inode != 0 && attempt < READ_ATTEMPTS; attempt++) {
        if (!read_large_once(file, &outcome, err))
            return false;
        if (outcome == READ_DONE)
            return true;
        if (outcome == READ_GONE)
            break;
    }
    file->present = file->previous && file->previous->content == CONTENT_PIECES;
    if (file->present) {
        take_previous(&file->entry, file->previous);
        copy_previous_pieces(file);
    }
    return true;
}

static void take_result(struct large_file *file, struct tree *tree)
{
    struct tree_entry *entry = tree_at(tree, file->index);

    *entry = file->entry;
    if (!file->present)
        entry->kind = 0;
    else
        tree_set_pieces(tree, entry, file->pieces, file->pieces_count);
    free(file->pieces);
}

static size_t count_large(struct tree *tree)
{
    size_t count = 0;

    for (size_t at = 0; at < tree_count(tree); at++)
        count += tree_at(tree, at)->kind == ENTRY_FILE && tree_at(tree, at)->size > TREE_INLINE_MAX;
    return count;
}

static bool cut_large_files(struct base_request *request, struct base_result *result, struct err *err)
{
    struct tree *tree = result->manifest.tree;
    CLEANUP(freep) struct large_file *files = xcalloc(count_large(tree), sizeof(*files));
    struct task_group group;
    size_t count = 0;
    bool cut;

    group_init(&group, request->pool, FILES_PENDING);
    for (size_t at = 0; at < tree_count(tree); at++) {
        const struct tree_entry *entry = tree_at(tree, at);
        if (entry->kind != ENTRY_FILE || entry->size <= TREE_INLINE_MAX)
            continue;
        files[count] = (struct large_file){
            .request = request, .path = tree_path(tree, entry), .index = at, .entry = *entry};
        files[count].previous = previous_of(request, files[count].path);
        group_submit(&group, cut_large_file, &files[count++]);
    }
    cut = group_wait(&group, err);
    for (size_t at = 0; at < count; at++) {
        result->blobs_uploaded += files[at].uploaded;
        take_result(&files[at], tree);
    }
    return cut;
}

bool base_files_cut(struct base_request *request, struct base_result *result, struct err *err)
{
    /* Large ones first: a small frame may not be counted twice if a file changes sides meanwhile, since each
     * entry is looked at by one of the two. */
    if (!cut_large_files(request, result, err) || !cut_small_files(request, &result->manifest, err))
        return false;
    tree_compact(result->manifest.tree);
    return true;
}
