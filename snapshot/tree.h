/* The tree of files at one moment, compact: about 60 bytes for each entry beside its path, so that 100,000
 * files fit in 15 MB.
 *
 * The same structure is what a scan of the disk gives, what a manifest says, and what is compared to find
 * changes. Entries are in ascending byte order of path, each path once. Strings and pieces live in arenas of
 * the tree. Databases and their side files are not in here. Not thread-safe; reading from several threads is
 * fine while nobody changes it. */
#ifndef SNAPSHOT_TREE_H
#define SNAPSHOT_TREE_H

#include "base/cleanup.h"
#include "base/err.h"
#include "snapshot/digest.h"

#include <stddef.h>
#include <stdint.h>

enum entry_kind { ENTRY_FILE = 1, ENTRY_DIRECTORY = 2, ENTRY_SYMLINK = 3 };
enum content_kind { CONTENT_NONE = 0, CONTENT_INLINE = 1, CONTENT_PIECES = 2 };

enum {
    TREE_INLINE_MAX = 32 << 10, /* larger files are blobs */
    TREE_PIECE_SIZE = 8 << 20,
    TREE_PATH_MAX = 4095,
};

/* In place of a frame number: the inline content came with a data record and lies in no frame of a base.
 * extra is the lower half of the record's position. */
#define TREE_FRAME_IN_RECORD UINT32_MAX

/* Part of a large file. A piece of zeros (a hole) has tag 0 and is not stored. */
struct tree_piece {
    uint64_t tag; /* 0: zeros */
    uint32_t raw_bytes;
    struct digest content;
};

struct tree_entry {
    uint32_t path;   /* offset of the NUL-terminated text in the arena: tree_path() */
    uint32_t target; /* symlink: offset of its target; inline file: frame number; pieces: index of the first
                        piece */
    uint32_t extra;  /* inline file: offset in the raw frame; pieces: their count */
    uint32_t uid;
    uint32_t gid;
    uint16_t mode;   /* the 12 permission bits */
    uint8_t kind;    /* enum entry_kind */
    uint8_t content; /* enum content_kind; CONTENT_NONE for a scanned file whose content was not read yet */
    uint64_t size;   /* of a file's content or a symlink's target; no meaning in a directory */
    int64_t mtime_ns;
    /* Identity on this disk, from a scan; zero in a tree that came from a manifest. They prove "unchanged", a
     * name alone doesn't. */
    uint64_t inode;
    int64_t ctime_ns;
};

struct tree;

struct tree *tree_new(void);
void tree_free(struct tree *tree); /* NULL is fine */
/* Another one that is the same; entries have the same indexes. */
struct tree *tree_copy(const struct tree *from);
DEFINE_CLEANUP(struct tree *, tree_free, tree_freep)

size_t tree_count(const struct tree *tree);
/* Sum of the sizes of all files. */
uint64_t tree_bytes(const struct tree *tree);
struct tree_entry *tree_at(struct tree *tree, size_t index);
const char *tree_path(const struct tree *tree, const struct tree_entry *entry);
const char *tree_target(const struct tree *tree, const struct tree_entry *entry);
const struct tree_piece *tree_pieces(const struct tree *tree, const struct tree_entry *entry);

/* Appends an entry, zeroed but for its path and, for a symlink, its target (else NULL), which are copied into
 * the arena and may not lie in this tree's own; the order is restored by tree_sort(). The pointer is valid
 * until the next addition or sort. Aborts above 4 GiB of text. */
struct tree_entry *tree_add(struct tree *tree, const char *path, size_t path_size, const char *target,
                            size_t target_size);
/* Appends a copy of another tree's entry, with its target or its pieces. */
struct tree_entry *tree_add_copy(struct tree *tree, const struct tree *from, const struct tree_entry *entry);
/* Gives the entry its content; pieces (at least one) are copied. */
void tree_set_pieces(struct tree *tree, struct tree_entry *entry, const struct tree_piece *pieces,
                     uint32_t count);
void tree_set_inline(struct tree_entry *entry, uint32_t frame, uint32_t offset);
/* Sorts by path; no work if it was filled in order. False if a path occurs twice, and then nothing can be
 * found. */
bool tree_sort(struct tree *tree) CHECKED;
/* By path, in O(log n); NULL if absent. The tree is in order (asserted). */
struct tree_entry *tree_find(struct tree *tree, const char *path);
/* The same for paths that are looked for in ascending order, in O(n) for all of them: *at is 0 at first. */
struct tree_entry *tree_seek(struct tree *tree, size_t *at, const char *path);
/* The index of the first entry that is not below this path in order; the count if there is none. O(log n). */
size_t tree_place(const struct tree *tree, const char *path);
/* Removes the entries whose kind was set to 0, keeping the order of the others. */
void tree_compact(struct tree *tree);
/* Gives back what growing has taken in advance: for a tree that is complete and will be kept. */
void tree_trim(struct tree *tree);

/* Entries from `begin` to before `end`. */
struct tree_range {
    size_t begin;
    size_t end;
};

/* A new tree: `base` without what it says of contents and without the entries of the ranges (ascending, none
 * meets another), and all of `more`, whose paths are not among what is left. Both are in order. What has gone
 * still takes its room of text. Costs a copy of the memory, not a look at each path. */
struct tree *tree_patch(const struct tree *base, const struct tree_range *gone, size_t gone_count,
                        const struct tree *more);

/* The rules of docs/FORMAT.md for a path that comes from outside: relative, no empty, "." or ".." component,
 * not below .holdfast, length. */
bool tree_path_is_safe(const char *path, size_t size);

/* For qsort(3) and bsearch(3) over inodes (uint64_t) of entries. */
int tree_compare_inodes(const void *one, const void *other);

#endif
