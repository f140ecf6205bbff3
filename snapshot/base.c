/* A base is read from files that stand still: every database is frozen (READ(0) is held on it) while it is
 * read straight from its file, so the application never waits and no backup API copies pages behind a moving
 * writer. Databases are cut into ranges of frames, files into frames of small ones and pieces of large ones;
 * each is a task of its own. */
#include "snapshot/base.h"

#include "base/clock.h"
#include "snapshot/base_files.h"
#include "snapshot/base_held.h"
#include "snapshot/pagehash.h"
#include "snapshot/part_writer.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { RANGE_FRAMES = 4, RANGES_PENDING = 4 };

/* One task: some frames of one database. */
struct range {
    const struct base_request *request;
    size_t database;  /* which of the request's */
    const char *path; /* of the manifest */
    uint32_t page_size;
    uint64_t offset;
    uint64_t end;
    uint64_t rolling_hash;
    struct page_hashes *hashes; /* of the whole database, for those of the range; NULL: nobody wants them */
    struct part_list list;
};

static bool read_pages(const struct range *range, uint64_t offset, void *bytes, size_t size, struct err *err)
{
    const struct base_request *request = range->request;

    return (request->read_pages ? request->read_pages(request, range->database, offset, bytes, size, err)
                                : database_read_frozen(request->databases[range->database].database, offset,
                                                       bytes, size, err)) ||
           err_wrap(err, "read %s", range->path);
}

static uint64_t hash_frame(struct range *range, const uint8_t *raw, size_t size, uint64_t offset)
{
    uint64_t first = offset / range->page_size + 1;

    return range->hashes
               ? pagehash_each(raw, size, range->page_size, first, range->hashes->values + first - 1)
               : pagehash_of(raw, size, range->page_size, first);
}

static bool add_frames(struct range *range, struct part_writer *writer, uint8_t *raw, struct err *err)
{
    for (uint64_t at = range->offset; at < range->end; at += FRAME_RAW_BYTES) {
        size_t size = range->end - at < FRAME_RAW_BYTES ? (size_t)(range->end - at) : FRAME_RAW_BYTES;
        if (!read_pages(range, at, raw, size, err))
            return false;
        range->rolling_hash ^= hash_frame(range, raw, size, at);
        if (!part_writer_add(writer, raw, size, err))
            return false;
    }
    return part_writer_finish(writer, err);
}

static bool cut_range(void *context, struct err *err)
{
    struct range *range = context;
    CLEANUP(freep) uint8_t *raw = xmalloc(FRAME_RAW_BYTES);
    struct part_writer writer;
    bool cut;

    part_writer_open(&writer, range->request, &range->list);
    cut = add_frames(range, &writer, raw, err);
    part_writer_close(&writer);
    return cut;
}

static struct range *ranges_of(const struct base_request *request, size_t database,
                               const struct manifest_database *entry, size_t *ret_count)
{
    uint64_t bytes = entry->pages * entry->page_size;
    uint64_t step = (uint64_t)RANGE_FRAMES * FRAME_RAW_BYTES;
    size_t count = (size_t)((bytes + step - 1) / step);
    struct range *ranges = xcalloc(count, sizeof(*ranges));

    for (size_t at = 0; at < count; at++)
        ranges[at] = (struct range){
            .request = request,
            .database = database,
            .path = entry->path,
            .page_size = entry->page_size,
            .hashes = entry->hashes,
            .offset = at * step,
            .end = (at + 1) * step < bytes ? (at + 1) * step : bytes,
        };
    *ret_count = count;
    return ranges;
}

static bool describe_database(const struct base_request *request, const struct base_database *source,
                              struct manifest_database *entry, struct err *err)
{
    const struct database_frozen *frozen = database_frozen(source->database);
    struct stat status;

