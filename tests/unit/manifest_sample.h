/* The manifest of golden/manifest.hex, and a forge for manifests that break rules: the writer itself refuses
 * to. */
#ifndef TESTS_UNIT_MANIFEST_SAMPLE_H
#define TESTS_UNIT_MANIFEST_SAMPLE_H

#include "base/buf.h"
#include "snapshot/manifest.h"

#include <string.h>

static const int64_t sample_time_ns = INT64_C(1700000000) * 1000000000;

static inline void manifest_clearp(struct manifest *manifest)
{
    manifest_clear(manifest);
}

static inline struct tree_entry *sample_add(struct manifest *manifest, enum entry_kind kind, const char *path,
                                            uint16_t mode, uint64_t size)
{
    struct tree_entry *entry = tree_add(manifest->tree, path, strlen(path), NULL, 0);

    entry->kind = (uint8_t)kind;
    entry->mode = mode;
    entry->size = size;
    return entry;
}

static inline void sample_own(struct tree_entry *entry, int64_t mtime_ns)
{
    entry->uid = 1000;
    entry->gid = 1001;
    entry->mtime_ns = mtime_ns;
}

static inline void sample_add_files(struct manifest *manifest)
{
    struct tree_piece pieces[3] = {{40, TREE_PIECE_SIZE, digest_of("piece", 5)},
                                   {0, TREE_PIECE_SIZE, {{0}}},
                                   {41, 5, digest_of("tail", 4)}};
    struct tree_entry *entry;

    sample_own(sample_add(manifest, ENTRY_DIRECTORY, "storage", 02755, 4096), sample_time_ns);
    entry = sample_add(manifest, ENTRY_FILE, "storage/a", 0644, 1000);
    sample_own(entry, sample_time_ns + 1);
    tree_set_inline(entry, 2, 0);
    entry = sample_add(manifest, ENTRY_FILE, "storage/big", 0600, 2 * TREE_PIECE_SIZE + 5);
    sample_own(entry, sample_time_ns + 3);
    tree_set_pieces(manifest->tree, entry, pieces, 3);
    entry = sample_add(manifest, ENTRY_FILE, "storage/b\xff\n", 04600, 300);
    sample_own(entry, sample_time_ns + 2);
    tree_set_inline(entry, 2, 1000);
    (void)sample_add(manifest, ENTRY_FILE, "storage/empty", 0, 0);
    entry = tree_add(manifest->tree, "storage/link", 12, "../db.sqli", 10);
    entry->kind = ENTRY_SYMLINK;
    entry->mode = 0777;
    entry->size = 10;
    entry->mtime_ns = sample_time_ns + 4;
}

static inline void sample_add_databases(struct manifest *manifest)
{
    struct manifest_database *database = manifest_add_database(manifest, "db.sqlite3");

    database->incarnation = 5;
    database->position = 41;
    database->page_size = 4096;
    database->pages = 1034;
    database->rolling_hash = UINT64_C(0x1122334455667788);
    database->mode = 0644;
    database->uid = 1000;
    database->gid = 1001;
    database->mtime_ns = sample_time_ns - 5;
    database->frames = 2;
    database = manifest_add_database(manifest, "empty.db");
    database->incarnation = 6;
    database->position = 39;
    database->page_size = 4096;
    database->mode = 0600;
    database->mtime_ns = -1;
}

static inline void sample_manifest(struct manifest *manifest)
{
    manifest_init(manifest);
    for (size_t at = 0; at < ID_SIZE; at++) {
        manifest->lineage.bytes[at] = (uint8_t)at;
        manifest->owner.bytes[at] = (uint8_t)(0xf0 + at);
    }
    manifest->epoch = 40;
    manifest->position = 41;
    manifest->time_ns = (uint64_t)sample_time_ns;
    manifest->record = digest_of("record 41", 9);
    manifest->lowest_position = 39;
    manifest->n = 7;
    manifest_add_frame(manifest, 3000000, 4 << 20);
    manifest_add_frame(manifest, 1200000, 4096 * 10);
    manifest_add_part(manifest, &(struct manifest_part){1, 16 + 4200000, digest_of("part 1", 6), 0, 2});
    manifest_add_frame(manifest, 555, 1300);
    manifest_add_part(manifest, &(struct manifest_part){2, 16 + 555, digest_of("part 2", 6), 2, 1});
    sample_add_databases(manifest);
    manifest->tree = tree_new();
    sample_add_files(manifest);
}

#endif
