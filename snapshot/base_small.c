/* Small files of a base: read whole, packed one after the other into frames. */
#include "snapshot/base_files.h"

#include "base/fs.h"
#include "snapshot/guarded_file.h"
#include "snapshot/part_writer.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

enum { READ_ATTEMPTS = 3, RANGES_PENDING = 4, SMALL_RANGE_BYTES = 4 * FRAME_RAW_BYTES };

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

/* Reads a small file whole, from the disk; room has TREE_INLINE_MAX bytes. */
static bool read_small_once(const struct base_request *request, struct tree_entry *entry, const char *path,
                            uint8_t *room, enum read_outcome *ret_outcome, struct err *err)
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
    if (base_same_file(&before, &after)) {
        base_note_status(entry, &after);
        *ret_outcome = READ_DONE;
    }
    return true;
}

/* ret_present: false if this entry has no content that could go in. */
static bool read_small(const struct base_request *request, struct tree *tree, struct tree_entry *entry,
                       struct codec *codec, uint8_t *room, bool *ret_present, struct err *err)
{
    const char *path = tree_path(tree, entry);
    const struct tree_entry *previous = base_previous_of(request, path);
    enum read_outcome outcome = READ_GONE;

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
    base_take_previous(entry, previous);
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

bool base_small_files_cut(struct base_request *request, struct manifest *manifest, struct err *err)
{
    CLEANUP(freep) struct small_range *ranges = NULL;
    size_t count = split_small(request, manifest->tree, &ranges);
    struct task_group group;
    bool cut;

    group_init(&group, request->pool, RANGES_PENDING);
    for (size_t at = 0; at < count; at++)
        group_submit(&group, cut_small_range, &ranges[at]);
    cut = group_wait(&group, err);
    for (size_t at = 0; at < count; at++)
        number_frames(&ranges[at], manifest);
    return cut;
}