    /* fstatat opens nothing, so no lock is dropped. */
    if (fstatat(request->directory_fd, source->path, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return err_errno(err, "look at %s", source->path);
    entry->incarnation = source->incarnation;
    entry->position = request->log->newest.position;
    entry->page_size = frozen->page_size;
    entry->pages = frozen->page_count;
    entry->mode = status.st_mode & 07777;
    entry->uid = status.st_uid;
    entry->gid = status.st_gid;
    entry->mtime_ns = clock_ns_of(status.st_mtim);
    return true;
}

static bool cut_database(const struct base_request *request, size_t database, struct manifest *manifest,
                         struct err *err)
{
    struct manifest_database *entry = &manifest->databases[database];
    size_t count = 0;
    struct range *ranges;
    struct task_group group;
    uint32_t first = 0;
    bool cut;

    if (!request->repeats)
        entry->hashes = page_hashes_new(entry->pages);
    ranges = ranges_of(request, database, entry, &count);
    group_init(&group, request->pool, RANGES_PENDING);
    for (size_t at = 0; at < count && !group_failed(&group); at++)
        group_submit(&group, cut_range, &ranges[at]);
    cut = group_wait(&group, err);
    entry->first_frame = (uint32_t)manifest->frames_count;
    for (size_t at = 0; at < count; at++) {
        entry->rolling_hash ^= ranges[at].rolling_hash;
        part_list_append(&ranges[at].list, manifest, &first);
    }
    entry->frames = (uint32_t)manifest->frames_count - entry->first_frame;
    free(ranges);
    return cut;
}

static bool store_manifest(const struct base_request *request, struct base_result *result, struct err *err)
{
    struct manifest *manifest = &result->manifest;
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(MANIFEST_SIZE_MAX);

    manifest->n = atomic_fetch_add(request->next_n, 1);
    result->reference = (struct base_reference){
        .position = manifest->position,
        .key = key_base(manifest->position, &manifest->owner, manifest->n),
    };
    if (!manifest_encode(manifest, &object, &result->reference.manifest, err))
        return false;
    result->manifest_bytes = object.size;
    if (!store_put(request->store, result->reference.key.text, object.bytes, object.size, err))
        return err_wrap(err, "upload %s", result->reference.key.text);
    return true;
}

static bool fill(struct base_request *request, struct base_result *result, struct err *err)
{
    CLEANUP(base_held_close) struct base_held held = {.count = 0};
    CLEANUP(piece_names_clearp)
    struct piece_names known =
        piece_names_of(request->previous && !request->repeats ? request->previous->tree : NULL);
    struct file_reading reading = {
        .store = request->store,
        .canceled = request->canceled,
        .tag = request->log->newest.position + 1,
        .known = &known,
        .databases = request->database_names,
        .directory_fd = request->directory_fd,
        .open = base_held_read,
        .context = request,
    };

    if (!request->repeats)
        base_held_open(&held, request);
    request->held = &held;
    request->reading = &reading;
    for (size_t at = 0; at < request->databases_count; at++)
        if (!cut_database(request, at, &result->manifest, err))
            return false;
    if (!base_files_cut(request, result, err))
        return false;
    return store_manifest(request, result, err);
}

bool base_begin(struct base_request *request, struct base_result *ret_result, struct err *err)
{
    const struct record_header *newest = &request->log->newest;
    struct manifest *manifest = &ret_result->manifest;

    *ret_result = (struct base_result){0};
    manifest_init(manifest);
    manifest->lineage = newest->lineage;
    manifest->owner = *request->owner;
    manifest->epoch = newest->epoch;
    manifest->position = newest->position;
    manifest->lowest_position = newest->position;
    manifest->time_ns = newest->time_ns;
    manifest->record = request->log->newest_hash;
    tree_free(manifest->tree);
    manifest->tree = request->tree;
    for (size_t at = 0; at < request->databases_count; at++) {
        const struct base_database *source = &request->databases[at];
        if (!describe_database(request, source, manifest_add_database(manifest, source->path), err))
            return err_wrap(err, "cut a base");
    }
    return true;
}

bool base_fill(struct base_request *request, struct base_result *result, struct err *err)
{
    bool filled = fill(request, result, err);

    /* Megabytes of buffers were used and won't be for a while: an idle holdfast is small. */
    memory_release();
    return filled || err_wrap(err, "cut a base");
}

bool base_cut(struct base_request *request, struct base_result *ret_result, struct err *err)
{
    struct base_result result;
    bool cut = base_begin(request, &result, err) && base_fill(request, &result, err);

    request->tree = NULL; /* the manifest's */
    if (!cut) {
        manifest_clear(&result.manifest);
        return false;
    }
    *ret_result = result;
    return true;
}
