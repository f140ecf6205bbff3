/* Large files of a base: cut into pieces, of which only those are uploaded that the base before does not
 * name. */
#include "snapshot/base_files.h"

#include "base/fs.h"
#include "snapshot/base_held.h"
#include "snapshot/blob.h"
#include "snapshot/guarded_file.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

enum { READ_ATTEMPTS = 3, FILES_PENDING = 4 };

/* A file above the inline size under its one task. */
struct large_read {
    const struct base_request *request;
    const char *path;
    const struct tree_entry *previous; /* with pieces, or NULL */
    struct base_pieces *pieces;
    struct codec *codec;
};

static bool upload_piece(struct large_read *read, const struct tree_piece *piece, const void *raw,
                         struct err *err)
{
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX);
    struct key key = key_blob(piece->tag, &piece->content);

    if (!blob_encode(read->codec, raw, piece->raw_bytes, &object, err) ||
        !store_put(read->request->store, key.text, object.bytes, object.size, err))
        return err_wrap(err, "upload %s", read->path);
    read->pieces->uploaded++;
    return true;
}

static bool is_zeros(const uint8_t *raw, size_t size)
{
    return raw[0] == 0 && memcmp(raw, raw + 1, size - 1) == 0;
}

/* Names the piece: zeros need no object; content that the tree before names at this place keeps its key; the
 * rest is new. */
static bool name_piece(struct large_read *read, uint32_t index, const uint8_t *raw, uint32_t size,
                       struct err *err)
{
    struct tree_piece *piece = &read->pieces->list[index];
    const struct tree_piece *old = NULL;

    *piece = (struct tree_piece){.raw_bytes = size};
    if (is_zeros(raw, size))
        return true;
    piece->content = digest_of(raw, size);
    if (read->previous && index < read->previous->extra)
        old = &tree_pieces(read->request->previous->tree, read->previous)[index];
    if (old && old->tag != 0 && old->raw_bytes == size &&
        memcmp(old->content.bytes, piece->content.bytes, HASH_SIZE) == 0) {
        piece->tag = old->tag;
        return true;
    }
    piece->tag = read->request->log->newest.position + 1;
    return upload_piece(read, piece, raw, err);
}

static bool read_pieces(struct large_read *read, int fd, uint64_t size, bool *ret_whole, struct err *err)
{
    CLEANUP(freep) uint8_t *raw = xmalloc(TREE_PIECE_SIZE);
    struct base_pieces *pieces = read->pieces;
    struct err cut_off = {0};

    pieces->count = (uint32_t)((size + TREE_PIECE_SIZE - 1) / TREE_PIECE_SIZE);
    pieces->list = xrealloc(pieces->list, pieces->count * sizeof(pieces->list[0]));
    for (uint32_t index = 0; index < pieces->count; index++) {
        uint64_t offset = (uint64_t)index * TREE_PIECE_SIZE;
        uint32_t piece = size - offset < TREE_PIECE_SIZE ? (uint32_t)(size - offset) : TREE_PIECE_SIZE;
        if (read->request->canceled && atomic_load(read->request->canceled))
            return err_set(err, ERR_CANCELED, "the snapshot was stopped");
        if (!fs_read_at(fd, raw, piece, offset, &cut_off)) {
            *ret_whole = false; /* it shrank */
            return true;
        }
        if (!name_piece(read, index, raw, piece, err))
            return false;
    }
    *ret_whole = true;
    return true;
}

static bool read_once(struct large_read *read, size_t index, struct tree_entry *entry,
                      enum read_outcome *ret_outcome, struct err *err)
{
    CLEANUP(guarded_file_closep) int fd = -1;
    const struct base_request *request = read->request;
    struct stat before, after;
    struct err opened = {0};
    bool whole = false;

    *ret_outcome = READ_GONE;
    if (!base_held_read(request->held, request, index, read->path, &fd, &opened)) {
        if (opened.code == ERR_NOT_FOUND || opened.code == ERR_CONFLICT || opened.code == ERR_CORRUPT)
            return true;
        *err = opened;
        return false;
    }
    if (fstat(fd, &before) != 0)
        return err_errno(err, "look at %s", read->path);
    if (before.st_size <= TREE_INLINE_MAX) {
        entry->size = (uint64_t)before.st_size;
        *ret_outcome = READ_OTHER_SIZE;
        return true;
    }
    *ret_outcome = READ_MOVING;
    if (!read_pieces(read, fd, (uint64_t)before.st_size, &whole, err))
        return false;
    if (fstat(fd, &after) != 0)
        return err_errno(err, "look at %s", read->path);
    if (whole && base_same_file(&before, &after)) {
        base_note_status(entry, &after);
        *ret_outcome = READ_DONE;
    }
    return true;
}

