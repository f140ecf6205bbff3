#include "snapshot/data_record.h"

#include "snapshot/data_body.h"
#include "snapshot/part.h"

#include <assert.h>
#include <string.h>

enum { INLINE_MAX = 8 << 20 }; /* above it the deltas go into parts (docs/FORMAT.md) */

struct builder {
    const struct data_record_request *request;
    struct data_updates updates;
    bool in_parts;
    struct buf part;
    uint32_t part_frames;
    uint32_t parts;
    struct buf bulks; /* their sections, which come first */
    struct buf runs;
    uint64_t hashes[DELTA_PAGES_MAX]; /* of the section under way */
};

bool departed_has(const struct departed *list, size_t count, const char *path, uint64_t incarnation)
{
    for (size_t at = 0; at < count; at++)
        if (list[at].incarnation == incarnation && strcmp(list[at].path, path) == 0)
            return true;
    return false;
}

static struct data_update *find_update(struct data_updates *updates, size_t database)
{
    for (size_t at = 0; at < updates->count; at++)
        if (updates->list[at].database == database)
            return &updates->list[at];
    return NULL;
}

static struct data_update *update_of(struct data_updates *updates, size_t database)
{
    struct data_update *known = find_update(updates, database);

    if (known)
        return known;
    assert(updates->count < DATABASE_FREEZE_MAX);
    updates->list[updates->count].database = database;
    return &updates->list[updates->count++];
}

/* NULL: it is gone after the record. */
static bool update_for(struct builder *builder, const struct data_run *run, struct data_update **ret_update,
                       struct err *err)
{
    const struct data_record_request *request = builder->request;
    const struct manifest *state = request->state;
    const struct manifest_database *shipped = manifest_find_database(state, run->path);
    bool goes_on = shipped && shipped->incarnation == run->incarnation;

    if (!goes_on && !departed_has(request->departed, request->departed_count, run->path, run->incarnation))
        return err_set(err, ERR_CONFLICT, "%s is not the database that was shipped", run->path);
    *ret_update = goes_on ? update_of(&builder->updates, (size_t)(shipped - state->databases)) : NULL;
    return true;
}

struct part_sending {
    struct builder *builder;
    uint64_t n;
    struct digest hash;
};

static bool send_part(void *context, struct err *err)
{
    struct part_sending *sending = context;
    struct builder *builder = sending->builder;
    const struct data_record_request *request = builder->request;
    struct part_owner owner = {request->store, request->position, request->owner, request->next_n};

    return part_upload(&owner, &builder->part, builder->part_frames, &sending->n, &sending->hash, err);
}

static bool upload_part(struct builder *builder, struct err *err)
{
    const struct data_record_request *request = builder->request;
    struct part_sending sending = {.builder = builder};

    if (builder->part_frames == 0)
        return true;
    if (!pool_run(request->sender, &request->meanwhile, send_part, &sending, err))
        return false;
    data_add_bulk(&builder->bulks, sending.n, builder->part.size, &sending.hash);
    builder->parts++;
    buf_reset(&builder->part);
    builder->part_frames = 0;
    return true;
}

/* The same run with its frame in the part that is being filled. */
static bool move_to_part(struct builder *builder, const struct data_run *run, struct err *err)
{
    struct data_run moved = *run;

    if (builder->part_frames == 0)
        part_begin(&builder->part);
    moved.frame = NULL;
    moved.frame_size = 0;
    moved.bulk_section = builder->parts;
    moved.bulk_offset = (uint32_t)builder->part.size;
    moved.bulk_size = (uint32_t)run->frame_size;
    buf_add(&builder->part, run->frame, run->frame_size);
    builder->part_frames++;
    data_add_run(&builder->runs, &moved);
    return builder->part.size < PART_TARGET_BYTES || upload_part(builder, err);
}

