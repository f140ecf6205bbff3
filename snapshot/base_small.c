/* Small files of a base: read whole, packed one after the other into frames. */
#include "snapshot/base_files.h"

#include "base/fs.h"
#include "snapshot/base_previous.h"
#include "snapshot/guarded_file.h"
#include "snapshot/part_writer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { READ_ATTEMPTS = 3, RANGES_PENDING = 4, SMALL_RANGE_BYTES = 4 * FRAME_RAW_BYTES };

/* Consecutive small files that one task packs into frames. */
struct small_range {
    const struct base_request *request;
    struct tree *tree;
    size_t first;
    size_t end;
    struct part_list list;
    uint32_t frame; /* relative to the list */
    struct base_previous previous;
    char lost[256]; /* as in base_result */
    struct err lost_why;
};

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

/* What a file came to. */
enum small_outcome {
    SMALL_PRESENT, /* its content is in the frame */
    SMALL_ABSENT,  /* it has none that could go in */
    SMALL_LARGE,   /* it was large in the base before, and that is what goes in */
};

static bool take_previous_small(struct small_range *range, struct tree_entry *entry, uint8_t *room,
                                enum small_outcome *ret_outcome, struct err *err)
{
    const char *path = tree_path(range->tree, entry);
    const struct tree_entry *previous = base_previous_of(range->request, path);
    struct err why = {0};

    *ret_outcome = SMALL_ABSENT;
    if (!previous)
        return true;
    if (previous->content == CONTENT_INLINE && !base_previous_read(&range->previous, previous, room, &why)) {
        (void)snprintf(range->lost, sizeof(range->lost), "%s", path);
        range->lost_why = why;
        if (why.code == ERR_CORRUPT)
            return true;
        *err = why;
        return false;
    }
    base_take_previous(entry, previous);
    *ret_outcome = previous->content == CONTENT_PIECES ? SMALL_LARGE : SMALL_PRESENT;
    return true;
}

static bool read_small(struct small_range *range, struct tree_entry *entry, uint8_t *room,
                       enum small_outcome *ret_outcome, struct err *err)
{
    const char *path = tree_path(range->tree, entry);
    enum read_outcome outcome = READ_GONE;

    for (int attempt = 0; entry->inode != 0 && attempt < READ_ATTEMPTS; attempt++) {
        if (!read_small_once(range->request, entry, path, room, &outcome, err))
            return false;
        if (outcome != READ_MOVING)
            break;
    }
    *ret_outcome = SMALL_PRESENT;
    return outcome == READ_DONE || take_previous_small(range, entry, room, ret_outcome, err);
}

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
        enum small_outcome outcome = SMALL_ABSENT;
        if (!is_small(entry) || (entry->size == 0 && entry->inode != 0))
            continue;
        if (used + TREE_INLINE_MAX > FRAME_RAW_BYTES && !flush_frame(range, writer, raw, &used, err))
            return false;
        if (!read_small(range, entry, raw + used, &outcome, err))
            return false;
        if (outcome == SMALL_ABSENT)
            entry->kind = 0; /* dropped by tree_compact() */
        if (outcome != SMALL_PRESENT || entry->size == 0)
            continue;
        tree_set_inline(entry, range->frame, (uint32_t)used);
        used += entry->size;
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

/* Pieces are added to the tree by one thread, when the others are done. */
static void name_previous_pieces(const struct base_request *request, struct tree *tree)
{
    for (size_t at = 0; at < tree_count(tree); at++) {
        struct tree_entry *entry = tree_at(tree, at);
        const struct tree_entry *previous;
        if (entry->kind != ENTRY_FILE || entry->content != CONTENT_NONE || entry->size <= TREE_INLINE_MAX)
            continue;
        previous = base_previous_of(request, tree_path(tree, entry));
        assert(previous && previous->content == CONTENT_PIECES);
        tree_set_pieces(tree, entry, tree_pieces(request->previous->tree, previous), previous->extra);
    }
}

bool base_small_files_cut(struct base_request *request, struct base_result *result, struct err *err)
{
    struct manifest *manifest = &result->manifest;
    CLEANUP(freep) struct small_range *ranges = NULL;
    size_t count = split_small(request, manifest->tree, &ranges);
    struct task_group group;
    bool cut;

    group_init(&group, request->pool, RANGES_PENDING);
    for (size_t at = 0; at < count; at++)
        group_submit(&group, cut_small_range, &ranges[at]);
    cut = group_wait(&group, err);
    for (size_t at = 0; at < count; at++) {
        number_frames(&ranges[at], manifest);
        if (!ranges[at].lost[0])
            continue;
        memcpy(result->lost, ranges[at].lost, sizeof(result->lost));
        result->lost_why = ranges[at].lost_why;
    }
    if (cut)
        name_previous_pieces(request, manifest->tree);
    return cut;
}
