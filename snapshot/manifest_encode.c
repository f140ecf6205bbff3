#include "snapshot/codec.h"
#include "snapshot/entry.h"
#include "snapshot/manifest_layout.h"
#include "snapshot/manifest_rules.h"

#include <assert.h>
#include <string.h>

static void add_parts(const struct manifest *manifest, struct buf *body)
{
    wire_add_u32(body, (uint32_t)manifest->parts_count);
    for (size_t at = 0; at < manifest->parts_count; at++) {
        const struct manifest_part *part = &manifest->parts[at];
        wire_add_u64(body, part->n);
        wire_add_u64(body, part->bytes);
        buf_add(body, part->hash.bytes, DIGEST_SIZE);
        wire_add_u32(body, part->frames);
        for (uint32_t frame = part->first_frame; frame < part->first_frame + part->frames; frame++) {
            wire_add_u32(body, manifest->frames[frame].stored_bytes);
            wire_add_u32(body, manifest->frames[frame].raw_bytes);
        }
    }
}

static void add_databases(const struct manifest *manifest, struct buf *body)
{
    wire_add_u32(body, (uint32_t)manifest->databases_count);
    for (size_t at = 0; at < manifest->databases_count; at++) {
        const struct manifest_database *database = &manifest->databases[at];
        wire_add_str(body, database->path, strlen(database->path));
        wire_add_u64(body, database->incarnation);
        wire_add_u64(body, database->position);
        wire_add_u32(body, database->page_size);
        wire_add_u64(body, database->pages);
        wire_add_u64(body, database->rolling_hash);
        wire_add_u32(body, database->mode);
        wire_add_u32(body, database->uid);
        wire_add_u32(body, database->gid);
        wire_add_u64(body, (uint64_t)database->mtime_ns);
        wire_add_u32(body, database->first_frame);
        wire_add_u32(body, database->frames);
    }
}

static void add_entry(const struct tree *tree, const struct tree_entry *entry, struct buf *body)
{
    entry_encode(tree, entry, body);
    if (entry->kind != ENTRY_FILE || entry->content != CONTENT_INLINE)
        return;
    wire_add_u32(body, entry->target);
    wire_add_u32(body, entry->extra);
}

static void add_entries(const struct manifest *manifest, struct buf *body)
{
    size_t count = manifest->tree ? tree_count(manifest->tree) : 0;

    wire_add_u64(body, count);
    for (size_t at = 0; at < count; at++)
        add_entry(manifest->tree, tree_at(manifest->tree, at), body);
}

/* The body, compressed. */
static bool make_frame(const struct manifest *manifest, struct buf *frame, uint64_t *ret_raw_bytes,
                       struct err *err)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(MANIFEST_RAW_MAX);

    add_parts(manifest, &body);
    add_databases(manifest, &body);
    add_entries(manifest, &body);
    if (body.overflowed)
        return err_set(err, ERR_CONFIG,
                       "the list of files is longer than 1 GiB: exclude some (HOLDFAST_EXCLUDE)");
    frame->size_max = codec_bound(body.size);
    if (!codec_compress(codec, MANIFEST_LEVEL, body.bytes, body.size, frame, err))
        return err_wrap(err, "manifest");
    if (frame->size > MANIFEST_SIZE_MAX - MANIFEST_HEADER_SIZE - DIGEST_SIZE)
        return err_set(err, ERR_CONFIG,
                       "the list of files takes %zu bytes, compressed: exclude some (HOLDFAST_EXCLUDE)",
                       frame->size);
    *ret_raw_bytes = body.size;
    return true;
}

static void add_header(const struct manifest *manifest, size_t body_size, uint64_t raw_bytes,
                       struct buf *bytes)
{
    struct envelope envelope = {
        .kind = MANIFEST_KIND,
        .header_size = MANIFEST_HEADER_SIZE,
        .body_size = body_size,
        .lineage = manifest->lineage,
        .owner = manifest->owner,
        .epoch = manifest->epoch,
        .position = manifest->position,
        .time_ns = manifest->time_ns,
        .key_id = manifest->key_id,
    };

    envelope_add(&manifest_type, &envelope, bytes);
    buf_add(bytes, manifest->record.bytes, DIGEST_SIZE);
    wire_add_u64(bytes, manifest->lowest_position);
    wire_add_u64(bytes, manifest->n);
    wire_add_u64(bytes, raw_bytes);
}

bool manifest_encode(const struct manifest *manifest, struct buf *bytes, struct digest *ret_hash,
                     struct err *err)
{
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(0);
    size_t start = bytes->size;
    uint64_t raw_bytes;
    struct digest hash;

    if (!manifest_check(manifest, err) || !make_frame(manifest, &frame, &raw_bytes, err))
        return false;
    add_header(manifest, frame.size, raw_bytes, bytes);
    assert(bytes->overflowed || bytes->size == start + MANIFEST_HEADER_SIZE);
    buf_add(bytes, frame.bytes, frame.size);
    hash = envelope_seal(bytes, start);
    if (!buf_check(bytes, "a manifest", err)) {
        bytes->size = start;
        return false;
    }
    *ret_hash = hash;
    return true;
}
