#include "snapshot/entry.h"

#include <assert.h>
#include <string.h>

enum {
    PIECE_BLOB = 0,
    PIECE_ZEROS = 1,
    PIECE_SIZE_MIN = 5, /* zeros: size and kind */
};

/* Names the path that breaks a rule; the literal false stands at the call (base/err.h). */
#define broken(err, path, rule) err_set((err), ERR_CORRUPT, "%.400s: %s", (path), (rule))

static uint64_t pieces_of(uint64_t size)
{
    return size / TREE_PIECE_SIZE + (size % TREE_PIECE_SIZE > 0);
}

static bool check_pieces(const struct tree *tree, const struct tree_entry *entry, struct err *err)
{
    const struct tree_piece *pieces = tree_pieces(tree, entry);
    uint64_t left = entry->size;

    if (left == 0 || entry->extra != pieces_of(left))
        return broken(err, tree_path(tree, entry), "its pieces do not add up to its size");
    for (uint32_t at = 0; at < entry->extra; at++) {
        if (pieces[at].raw_bytes != (left < TREE_PIECE_SIZE ? left : TREE_PIECE_SIZE))
            return broken(err, tree_path(tree, entry),
                          "its pieces do not have 8 MiB each and the last one the rest");
        left -= pieces[at].raw_bytes;
    }
    assert(left == 0);
    return true;
}

static bool check_symlink(const struct tree *tree, const struct tree_entry *entry, struct err *err)
{
    size_t size = strlen(tree_target(tree, entry));

    return size > 0 && size <= TREE_PATH_MAX && size == entry->size
               ? true
               : broken(err, tree_path(tree, entry),
                        "its size is not that of its target, of 1 to 4095 bytes");
}

bool entry_check(const struct tree *tree, const struct tree_entry *entry, struct err *err)
{
    const char *path = tree_path(tree, entry);

    if (!tree_path_is_safe(path, strlen(path)))
        return broken(err, path, "not a path inside the data directory");
    if (entry->mode > ENTRY_MODE_MAX)
        return broken(err, path, "its mode has unknown bits");
    if (entry->kind == ENTRY_DIRECTORY)
        return entry->content == CONTENT_NONE ? true : broken(err, path, "a directory with content");
    if (entry->kind == ENTRY_SYMLINK)
        return check_symlink(tree, entry, err);
    if (entry->kind != ENTRY_FILE)
        return broken(err, path, "its kind is unknown; a newer holdfast may know it");
    if (entry->content == CONTENT_PIECES)
        return check_pieces(tree, entry, err);
    if (entry->content == CONTENT_INLINE)
        return entry->size > 0 && entry->size <= TREE_INLINE_MAX
                   ? true
                   : broken(err, path, "only files of 1 to 32768 bytes lie in a frame");
    return entry->content == CONTENT_NONE && entry->size == 0 ? true
                                                              : broken(err, path, "its content is missing");
}

static void encode_pieces(const struct tree *tree, const struct tree_entry *entry, struct buf *bytes)
{
    const struct tree_piece *pieces = tree_pieces(tree, entry);

    wire_add_u32(bytes, entry->extra);
    for (uint32_t at = 0; at < entry->extra; at++) {
        wire_add_u32(bytes, pieces[at].raw_bytes);
        wire_add_u8(bytes, pieces[at].tag > 0 ? PIECE_BLOB : PIECE_ZEROS);
        if (pieces[at].tag == 0)
            continue;
        wire_add_u64(bytes, pieces[at].tag);
        buf_add(bytes, pieces[at].content.bytes, DIGEST_SIZE);
    }
}

void entry_encode(const struct tree *tree, const struct tree_entry *entry, struct buf *bytes)
{
    const char *path = tree_path(tree, entry);

    wire_add_u8(bytes, entry->kind);
    wire_add_str(bytes, path, strlen(path));
    wire_add_u32(bytes, entry->mode);
    wire_add_u32(bytes, entry->uid);
    wire_add_u32(bytes, entry->gid);
    wire_add_u64(bytes, (uint64_t)entry->mtime_ns);
    wire_add_u64(bytes,
                 entry->kind == ENTRY_DIRECTORY ? 0 : entry->size); /* what a disk says of those is its own */
    if (entry->kind == ENTRY_SYMLINK)
        wire_add_str(bytes, tree_target(tree, entry), entry->size);
    if (entry->kind != ENTRY_FILE)
        return;
    wire_add_u8(bytes, entry->content);
    if (entry->content == CONTENT_PIECES)
        encode_pieces(tree, entry, bytes);
}

