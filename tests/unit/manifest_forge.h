/* Manifests that break rules, which the writer refuses to make: bodies built field by field, with every size
 * and hash around them right. */
#ifndef TESTS_UNIT_MANIFEST_FORGE_H
#define TESTS_UNIT_MANIFEST_FORGE_H

#include "snapshot/codec.h"
#include "snapshot/manifest.h"
#include "tests/tap.h"

static inline void forged_clearp(struct manifest *manifest)
{
    manifest_clear(manifest);
}

/* The three lists of a body, field by field. */
struct forge {
    struct buf parts, databases, entries;
    uint32_t parts_count, databases_count;
    uint64_t entries_count;
};

#define FORGE_INIT                                                                               \
    {                                                                                            \
        .parts = BUF_INIT(1 << 20), .databases = BUF_INIT(1 << 20), .entries = BUF_INIT(1 << 20) \
    }

static inline void forge_clearp(struct forge *forge)
{
    buf_clear(&forge->parts);
    buf_clear(&forge->databases);
    buf_clear(&forge->entries);
}

/* A part of one frame. */
static inline void forge_part(struct forge *forge, uint32_t stored_bytes, uint32_t raw_bytes)
{
    struct digest hash = digest_of("part", 4);

    wire_add_u64(&forge->parts, ++forge->parts_count);
    wire_add_u64(&forge->parts, UINT64_C(16) + stored_bytes);
    buf_add(&forge->parts, hash.bytes, DIGEST_SIZE);
    wire_add_u32(&forge->parts, 1);
    wire_add_u32(&forge->parts, stored_bytes);
    wire_add_u32(&forge->parts, raw_bytes);
}

static inline void forge_database(struct forge *forge, const char *path, uint64_t pages, uint32_t first_frame,
                                  uint32_t frames)
{
    struct buf *databases = &forge->databases;

    forge->databases_count++;
    wire_add_str(databases, path, strlen(path));
    wire_add_u64(databases, 5);
    wire_add_u64(databases, 40);
    wire_add_u32(databases, 4096);
    wire_add_u64(databases, pages);
    wire_add_u64(databases, 0);
    for (int at = 0; at < 3; at++)
        wire_add_u32(databases, 0);
    wire_add_u64(databases, 0);
    wire_add_u32(databases, first_frame);
    wire_add_u32(databases, frames);
}

/* Everything up to what the kind has of its own. */
static inline void forge_entry(struct forge *forge, uint8_t kind, const char *path, size_t path_size,
                               uint64_t size)
{
    struct buf *entries = &forge->entries;

    forge->entries_count++;
    wire_add_u8(entries, kind);
    wire_add_str(entries, path, path_size);
    for (int at = 0; at < 3; at++)
        wire_add_u32(entries, 0);
    wire_add_u64(entries, 0);
    wire_add_u64(entries, size);
}

static inline void forge_file(struct forge *forge, const char *path)
{
    forge_entry(forge, ENTRY_FILE, path, strlen(path), 0);
    wire_add_u8(&forge->entries, CONTENT_NONE);
}

static inline void forge_inline(struct forge *forge, const char *path, uint64_t size, uint32_t frame,
                                uint32_t offset)
{
    forge_entry(forge, ENTRY_FILE, path, strlen(path), size);
    wire_add_u8(&forge->entries, CONTENT_INLINE);
    wire_add_u32(&forge->entries, frame);
    wire_add_u32(&forge->entries, offset);
}

static inline void forge_directory(struct forge *forge, const char *path)
{
    forge_entry(forge, ENTRY_DIRECTORY, path, strlen(path), 0);
}

static inline void forge_symlink(struct forge *forge, const char *path, const char *target, uint64_t size)
{
    forge_entry(forge, ENTRY_SYMLINK, path, strlen(path), size);
    wire_add_str(&forge->entries, target, strlen(target));
}

/* Wraps a body as the manifest of P = 41, S = 39 with every size and the hash right. */
static inline void forge_wrap(const struct buf *body, struct buf *bytes)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(codec_bound(body->size));
    struct digest hash = digest_of("record 41", 9);
    struct err err = {0};

    EXPECT_OK(codec_compress(codec, 3, body->bytes, body->size, &frame, &err), &err);
    buf_reset(bytes);
    buf_add_text(bytes, "HFMANIFE");
    wire_add_u16(bytes, 1);
    wire_add_u16(bytes, 0);
    wire_add_u32(bytes, 144);
    wire_add_u64(bytes, frame.size);
    for (size_t at = 0; at < 2 * ID_SIZE; at++)
        wire_add_u8(bytes, (uint8_t)at);
    wire_add_u64(bytes, 40);
    wire_add_u64(bytes, 41);
    wire_add_u64(bytes, 0);
    wire_add_u64(bytes, 0);
    buf_add(bytes, hash.bytes, DIGEST_SIZE);
    wire_add_u64(bytes, 39);
    wire_add_u64(bytes, 7);
    wire_add_u64(bytes, body->size);
    buf_add(bytes, frame.bytes, frame.size);
    hash = digest_of(bytes->bytes, bytes->size);
    buf_add(bytes, hash.bytes, DIGEST_SIZE);
}

static inline void forge_seal(const struct forge *forge, struct buf *bytes)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(1 << 22);

    wire_add_u32(&body, forge->parts_count);
    buf_add(&body, forge->parts.bytes, forge->parts.size);
    wire_add_u32(&body, forge->databases_count);
    buf_add(&body, forge->databases.bytes, forge->databases.size);
    wire_add_u64(&body, forge->entries_count);
    buf_add(&body, forge->entries.bytes, forge->entries.size);
    forge_wrap(&body, bytes);
}

static inline void expect_manifest_refused(const struct buf *bytes, const char *text)
{
    CLEANUP(forged_clearp) struct manifest manifest = {0};
    struct err err = {0};

    EXPECT(!manifest_decode(bytes->bytes, bytes->size, &manifest, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(!manifest.tree && manifest.position == 0); /* untouched */
    if (!EXPECT(strstr(err.text, text)))
        printf("#   \"%s\" has no \"%s\"\n", err.text, text);
}

static inline void expect_forge_refused(const struct forge *forge, const char *text)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 22);

    forge_seal(forge, &bytes);
    expect_manifest_refused(&bytes, text);
}

static inline void expect_forge_accepted(const struct forge *forge)
{
    CLEANUP(forged_clearp) struct manifest manifest = {0};
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 22);
    struct err err = {0};

    forge_seal(forge, &bytes);
    EXPECT_OK(manifest_decode(bytes.bytes, bytes.size, &manifest, &err), &err);
}

#define FORGE(name) CLEANUP(forge_clearp) struct forge name = FORGE_INIT

#endif
