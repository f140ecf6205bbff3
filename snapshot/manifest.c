#include "snapshot/manifest.h"

#include <assert.h>
#include <string.h>

void manifest_init(struct manifest *manifest)
{
    *manifest = (struct manifest){0};
}

void manifest_clear(struct manifest *manifest)
{
    for (size_t at = 0; at < manifest->databases_count; at++) {
        free(manifest->databases[at].path);
        page_hashes_free(manifest->databases[at].hashes);
    }
    free(manifest->databases);
    free(manifest->parts);
    free(manifest->frames);
    tree_free(manifest->tree);
    manifest_init(manifest);
}

/* Room for one element more. The capacity is the power of two at or above the count, so nobody has to store
 * it. */
static void *grow(void *array, size_t count, size_t element_size)
{
    bool is_full = (count & (count - 1)) == 0;

    return is_full ? xrealloc(array, (count > 0 ? 2 * count : 1) * element_size) : array;
}

void manifest_add_frame(struct manifest *manifest, uint32_t stored_bytes, uint32_t raw_bytes)
{
    assert(manifest->frames_count < UINT32_MAX);
    manifest->frames = grow(manifest->frames, manifest->frames_count, sizeof(*manifest->frames));
    manifest->frames[manifest->frames_count++] = (struct manifest_frame){stored_bytes, raw_bytes};
}

void manifest_add_part(struct manifest *manifest, const struct manifest_part *part)
{
    manifest->parts = grow(manifest->parts, manifest->parts_count, sizeof(*manifest->parts));
    manifest->parts[manifest->parts_count++] = *part;
}

struct manifest_database *manifest_add_database(struct manifest *manifest, const char *path)
{
    struct manifest_database *database;

    assert(path[0] != '\0');
    manifest->databases = grow(manifest->databases, manifest->databases_count, sizeof(*manifest->databases));
    database = &manifest->databases[manifest->databases_count++];
    *database = (struct manifest_database){.path = xstrdup(path)};
    return database;
}

const struct manifest_database *manifest_find_database(const struct manifest *manifest, const char *path)
{
    size_t low = 0, high = manifest->databases_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(manifest->databases[middle].path, path);
        if (order == 0)
            return &manifest->databases[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

uint64_t manifest_state_bytes(const struct manifest *manifest)
{
    uint64_t bytes = manifest->tree ? tree_bytes(manifest->tree) : 0;

    for (size_t at = 0; at < manifest->databases_count; at++)
        bytes += manifest->databases[at].pages * manifest->databases[at].page_size;
    return bytes;
}

/* Of a file, without its holes. */
static uint64_t entry_bytes(const struct tree *tree, const struct tree_entry *entry)
{
    const struct tree_piece *pieces;
    uint64_t bytes = entry->kind == ENTRY_FILE ? entry->size : 0;

    if (entry->content != CONTENT_PIECES)
        return bytes;
    pieces = tree_pieces(tree, entry);
    for (uint32_t at = 0; at < entry->extra; at++)
        bytes -= pieces[at].tag == 0 ? pieces[at].raw_bytes : 0;
    return bytes;
}

uint64_t manifest_disk_bytes(const struct manifest *manifest, const bool *kept_entries,
                             const bool *kept_databases)
{
    uint64_t bytes = 0;

    for (size_t at = 0; manifest->tree && at < tree_count(manifest->tree); at++)
        if (!kept_entries || !kept_entries[at])
            bytes += entry_bytes(manifest->tree, tree_at(manifest->tree, at));
    for (size_t at = 0; at < manifest->databases_count; at++)
        if (!kept_databases || !kept_databases[at])
            bytes += manifest->databases[at].pages * manifest->databases[at].page_size;
    return bytes;
}
