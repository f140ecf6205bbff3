#include "tests/double/story_internal.h"

#include "snapshot/blob.h"

#include <string.h>

enum { LARGEST_FILE = 120 << 10 };

/* The file that the path of another lies in, or -1. */
static int parent_of(int index)
{
    const char *slash = strrchr(story_file_path(index), '/');

    for (int at = 0; slash && at < STORY_FILES; at++)
        if (strlen(story_file_path(at)) == (size_t)(slash - story_file_path(index)) &&
            strncmp(story_file_path(at), story_file_path(index), strlen(story_file_path(at))) == 0)
            return at;
    return -1;
}

static void clear_below(struct story *story, int index)
{
    for (int at = 0; at < STORY_FILES; at++) {
        if (parent_of(at) != index)
            continue;
        clear_below(story, at);
        story_clear_file(&story->now.files[at]);
    }
}

/* Content for a file; what is large goes into a blob. */
static void fill_file(struct story *story, struct story_file *file)
{
    static const size_t sizes[] = {0, 1, 200, TREE_INLINE_MAX, TREE_INLINE_MAX + 1, LARGEST_FILE};
    struct tree_piece piece = {0};
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX);
    struct err err = {0};
    struct key key;

    file->size = sizes[story_random(story, 6)];
    file->bytes = xcalloc(1, file->size + 1);
    if (file->size <= TREE_INLINE_MAX || story_random(story, 4) > 0)
        story_random_bytes(story, file->bytes, file->size < 100 ? file->size : 100);
    if (file->size <= TREE_INLINE_MAX)
        return;
    piece.raw_bytes = (uint32_t)file->size;
    if (file->bytes[0] != 0 || file->bytes[1] != 0) {
        piece.tag = history_head(&story->history) + 1;
        piece.content = digest_of(file->bytes, file->size);
        key = key_blob(piece.tag, &piece.content);
        story_must(blob_encode(story->codec, file->bytes, file->size, &object, &err) &&
                       store_put(story->history.mem, key.text, object.bytes, object.size, &err),
                   &err);
    } else {
        memset(file->bytes, 0, file->size);
    }
    file->pieces = xmalloc(sizeof(piece));
    file->pieces[0] = piece;
    file->pieces_count = 1;
}

/* Adds the file to a tree, as a manifest would have it; its inline content is the caller's. */
struct tree_entry *story_add_entry(struct tree *tree, int index, const struct story_file *file)
{
    const char *path = story_file_path(index);
    const char *target = file->kind == ENTRY_SYMLINK ? (const char *)file->bytes : NULL;
    struct tree_entry *entry = tree_add(tree, path, strlen(path), target, target ? strlen(target) : 0);

    entry->kind = (uint8_t)file->kind;
    entry->mode = (uint16_t)file->mode;
    entry->uid = geteuid();
    entry->gid = getegid();
    entry->mtime_ns = file->mtime_ns;
    entry->size = file->kind == ENTRY_DIRECTORY ? 0 : file->size;
    if (file->pieces_count > 0)
        tree_set_pieces(tree, entry, file->pieces, file->pieces_count);
    else if (file->kind == ENTRY_FILE && file->size > 0)
        tree_set_inline(entry, 0, 0);
    return entry;
}

static void add_put(struct story *story, int index, struct buf *body)
{
    const struct story_file *file = &story->now.files[index];
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(1 << 20);
    struct tree_entry *entry = story_add_entry(tree, index, file);
    struct err err = {0};

    if (entry->content == CONTENT_INLINE)
        story_must(codec_compress(story->codec, 3, file->bytes, file->size, &frame, &err), &err);
    data_add_put(body, tree, entry, frame.size > 0 ? frame.bytes : NULL, frame.size);
}

/* What is gone stands before what is put. */
struct file_changes {
    struct buf gone;
    struct buf put;
};

static void change_file(struct story *story, int index, struct file_changes *changes)
{
    struct story_file *file = &story->now.files[index];
    uint64_t choice = story_random(story, 10);
    enum entry_kind kind = choice < 5 ? ENTRY_FILE : choice < 8 ? ENTRY_DIRECTORY : ENTRY_SYMLINK;
    int parent = parent_of(index);

    if (parent >= 0 && story->now.files[parent].kind != ENTRY_DIRECTORY)
        return;
    if (choice == 9 && file->kind != 0) {
        data_add_gone(&changes->gone, story_file_path(index));
        clear_below(story, index);
        story_clear_file(file);
        return;
    }
    if (kind != ENTRY_DIRECTORY)
        clear_below(story, index);
    story_clear_file(file);
    file->kind = kind;
    file->mode = kind == ENTRY_SYMLINK ? 0777 : kind == ENTRY_DIRECTORY ? 0755 : 0640;
    file->mtime_ns = (int64_t)story_random(story, UINT64_C(2000000000) * 1000000000);
    if (kind == ENTRY_FILE)
        fill_file(story, file);
    if (kind == ENTRY_SYMLINK) {
        file->bytes = story_copy("somewhere/else", 14);
        file->size = 14;
    }
    add_put(story, index, &changes->put);
}

/* One of `rarely` files, on average. */
void story_change_files(struct story *story, uint64_t rarely, struct buf *body)
{
    struct file_changes changes = {story_body(), story_body()};

    for (int at = 0; at < STORY_FILES; at++)
        if (story_random(story, rarely) == 0)
            change_file(story, at, &changes);
    buf_add(body, changes.gone.bytes, changes.gone.size);
    buf_add(body, changes.put.bytes, changes.put.size);
    buf_clear(&changes.gone);
    buf_clear(&changes.put);
}

static bool names(const struct story_state *state, const char *key)
{
    for (int at = 0; at < STORY_FILES; at++) {
        const struct story_file *file = &state->files[at];
        for (uint32_t piece = 0; piece < file->pieces_count; piece++)
            if (file->pieces[piece].tag != 0 &&
                strcmp(key_blob(file->pieces[piece].tag, &file->pieces[piece].content).text, key) == 0)
                return true;
    }
    return false;
}

struct forgetting {
    struct story *story;
    uint64_t horizon;
    struct buf keys; /* each with its NUL */
};

static bool visit_blob(void *context, const struct store_entry *entry, struct err *err)
{
    struct forgetting *forgetting = context;
    bool named = false;

    (void)err;
    for (uint64_t at = forgetting->horizon; at <= history_head(&forgetting->story->history); at++)
        named = named || names(&forgetting->story->after[at], entry->key);
    if (!named)
        buf_add(&forgetting->keys, entry->key, strlen(entry->key) + 1);
    return true;
}

void story_forget_blobs(struct story *story, uint64_t horizon)
{
    struct forgetting forgetting = {story, horizon, BUF_INIT(1 << 20)};
    struct err err = {0};

    story_must(store_list(story->history.mem, "blob/", NULL, 0, visit_blob, &forgetting, &err), &err);
    for (size_t at = 0; at < forgetting.keys.size; at += strlen((char *)forgetting.keys.bytes + at) + 1)
        story_must(store_delete(story->history.mem, (char *)forgetting.keys.bytes + at, &err), &err);
    buf_clear(&forgetting.keys);
}