static bool add_section(struct builder *builder, const struct buf *section, struct err *err)
{
    CLEANUP(data_reader_freep) struct data_reader *reader = data_reader_new(section->bytes, section->size);
    struct data_section parsed;
    struct data_update *update = NULL;
    bool ended = false;

    if (!data_next(reader, &parsed, &ended, err))
        return err_wrap(err, "what waits in .holdfast/spool/");
    assert(!ended && parsed.kind == DATA_RUN);
    if (!update_for(builder, &parsed.run, &update, err))
        return false;
    if (update) {
        update->page_size = parsed.run.page_size;
        update->pages = parsed.run.pages_after;
        update->rolling_hash = parsed.run.rolling_hash;
    }
    builder->updates.commits += parsed.run.is_last;
    builder->updates.bytes += section->size;
    if (update && builder->request->journal)
        page_journal_add(builder->request->journal, &parsed.run, builder->hashes);
    if (builder->in_parts)
        return move_to_part(builder, &parsed.run, err);
    buf_add(&builder->runs, section->bytes, section->size);
    return true;
}

static bool add_sections(struct builder *builder, struct err *err)
{
    const struct data_record_request *request = builder->request;
    uint64_t offset = outbox_begin(request->outbox);
    CLEANUP(buf_clearp) struct buf section = BUF_INIT(RECORD_SIZE_MAX);

    while (offset < request->until) {
        buf_reset(&section);
        if (!outbox_read(request->outbox, &offset, &section, builder->hashes, err) ||
            !add_section(builder, &section, err))
            return false;
    }
    assert(offset == request->until);
    return upload_part(builder, err);
}

/* Of those that are there after the record: what begins with a later one is not. */
static void add_attributes(struct builder *builder)
{
    const struct data_record_request *request = builder->request;

    for (size_t at = 0; at < request->attributes_count; at++) {
        const struct data_attributes *attributes = &request->attributes[at];
        const struct manifest_database *database = manifest_find_database(request->state, attributes->path);
        assert(database);
        if (database->pages > 0 ||
            find_update(&builder->updates, (size_t)(database - request->state->databases)))
            data_add_attributes(&builder->runs, attributes);
    }
}

/* The first run of another incarnation says that the one before is gone. All that began waits in this record.
 */
static bool is_followed(const struct data_record_request *request, size_t departed)
{
    const char *path = request->departed[departed].path;

    for (size_t later = departed + 1; later < request->departed_count; later++)
        if (strcmp(request->departed[later].path, path) == 0)
            return true;
    return manifest_find_database(request->state, path) != NULL;
}

static void add_departed(struct builder *builder)
{
    const struct data_record_request *request = builder->request;

    for (size_t at = 0; at < request->departed_count; at++)
        if (!is_followed(request, at))
            data_add_database_gone(&builder->runs, request->departed[at].path,
                                   request->departed[at].incarnation);
}

static bool put_together(const struct builder *builder, struct buf *body, struct err *err)
{
    size_t before = body->size;

    buf_add(body, builder->bulks.bytes, builder->bulks.size);
    buf_add(body, builder->runs.bytes, builder->runs.size);
    if (builder->request->files)
        buf_add(body, builder->request->files->bytes, builder->request->files->size);
    if (!body->overflowed && !builder->bulks.overflowed && !builder->runs.overflowed)
        return true;
    body->size = before;
    return err_set(err, ERR_CONFLICT, "what waits is too much for one record");
}

bool data_record_build(const struct data_record_request *request, struct buf *body,
                       struct data_updates *ret_updates, struct err *err)
{
    uint64_t waiting = request->until - outbox_begin(request->outbox);
    struct builder builder = {
        .request = request,
        .in_parts = waiting + (request->files ? request->files->size : 0) > INLINE_MAX,
        .part = BUF_INIT(PART_SIZE_MAX),
        .bulks = BUF_INIT(RECORD_SIZE_MAX),
        .runs = BUF_INIT(RECORD_SIZE_MAX),
    };
    bool built;

    assert(request->until >= outbox_begin(request->outbox));
    built = add_sections(&builder, err);
    if (built) {
        add_departed(&builder);
        add_attributes(&builder);
        built = put_together(&builder, body, err);
    }
    buf_clear(&builder.part);
    buf_clear(&builder.bulks);
    buf_clear(&builder.runs);
    if (built)
        *ret_updates = builder.updates;
    return built;
}
