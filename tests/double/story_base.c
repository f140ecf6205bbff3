#include "tests/double/story_internal.h"

#include <assert.h>

struct cutting {
    struct manifest manifest;
    struct buf part;
};

static uint32_t add_frame(struct story *story, struct cutting *cutting, const void *raw, size_t size)
{
    size_t before = cutting->part.size;
    struct err err = {0};

    story_must(codec_compress(story->codec, 1, raw, size, &cutting->part, &err), &err);
    manifest_add_frame(&cutting->manifest, (uint32_t)(cutting->part.size - before), (uint32_t)size);
    return (uint32_t)cutting->manifest.frames_count - 1;
}

static void cut_database(struct story *story, struct cutting *cutting, int index, uint64_t position)
{
    const struct story_database *database = &story->after[position].databases[index];
    struct manifest_database *entry = manifest_add_database(&cutting->manifest, story_database_path(index));

    entry->incarnation = database->incarnation;
    entry->position = position;
    entry->page_size = database->page_size;
    entry->pages = database->pages;
    entry->rolling_hash = story_hash(database);
    entry->mode = 0600;
    entry->uid = geteuid();
    entry->gid = getegid();
    if (position < cutting->manifest.lowest_position)
        cutting->manifest.lowest_position = position;
    if (database->pages == 0)
        return;
    entry->first_frame = add_frame(story, cutting, database->bytes, story_database_bytes(database));
    entry->frames = 1;
}

static void cut_databases(struct story *story, struct cutting *cutting, uint64_t lag)
{
    uint64_t position = cutting->manifest.position;

    for (int at = 0; at < STORY_DATABASES; at++) {
        uint64_t stands = position - story_random(story, lag + 1);
        if (story->after[position].databases[at].incarnation == 0)
            continue;
        if (story->after[stands].databases[at].incarnation == 0)
            stands = position;
        cut_database(story, cutting, at, stands);
    }
}

static void cut_files(struct story *story, struct cutting *cutting)
{
    CLEANUP(buf_clearp) struct buf raw = BUF_INIT(FRAME_RAW_BYTES);
    const struct story_state *state = &story->after[cutting->manifest.position];

    cutting->manifest.tree = tree_new();
    for (int at = 0; at < STORY_FILES; at++) {
        const struct story_file *file = &state->files[at];
        struct tree_entry *entry;
        if (file->kind == 0)
            continue;
        entry = story_add_entry(cutting->manifest.tree, at, file);
        if (entry->content != CONTENT_INLINE)
            continue;
        tree_set_inline(entry, (uint32_t)cutting->manifest.frames_count, (uint32_t)raw.size);
        buf_add(&raw, file->bytes, file->size);
    }
    assert(tree_sort(cutting->manifest.tree));
    if (raw.size > 0)
        (void)add_frame(story, cutting, raw.bytes, raw.size);
}

static void finish_part(struct story *story, struct cutting *cutting)
{
    struct manifest_part part = {.n = story->next_n++,
                                 .bytes = cutting->part.size,
                                 .frames = (uint32_t)cutting->manifest.frames_count};

    if (part.frames == 0)
        return;
    part.hash = story_store_part(story, cutting->manifest.position, part.n, &cutting->part, part.frames);
    manifest_add_part(&cutting->manifest, &part);
}

/* Everything is in the store but the record. */
static void announce(struct story *story, const struct manifest *manifest, bool restarts)
{
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(MANIFEST_SIZE_MAX);
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);
    struct base_reference reference = {
        .position = manifest->position,
        .key = key_base(manifest->position, &manifest->owner, manifest->n),
    };
    struct base_body body = {.flags = restarts ? BASE_RESTARTS : 0,
                             .lowest_position = manifest->lowest_position,
                             .position = manifest->position,
                             .previous_base = story->base,
                             .state_bytes = manifest_state_bytes(manifest),
                             .key = reference.key};
    struct log_change change = {.kind = RECORD_BASE, .changes_data = restarts, .base = &reference};
    struct err err = {0};

    story_must(manifest_encode(manifest, &object, &reference.manifest, &err) &&
                   store_put(story->history.mem, reference.key.text, object.bytes, object.size, &err),
               &err);
    change.horizon = story->base > 0 ? story->history.log.newest.horizon : history_head(&story->history) + 1;
    body.manifest = reference.manifest;
    body.manifest_bytes = object.size;
    body.horizon = change.horizon;
    base_body_encode(&body, &bytes);
    change.body = bytes.bytes;
    change.body_size = bytes.size;
    story->base = history_append(&story->history, &change);
}

void story_cut(struct story *story, uint64_t position, uint64_t lag, bool restarts)
{
    struct cutting cutting;

    manifest_init(&cutting.manifest);
    cutting.manifest.lineage = story->history.lineage;
    cutting.manifest.owner = story->history.owner;
    cutting.manifest.epoch = 1;
    cutting.manifest.position = position;
    cutting.manifest.lowest_position = position;
    cutting.manifest.time_ns = story->history.log.newest.time_ns;
    cutting.manifest.record = story->history.hashes[position];
    cutting.manifest.n = story->next_n++;
    story_begin_part(&cutting.part);
    cut_databases(story, &cutting, lag);
    cut_files(story, &cutting);
    finish_part(story, &cutting);
    announce(story, &cutting.manifest, restarts);
    if (restarts) {
        story_clear_state(&story->now);
        story->now = story_copy_state(&story->after[position]);
    }
    story_remember(story);
    manifest_clear(&cutting.manifest);
    buf_clear(&cutting.part);
}

struct manifest story_manifest(struct story *story, uint64_t announced)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(MANIFEST_SIZE_MAX);
    struct manifest manifest = {0};
    struct record record;
    struct err err = {0};

    story_must(log_read(story->history.mem, &story->history.lineage, announced, &bytes, &record, &err) &&
                   store_get(story->history.mem, record.header.base.key.text, &object, &err) &&
                   manifest_decode(object.bytes, object.size, &manifest, &err),
               &err);
    return manifest;
}

void story_tell(struct story *story, uint64_t seed)
{
    story_begin(story, seed);
    for (int chapter = 0; chapter < 4; chapter++) {
        uint64_t position;
        for (int step = 0; step < 5; step++)
            story_step(story);
        position = history_head(&story->history);
        story_step(story);
        story_idle(story, RECORD_DRAIN);
        story_cut(story, position, chapter == 2 ? 0 : (uint64_t)chapter, chapter == 2);
        story_step(story);
    }
    story_idle(story, RECORD_CLOSE);
}
