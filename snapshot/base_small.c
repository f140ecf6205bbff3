/* Small files of a base: read whole, packed one after the other into frames. */
#include "snapshot/base_files.h"

#include "snapshot/base_previous.h"
#include "snapshot/part_writer.h"

#include <stdio.h>
#include <string.h>

enum { RANGES_PENDING = 4, SMALL_RANGE_BYTES = 4 * FRAME_RAW_BYTES };

/* A file that ends up in pieces all the same; the tree gets them when all tasks are done. */
struct grown {
    size_t index;
    struct file_pieces pieces;
};

/* Consecutive small files that one task packs into frames. */
struct small_range {
    const struct base_request *request;
    size_t first;
    size_t end;
    struct part_list list;
    uint32_t frame; /* relative to the list */
    struct base_previous previous;
    struct grown *grown;
    size_t grown_count;
    bool moved;     /* as in base_result */
    char lost[256]; /* as in base_result */
    struct err lost_why;
};

static void add_grown(struct small_range *range, size_t index, struct file_pieces *pieces)
{
    range->grown = xrealloc(range->grown, (range->grown_count + 1) * sizeof(range->grown[0]));
    range->grown[range->grown_count++] = (struct grown){index, *pieces};
    *pieces = (struct file_pieces){0};
}

/* READ_DONE: its content is in the room, or in pieces that are kept for the end. */
static bool read_small(struct small_range *range, size_t index, uint8_t *room, bool *ret_grown,
                       enum read_outcome *ret_outcome, struct err *err)
{
    const struct base_request *request = range->request;
    struct tree_entry *entry = tree_at(request->tree, index);
    struct file_at file = {index, tree_path(request->tree, entry), entry, NULL};
    struct file_pieces pieces = {0};
    enum read_outcome outcome = READ_GONE;
    bool done = true;

    if (entry->inode != 0 && !file_read_small(request->reading, &file, room, &outcome, err))
        return false;
    *ret_grown = outcome == READ_OTHER_SIZE;
    if (*ret_grown)
        done = file_read_large(request->reading, &file, &pieces, &outcome, err);
    if (done && *ret_grown && outcome == READ_DONE)
        add_grown(range, index, &pieces);
    free(pieces.list);
    *ret_outcome = outcome == READ_OTHER_SIZE ? READ_MOVING : outcome;
    return done;
}

/* What the base before has of it, if it has: small, or in pieces. *ret_present false: neither. */
static bool take_previous(struct small_range *range, size_t index, uint8_t *room, bool *ret_present,
                          struct err *err)
{
    struct tree_entry *entry = tree_at(range->request->tree, index);
    const char *path = tree_path(range->request->tree, entry);
    const struct tree_entry *previous = base_previous_of(range->request, path);
    struct file_pieces pieces = {0};
    struct err why = {0};

    *ret_present = previous != NULL;
    if (!previous)
        return true;
    if (previous->content == CONTENT_INLINE && !base_previous_read(&range->previous, previous, room, &why)) {
        *ret_present = false;
        (void)snprintf(range->lost, sizeof(range->lost), "%s", path);
        range->lost_why = why;
        if (why.code == ERR_CORRUPT)
            return true;
        *err = why;
        return false;
    }
    base_take_previous(entry, previous);
    if (previous->content != CONTENT_PIECES)
        return true;
    base_pieces_copy(range->request, previous, &pieces);
    add_grown(range, index, &pieces);
    return true;
}

