/* A manifest's bytes into a manifest.
 *
 * The body is decompressed whole, read straight down and freed. Here is checked what would not fit into the
 * structs (widths, kinds, counts beyond the bytes that must hold them); what a manifest must be as a whole is
 * in manifest_rules.c, after reading. Nothing is allocated for a count: arrays grow with what was really
 * read. */
#include "snapshot/codec.h"
#include "snapshot/entry.h"
#include "snapshot/manifest_layout.h"
#include "snapshot/manifest_rules.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static void read_part(struct wire_reader *reader, struct manifest *manifest)
{
    struct manifest_part part = {.first_frame = (uint32_t)manifest->frames_count};

    part.n = wire_u64(reader);
    part.bytes = wire_u64(reader);
    wire_copy(reader, &part.hash, DIGEST_SIZE);
    part.frames = wire_u32(reader);
    for (uint32_t at = 0; at < part.frames && !reader->failed; at++) {
        uint32_t stored_bytes = wire_u32(reader);
        manifest_add_frame(manifest, stored_bytes, wire_u32(reader));
    }
    manifest_add_part(manifest, &part);
}

static bool cut(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "manifest: its body ends too early, or there is a NUL in a text");
}

static bool read_parts(struct wire_reader *reader, struct manifest *manifest, struct err *err)
{
    uint32_t count = wire_u32(reader);

    for (uint32_t at = 0; at < count && !reader->failed; at++)
        read_part(reader, manifest);
    return reader->failed ? cut(err) : true;
}

static bool read_database(struct wire_reader *reader, struct manifest *manifest, struct err *err)
{
    char path[TREE_PATH_MAX + 1];
    struct manifest_database *database;

    if (!entry_decode_path(reader, path, err))
        return err_wrap(err, "manifest");
    database = manifest_add_database(manifest, path);
    database->incarnation = wire_u64(reader);
    database->position = wire_u64(reader);
    database->page_size = wire_u32(reader);
    database->pages = wire_u64(reader);
    database->rolling_hash = wire_u64(reader);
    database->mode = wire_u32(reader);
    database->uid = wire_u32(reader);
    database->gid = wire_u32(reader);
    database->mtime_ns = (int64_t)wire_u64(reader);
    database->first_frame = wire_u32(reader);
    database->frames = wire_u32(reader);
    return reader->failed ? cut(err) : true;
}

static bool read_databases(struct wire_reader *reader, struct manifest *manifest, struct err *err)
{
    uint32_t count = wire_u32(reader);

    for (uint32_t at = 0; at < count; at++)
        if (!read_database(reader, manifest, err))
            return false;
    return reader->failed ? cut(err) : true;
}

static bool read_entry(struct wire_reader *reader, struct tree *tree, struct err *err)
{
    struct tree_entry *entry;
    uint32_t frame;

    if (!entry_decode(reader, tree, &entry, err))
        return err_wrap(err, "manifest");
    if (entry->kind != ENTRY_FILE || entry->content != CONTENT_INLINE)
        return true;
    frame = wire_u32(reader);
    tree_set_inline(entry, frame, wire_u32(reader));
    return reader->failed ? cut(err) : true;
}

static bool read_entries(struct wire_reader *reader, struct manifest *manifest, struct err *err)
{
    uint64_t count = wire_u64(reader);

    manifest->tree = tree_new();
    for (uint64_t at = 0; at < count; at++)
        if (!read_entry(reader, manifest->tree, err))
            return false;
    tree_trim(manifest->tree);
    return true;
}

static bool read_body(struct wire_reader *reader, struct manifest *manifest, struct err *err)
{
    if (!read_parts(reader, manifest, err) || !read_databases(reader, manifest, err) ||
        !read_entries(reader, manifest, err))
        return false;
    if (!wire_done(reader))
        return err_set(err, ERR_CORRUPT, "manifest: its body does not end where it should");
    return manifest_check(manifest, err);
}

/* The rest of the header, and the size that the body has to have. */
static bool read_header(const struct envelope *envelope, struct wire_reader *reader,
                        struct manifest *manifest, uint64_t *ret_raw_bytes, struct err *err)
{
    manifest->lineage = envelope->lineage;
    manifest->owner = envelope->owner;
    manifest->epoch = envelope->epoch;
    manifest->position = envelope->position;
    manifest->time_ns = envelope->time_ns;
    manifest->key_id = envelope->key_id;
    wire_copy(reader, &manifest->record, DIGEST_SIZE);
    manifest->lowest_position = wire_u64(reader);
    manifest->n = wire_u64(reader);
    *ret_raw_bytes = wire_u64(reader);
    if (!wire_done(reader))
        return err_set(err, ERR_CORRUPT, "manifest: its header does not end where it should");
    if (envelope->kind != MANIFEST_KIND)
        return err_set(err, ERR_CORRUPT, "manifest: its kind is unknown; a newer holdfast may know it");
    return true;
}

static bool decompress(const struct envelope_content *content, uint64_t raw_bytes, uint8_t **ret_body,
                       struct err *err)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(freep) uint8_t *body = NULL;

    if (raw_bytes > MANIFEST_RAW_MAX || raw_bytes > codec_raw_max(content->body_size))
        return err_set(err, ERR_CORRUPT, "manifest: a body of %" PRIu64 " bytes, which it can't have",
                       raw_bytes);
    body = xmalloc(raw_bytes);
    if (!codec_decompress(codec, content->body, content->body_size, body, raw_bytes, err))
        return err_wrap(err, "manifest");
    *ret_body = MOVE(body);
    return true;
}

static void manifest_clearp(struct manifest *manifest)
{
    manifest_clear(manifest);
}

bool manifest_decode(const void *bytes, size_t size, struct manifest *ret_manifest, struct err *err)
{
    CLEANUP(manifest_clearp) struct manifest manifest = {0};
    CLEANUP(freep) uint8_t *body = NULL;
    struct envelope_content content;
    struct envelope envelope;
    struct wire_reader reader;
    uint64_t raw_bytes = 0;

    if (size > MANIFEST_SIZE_MAX)
        return err_set(err, ERR_CORRUPT, "a manifest of %zu bytes, above the limit of %d", size,
                       MANIFEST_SIZE_MAX);
    if (!envelope_open(&manifest_type, bytes, size, &envelope, &content, err) ||
        !read_header(&envelope, &content.header, &manifest, &raw_bytes, err) ||
        !decompress(&content, raw_bytes, &body, err))
        return false;
    reader = wire_reader_of(body, raw_bytes);
    if (!read_body(&reader, &manifest, err))
        return false;
    *ret_manifest = manifest;
    manifest_init(&manifest);
    return true;
}
