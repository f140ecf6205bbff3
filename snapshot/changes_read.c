/* The contents: small files become a zstd frame each, as many as fit into the record; the others and large
 * ones become blobs. Nothing is put off to a later record for want of room: a commit that names two files
 * must find both.
 *
 * Workers share one count of the bytes that are left. Which small files lie in the record and which in blobs
 * depends on who comes first, and makes no difference to a reader. */
#include "snapshot/changes_internal.h"

#include "snapshot/codec.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    LEVEL = 3,
    LARGE_PENDING = 4,  /* each has two pieces of 8 MiB in memory */
    SMALL_PENDING = 16, /* many blobs of small files wait for the store most of the time */
    RANGE_FILES = 64,
    FRAME_BYTES = 4, /* its size, before it */
};

struct reading {
    struct changes_plan *plan;
    struct file_reading files;
    atomic_size_t room; /* bytes of inline content that the record still takes */
};

/* Some changes, of which one task reads the large or the small files. */
struct range {
    struct reading *reading;
    size_t first;
    size_t end;
    bool large;
    struct codec *codec;
    uint8_t *room; /* TREE_INLINE_MAX bytes */
    struct buf frame;
    uint64_t uploaded;
    const struct change *failed; /* one of them; NULL: none */
    struct err failed_why;
};

static bool take_room(struct reading *reading, size_t bytes)
{
    size_t left = atomic_load(&reading->room);

    while (left >= bytes)
        if (atomic_compare_exchange_weak(&reading->room, &left, left - bytes))
            return true;
    return false;
}

/* The content of a small file, which is in range->room. */
static bool keep_small(struct range *range, struct change *change, struct err *err)
{
    uint32_t size = (uint32_t)change->entry.size;

    change->pieces.count = 0;
    if (size == 0)
        return true;
    buf_reset(&range->frame);
    if (!codec_compress(range->codec, LEVEL, range->room, size, &range->frame, err))
        return err_wrap(err, "compress %s", change->path);
    if (!take_room(range->reading, range->frame.size + FRAME_BYTES))
        return file_store_piece(&range->reading->files, range->codec, range->room, size, &change->pieces,
                                err) ||
               err_wrap(err, "upload %s", change->path);
    change->frame = xmalloc(range->frame.size);
    change->frame_size = range->frame.size;
    memcpy(change->frame, range->frame.bytes, range->frame.size);
    return true;
}

/* By the size that it has now: it may have changed sides since the scan, once. */
static bool read_file(struct range *range, struct change *change, enum read_outcome *ret_outcome,
                      struct err *err)
{
    const struct file_reading *files = &range->reading->files;
    struct file_at file = {0, change->path, &change->entry, &range->failed_why};
    enum read_outcome outcome = READ_OTHER_SIZE;
    bool small = !range->large;

    for (int attempt = 0; outcome == READ_OTHER_SIZE && attempt < 2; attempt++, small = !small) {
        if (small && !file_read_small(files, &file, range->room, &outcome, err))
            return false;
        if (!small && !file_read_large(files, &file, &change->pieces, &outcome, err))
            return false;
    }
    *ret_outcome = outcome == READ_OTHER_SIZE ? READ_MOVING : outcome;
    return outcome != READ_DONE || change->entry.size > TREE_INLINE_MAX || keep_small(range, change, err);
}

/* Touched, but what it was: the record need not say it again. Of an inline content nobody knows. */
static bool is_as_before(const struct changes_plan *plan, const struct change *change)
{
    const struct tree_entry *now = &change->entry, *before = change->previous;
    const struct tree_piece *pieces;

    if (!before || before->kind != ENTRY_FILE || now->size != before->size || now->mode != before->mode ||
        now->uid != before->uid || now->gid != before->gid || now->mtime_ns != before->mtime_ns)
        return false;
    if (now->size == 0)
        return true;
    if (before->content != CONTENT_PIECES || change->pieces.count != before->extra)
        return false;
    pieces = tree_pieces(plan->request->previous, before);
    for (uint32_t at = 0; at < before->extra; at++)
        if (pieces[at].tag != change->pieces.list[at].tag ||
            !digest_equal(&pieces[at].content, &change->pieces.list[at].content))
            return false;
    return true;
}