/* Where the state is repeated: those that have their content elsewhere so far. */
static bool is_small(const struct base_request *request, const struct tree_entry *entry)
{
    enum content_kind content = request->repeats ? CONTENT_INLINE : CONTENT_NONE;

    return entry->kind == ENTRY_FILE && entry->content == content && entry->size <= TREE_INLINE_MAX;
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

static bool is_as_shipped(const struct tree_entry *found, const struct tree_entry *shipped)
{
    return found->inode == shipped->inode && found->size == shipped->size &&
           found->mtime_ns == shipped->mtime_ns && found->ctime_ns == shipped->ctime_ns;
}

/* What the log says of it: as it is on the disk, if nothing has moved since it was shipped, or from where it
 * lies in the store. */
static bool repeat_one(struct small_range *range, size_t index, uint8_t *room, struct err *err)
{
    const struct base_request *request = range->request;
    const struct tree_entry *entry = tree_at(request->tree, index);
    struct tree_entry found = *entry;
    struct err unreadable = {0};
    struct file_at file = {index, tree_path(request->tree, entry), &found, &unreadable};
    enum read_outcome outcome = READ_GONE;

    if (entry->inode != 0 && !file_read_small(request->reading, &file, room, &outcome, err))
        return false;
    return (outcome == READ_DONE && is_as_shipped(&found, entry)) ||
           base_previous_read(&range->previous, entry, room, err) || err_wrap(err, "%s", file.path);
}

/* Puts one file into the room, or where else it belongs. *ret_used: bytes of the room. */
static bool pack_one(struct small_range *range, size_t index, uint8_t *room, size_t *ret_used,
                     struct err *err)
{
    struct tree_entry *entry = tree_at(range->request->tree, index);
    enum read_outcome outcome = READ_GONE;
    bool grown = false, present = true;

    *ret_used = entry->size;
    if (range->request->repeats)
        return repeat_one(range, index, room, err);
    if (!read_small(range, index, room, &grown, &outcome, err))
        return false;
    range->moved = range->moved || outcome == READ_MOVING;
    if (outcome != READ_DONE && !take_previous(range, index, room, &present, err))
        return false;
    if (!present)
        entry->kind = 0; /* dropped by tree_compact() */
    *ret_used = present && entry->size <= TREE_INLINE_MAX ? entry->size : 0;
    return true;
}

static bool pack_small(struct small_range *range, struct part_writer *writer, uint8_t *raw, struct err *err)
{
    size_t used = 0;

    for (size_t at = range->first; at < range->end; at++) {
        struct tree_entry *entry = tree_at(range->request->tree, at);
        size_t size = 0;
        if (!is_small(range->request, entry))
            continue;
        if (used + TREE_INLINE_MAX > FRAME_RAW_BYTES && !flush_frame(range, writer, raw, &used, err))
            return false;
        if (!pack_one(range, at, raw + used, &size, err))
            return false;
        if (size > 0)
            tree_set_inline(entry, range->frame, (uint32_t)used);
        used += size;
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
    base_previous_open(&range->previous, range->request, writer.codec);
    cut = pack_small(range, &writer, raw, err);
    base_previous_close(&range->previous);
    part_writer_close(&writer);
    return cut;
}

static size_t split_small(const struct base_request *request, struct small_range **ret_ranges)
{
    struct tree *tree = request->tree;
    struct small_range *ranges = NULL;
    size_t count = 0, first = 0;
    uint64_t bytes = 0;

    for (size_t at = 0; at < tree_count(tree); at++) {
        const struct tree_entry *entry = tree_at(tree, at);
        bytes += is_small(request, entry) ? entry->size : 0;
        if (bytes < SMALL_RANGE_BYTES && at + 1 < tree_count(tree))
            continue;
        ranges = xrealloc(ranges, (count + 1) * sizeof(*ranges));
        ranges[count++] = (struct small_range){.request = request, .first = first, .end = at + 1};
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
        struct tree_entry *entry = tree_at(manifest->tree, at);
        if (entry->kind == ENTRY_FILE && entry->content == CONTENT_INLINE)
            tree_set_inline(entry, first + entry->target, entry->extra);
    }
}

/* One thread does this, when the others are done. */
static void take_result(struct small_range *range, struct base_result *result)
{
    number_frames(range, &result->manifest);
    for (size_t at = 0; at < range->grown_count; at++) {
        struct grown *grown = &range->grown[at];
        tree_set_pieces(result->manifest.tree, tree_at(result->manifest.tree, grown->index),
                        grown->pieces.list, grown->pieces.count);
        result->blobs_uploaded += grown->pieces.uploaded;
        free(grown->pieces.list);
    }
    free(range->grown);
    result->moved = result->moved || range->moved;
    if (!range->lost[0])
        return;
    memcpy(result->lost, range->lost, sizeof(result->lost));
    result->lost_why = range->lost_why;
}

bool base_small_files_cut(struct base_request *request, struct base_result *result, struct err *err)
{
    CLEANUP(freep) struct small_range *ranges = NULL;
    size_t count = split_small(request, &ranges);
    struct task_group group;
    bool cut;

    group_init(&group, request->pool, RANGES_PENDING);
    for (size_t at = 0; at < count; at++)
        group_submit(&group, cut_small_range, &ranges[at]);
    cut = group_wait(&group, err);
    for (size_t at = 0; at < count; at++)
        take_result(&ranges[at], result);
    return cut;
}