bool base_large_file_read(const struct base_request *request, size_t index, struct tree_entry *entry,
                          struct base_pieces *pieces, enum read_outcome *ret_outcome, struct err *err)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    struct large_read read = {
        .request = request, .path = tree_path(request->tree, entry), .pieces = pieces, .codec = codec};
    enum read_outcome outcome = READ_GONE;

    read.previous = base_previous_of(request, read.path);
    if (read.previous && read.previous->content != CONTENT_PIECES)
        read.previous = NULL;
    for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
        if (!read_once(&read, index, entry, &outcome, err))
            return false;
        if (outcome != READ_MOVING)
            break;
    }
    *ret_outcome = outcome;
    return true;
}

void base_pieces_copy(const struct base_request *request, const struct tree_entry *previous,
                      struct base_pieces *pieces)
{
    assert(previous->content == CONTENT_PIECES);
    pieces->count = previous->extra;
    pieces->list = xrealloc(pieces->list, previous->extra * sizeof(pieces->list[0]));
    memcpy(pieces->list, tree_pieces(request->previous->tree, previous),
           previous->extra * sizeof(pieces->list[0]));
}

/* One task. */
struct large_file {
    const struct base_request *request;
    size_t index;
    struct tree_entry entry; /* its status as read */
    struct base_pieces pieces;
    bool present;
    bool moved;
};

static bool is_unchanged(const struct tree_entry *entry, const struct tree_entry *previous)
{
    return previous && previous->content == CONTENT_PIECES && previous->inode != 0 &&
           entry->inode == previous->inode && entry->size == previous->size &&
           entry->mtime_ns == previous->mtime_ns && entry->ctime_ns == previous->ctime_ns;
}

/* One that was small in the base before is left to those that cut small files, like one that is small now. */
static void take_previous(struct large_file *file, const struct tree_entry *previous)
{
    file->pieces.count = 0;
    file->present = previous != NULL;
    if (!previous)
        return;
    base_take_previous(&file->entry, previous);
    if (previous->content == CONTENT_PIECES)
        base_pieces_copy(file->request, previous, &file->pieces);
}

static bool cut_large_file(void *context, struct err *err)
{
    struct large_file *file = context;
    const struct base_request *request = file->request;
    const struct tree_entry *previous = base_previous_of(request, tree_path(request->tree, &file->entry));
    enum read_outcome outcome = READ_GONE;

    file->present = true;
    if (is_unchanged(&file->entry, previous)) {
        base_pieces_copy(request, previous, &file->pieces);
        return true;
    }
    if (file->entry.inode != 0 &&
        !base_large_file_read(request, file->index, &file->entry, &file->pieces, &outcome, err))
        return false;
    file->moved = outcome == READ_MOVING;
    if (outcome == READ_OTHER_SIZE)
        file->pieces.count = 0;
    else if (outcome != READ_DONE)
        take_previous(file, previous);
    return true;
}

static void take_result(struct large_file *file, struct tree *tree)
{
    struct tree_entry *entry = tree_at(tree, file->index);

    *entry = file->entry;
    if (!file->present)
        entry->kind = 0;
    else if (file->pieces.count > 0)
        tree_set_pieces(tree, entry, file->pieces.list, file->pieces.count);
    free(file->pieces.list);
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
    struct tree *tree = request->tree;
    CLEANUP(freep) struct large_file *files = xcalloc(count_large(tree), sizeof(*files));
    struct task_group group;
    size_t count = 0;
    bool cut;

    group_init(&group, request->pool, FILES_PENDING);
    for (size_t at = 0; at < tree_count(tree); at++) {
        const struct tree_entry *entry = tree_at(tree, at);
        if (entry->kind != ENTRY_FILE || entry->size <= TREE_INLINE_MAX)
            continue;
        files[count] = (struct large_file){.request = request, .index = at, .entry = *entry};
        group_submit(&group, cut_large_file, &files[count++]);
    }
    cut = group_wait(&group, err);
    for (size_t at = 0; at < count; at++) {
        result->blobs_uploaded += files[at].pieces.uploaded;
        result->moved = result->moved || files[at].moved;
        take_result(&files[at], tree);
    }
    return cut;
}
