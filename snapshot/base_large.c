/* Large files of a base: cut into pieces, of which only those are uploaded that the base before does not
 * name. */
#include "snapshot/base_files.h"

#include "base/fs.h"
#include "snapshot/blob.h"
#include "snapshot/guarded_file.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

enum { READ_ATTEMPTS = 3, FILES_PENDING = 4 };

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

static bool read_large_once(struct large_file *file, enum read_outcome *ret_outcome, struct err *err)
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
    if (whole && base_same_file(&before, &after)) {
        base_note_status(&file->entry, &after);
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
    enum read_outcome outcome = READ_GONE;

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
    file->present = file->previous != NULL;
    file->pieces_count = 0;
    if (!file->present)
        return true;
    base_take_previous(&file->entry, file->previous);
    /* One that was small before is left to those that cut small files. */
    if (file->previous->content == CONTENT_PIECES)
        copy_previous_pieces(file);
    return true;
}

static void take_result(struct large_file *file, struct tree *tree)
{
    struct tree_entry *entry = tree_at(tree, file->index);

    *entry = file->entry;
    if (!file->present)
        entry->kind = 0;
    else if (file->pieces_count > 0)
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

bool base_large_files_cut(struct base_request *request, struct base_result *result, struct err *err)
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
        files[count].previous = base_previous_of(request, files[count].path);
        group_submit(&group, cut_large_file, &files[count++]);
    }
    cut = group_wait(&group, err);
    for (size_t at = 0; at < count; at++) {
        result->blobs_uploaded += files[at].uploaded;
        take_result(&files[at], tree);
    }
    return cut;
}