static bool cut(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "it ends too early, or there is a NUL in a text");
}

bool entry_decode_path(struct wire_reader *reader, char ret_path[TREE_PATH_MAX + 1], struct err *err)
{
    size_t size;
    const char *text = wire_str(reader, &size);

    if (reader->failed)
        return cut(err);
    if (!tree_path_is_safe(text, size))
        return err_set(err, ERR_CORRUPT, "%.*s: not a path inside the data directory",
                       size < 400 ? (int)size : 400, text);
    memcpy(ret_path, text, size);
    ret_path[size] = '\0';
    return true;
}

static struct tree_piece decode_piece(struct wire_reader *reader)
{
    struct tree_piece piece = {.raw_bytes = wire_u32(reader)};
    uint8_t kind = wire_u8(reader);

    if (kind == PIECE_BLOB) {
        piece.tag = wire_u64(reader);
        wire_copy(reader, &piece.content, DIGEST_SIZE);
        if (piece.tag == 0) /* it would pass for zeros */
            reader->failed = true;
    } else if (kind != PIECE_ZEROS) {
        reader->failed = true;
    }
    return piece;
}

static bool decode_pieces(struct wire_reader *reader, struct tree *tree, struct tree_entry *entry,
                          struct err *err)
{
    CLEANUP(freep) struct tree_piece *pieces = NULL;
    uint32_t count = wire_u32(reader);

    if (count == 0 || count != pieces_of(entry->size) || count > wire_left(reader) / PIECE_SIZE_MIN)
        return broken(err, tree_path(tree, entry), "its pieces do not add up to its size");
    pieces = xcalloc(count, sizeof(*pieces));
    for (uint32_t at = 0; at < count; at++)
        pieces[at] = decode_piece(reader);
    if (reader->failed)
        return broken(err, tree_path(tree, entry), "its pieces are cut off or of an unknown kind");
    tree_set_pieces(tree, entry, pieces, count);
    return true;
}

static bool decode_content(struct wire_reader *reader, struct tree *tree, struct tree_entry *entry,
                           struct err *err)
{
    uint8_t content = wire_u8(reader);

    if (reader->failed)
        return cut(err);
    if (content == CONTENT_PIECES)
        return decode_pieces(reader, tree, entry, err);
    if (content != CONTENT_NONE && content != CONTENT_INLINE)
        return broken(err, tree_path(tree, entry),
                      "its content is of an unknown kind; a newer holdfast may know it");
    entry->content = content;
    return true;
}

/* The fields that every kind of entry has between its path and what is its own. */
struct attributes {
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    int64_t mtime_ns;
    uint64_t size;
};

static struct attributes decode_attributes(struct wire_reader *reader)
{
    struct attributes attributes;

    attributes.mode = wire_u32(reader);
    attributes.uid = wire_u32(reader);
    attributes.gid = wire_u32(reader);
    attributes.mtime_ns = (int64_t)wire_u64(reader);
    attributes.size = wire_u64(reader);
    return attributes;
}

bool entry_decode(struct wire_reader *reader, struct tree *tree, struct tree_entry **ret_entry,
                  struct err *err)
{
    uint8_t kind = wire_u8(reader);
    char path[TREE_PATH_MAX + 1];
    const char *target = NULL;
    size_t target_size = 0;
    struct attributes attributes;
    struct tree_entry *entry;

    if (!entry_decode_path(reader, path, err))
        return false;
    attributes = decode_attributes(reader);
    if (kind == ENTRY_SYMLINK)
        target = wire_str(reader, &target_size);
    if (reader->failed)
        return cut(err);
    if (attributes.mode > ENTRY_MODE_MAX || (kind == ENTRY_DIRECTORY && attributes.size != 0))
        return broken(err, path, "a mode with unknown bits or a directory with a size");
    entry = tree_add(tree, path, strlen(path), target, target_size);
    entry->kind = kind;
    entry->mode = (uint16_t)attributes.mode;
    entry->uid = attributes.uid;
    entry->gid = attributes.gid;
    entry->mtime_ns = attributes.mtime_ns;
    entry->size = attributes.size;
    if (kind == ENTRY_FILE && !decode_content(reader, tree, entry, err))
        return false;
    *ret_entry = entry;
    return true;
}