static bool read_change(struct range *range, struct change *change, struct err *err)
{
    struct tree_entry scanned = change->entry;
    enum read_outcome outcome;

    if (!read_file(range, change, &outcome, err))
        return false;
    range->uploaded += change->pieces.uploaded;
    change->fate = FATE_APPLIED;
    if (outcome == READ_DONE) {
        if (is_as_before(range->reading->plan, change))
            change->fate = FATE_SAME;
        return true;
    }
    change->fate = FATE_STAYS;
    change->entry = scanned;
    change->failed = outcome == READ_FAILED;
    if (change->failed)
        range->failed = change;
    return true;
}

static bool is_mine(const struct range *range, const struct change *change)
{
    return change->kind == CHANGE_READ && change->large == range->large;
}

static bool read_all_of(struct range *range, struct err *err)
{
    const atomic_bool *canceled = range->reading->files.canceled;

    for (size_t at = range->first; at < range->end; at++) {
        struct change *change = &range->reading->plan->list[at];
        if (!is_mine(range, change))
            continue;
        if (canceled && atomic_load(canceled))
            return err_set(err, ERR_CANCELED, "the record was stopped");
        if (!read_change(range, change, err))
            return false;
    }
    return true;
}

static bool read_range(void *context, struct err *err)
{
    struct range *range = context;
    bool done;

    range->codec = codec_new();
    range->room = xmalloc(TREE_INLINE_MAX);
    range->frame = (struct buf)BUF_INIT(2 * TREE_INLINE_MAX);
    done = read_all_of(range, err);
    buf_clear(&range->frame);
    free(range->room);
    codec_free(range->codec);
    return done;
}

/* Cuts the list into ranges of so many files; those without any of the kind are left out. */
static struct range *make_ranges(struct reading *reading, bool large, size_t files, size_t *ret_count)
{
    struct changes_plan *plan = reading->plan;
    struct range *ranges = NULL;
    struct range next = {.reading = reading, .large = large};
    size_t count = 0, found = 0;

    for (size_t at = 0; at < plan->count; at++) {
        found += is_mine(&next, &plan->list[at]);
        if (found < files && (at + 1 < plan->count || found == 0))
            continue;
        next.end = at + 1;
        ranges = xrealloc(ranges, (count + 1) * sizeof(*ranges));
        ranges[count++] = next;
        next.first = at + 1;
        found = 0;
    }
    *ret_count = count;
    return ranges;
}

static void take_result(const struct range *range, struct changes *changes)
{
    changes->blobs_uploaded += range->uploaded;
    if (!range->failed)
        return;
    (void)snprintf(changes->failed, sizeof(changes->failed), "%s", range->failed->path);
    changes->failed_why = range->failed_why;
}

static bool read_kind(struct reading *reading, bool large, struct changes *changes, struct err *err)
{
    size_t count = 0;
    CLEANUP(freep)
    struct range *ranges = make_ranges(reading, large, large ? 1 : RANGE_FILES, &count);
    struct task_group group;
    bool done;

    group_init(&group, reading->plan->request->pool, large ? LARGE_PENDING : SMALL_PENDING);
    group_set_meanwhile(&group, &reading->plan->request->meanwhile);
    for (size_t at = 0; at < count && !group_failed(&group); at++)
        group_submit(&group, read_range, &ranges[at]);
    done = group_wait(&group, err);
    for (size_t at = 0; at < count; at++)
        take_result(&ranges[at], changes);
    return done;
}

bool changes_read(struct changes_plan *plan, struct changes *changes, struct err *err)
{
    const struct changes_request *request = plan->request;
    CLEANUP(piece_names_clearp)
    struct piece_names known = piece_names_of(plan->wants_names ? request->previous : NULL);
    struct reading reading = {
        .plan = plan,
        .files = {.store = request->store,
                  .canceled = request->canceled,
                  .tag = request->tag,
                  .known = &known,
                  .databases = request->database_names,
                  .directory_fd = request->directory_fd,
                  .open = pending_read,
                  .context = request->pending},
    };

    assert(plan->body_bytes <= request->body_max);
    atomic_init(&reading.room, request->body_max - plan->body_bytes);
    return read_kind(&reading, true, changes, err) && read_kind(&reading, false, changes, err);
}
