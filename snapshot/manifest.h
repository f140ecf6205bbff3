/* The manifest of a base: the whole state at one position (docs/FORMAT.md, Manifest). Pure; any thread. */
#ifndef SNAPSHOT_MANIFEST_H
#define SNAPSHOT_MANIFEST_H

#include "snapshot/key.h"
#include "snapshot/page_hashes.h"
#include "snapshot/tree.h"

enum {
    FRAME_RAW_BYTES = 4 << 20,                       /* of database pages in one frame */
    FRAME_STORED_MAX = FRAME_RAW_BYTES + (64 << 10), /* zstd's worst case is 16 KiB */
    PART_TARGET_BYTES = 4 << 20,                     /* a part is closed when it has reached this */
    PART_SIZE_MAX = 16 + PART_TARGET_BYTES + FRAME_STORED_MAX,
    MANIFEST_SIZE_MAX = 512 << 20,
};

struct manifest_frame {
    uint32_t stored_bytes;
    uint32_t raw_bytes;
};

struct manifest_part {
    uint64_t n;
    uint64_t bytes;
    struct digest hash;
    uint32_t first_frame; /* frames are numbered through all parts */
    uint32_t frames;
};

struct manifest_database {
    char *path;
    uint64_t incarnation;
    uint64_t position;
    uint32_t page_size;
    uint64_t pages;
    uint64_t rolling_hash;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    int64_t mtime_ns;
    uint32_t first_frame;
    uint32_t frames;
    struct page_hashes *hashes; /* of its pages; NULL: not known. Owned, and in memory alone */
};

struct manifest {
    struct id lineage;
    struct id owner;
    uint64_t epoch;
    uint64_t position; /* P */
    uint64_t time_ns;
    uint64_t key_id;
    struct digest record;     /* hash of record P */
    uint64_t lowest_position; /* S */
    uint64_t n;
    struct manifest_part *parts;
    size_t parts_count;
    struct manifest_frame *frames;
    size_t frames_count;
    struct manifest_database *databases;
    size_t databases_count;
    struct tree *tree; /* owned; NULL: no entries. Never NULL in a decoded one */
};

void manifest_init(struct manifest *manifest);
void manifest_clear(struct manifest *manifest);

/* Adders used while a base is cut, and the only way that these arrays grow. Parts are added in the
 * order of their frames, databases in that of their paths, which are copied; manifest_encode() checks both.
 * Pointers are valid until the next addition. */
void manifest_add_frame(struct manifest *manifest, uint32_t stored_bytes, uint32_t raw_bytes);
void manifest_add_part(struct manifest *manifest, const struct manifest_part *part);
struct manifest_database *manifest_add_database(struct manifest *manifest, const char *path);

/* The database at that path, or NULL. The databases are in the order of their paths, as those of a manifest
 * that was decoded are. Valid until the next addition. */
const struct manifest_database *manifest_find_database(const struct manifest *manifest, const char *path);

/* Appends the object. The tree is sorted. ERR_CORRUPT if the manifest breaks a rule that manifest_decode()
 * checks, so that nothing is written that can't be read; ERR_SYSTEM if compression fails; ERR_CONFIG above
 * the limits of size. */
bool manifest_encode(const struct manifest *manifest, struct buf *bytes, struct digest *ret_hash,
                     struct err *err) CHECKED;

/* Checks everything that FORMAT.md demands: hash, order, paths (databases and entries together), frame
 * ranges, sizes that add up (a database's frames hold exactly pages * page size; inline content lies within
 * its frame; pieces add up to the file's size; a parent that is listed is a directory). ERR_CORRUPT; a higher
 * version names the remedy. */
bool manifest_decode(const void *bytes, size_t size, struct manifest *ret_manifest, struct err *err) CHECKED;

/* Bytes of all databases and files, uncompressed. */
uint64_t manifest_state_bytes(const struct manifest *manifest);
/* What that takes of a disk, where the pieces of zeros in large files are holes. kept_…: what is there
 * already, by index; NULL: nothing. */
uint64_t manifest_disk_bytes(const struct manifest *manifest, const bool *kept_entries,
                             const bool *kept_databases);

#endif
