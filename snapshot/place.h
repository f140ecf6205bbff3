/* Putting a restored tree onto the disk (docs/DESIGN.md, Restoring onto the disk).
 *
 *     place_begin(…)                                       aside: NULL in place, else a folder's name
 *     place_directory, place_symlink, place_file → place_write → place_seal, place_keep     in any order
 *     place_finish(…)
 *
 * Into an empty directory: in place. Otherwise everything new is staged under .holdfast/staging/ while the
 * old state stays untouched, and place_finish() exchanges the two: old paths go to .holdfast/aside/<name>/ by
 * rename, then files, then databases move in. The data directory may be a mount point and is never renamed.
 * Names come from a store: every path is opened beneath the directory, through no symlink. The caller has
 * recorded in its state file, before place_begin(), that a restore is under way, how, and with which `aside`,
 * so that a crash at any instant is repeated from the start with the same name: whatever was local is then
 * either where it was or in the folder of that name.
 *
 * What HOLDFAST_EXCLUDE names is not touched. A store may hold such paths all the same (they were excluded
 * later): they are accepted and dropped, so that the caller needn't know. */
#ifndef SNAPSHOT_PLACE_H
#define SNAPSHOT_PLACE_H

#include "base/cleanup.h"
#include "base/err.h"
#include "snapshot/tree.h"

#include <stdatomic.h>

struct place;

enum {
    PLACE_ASIDE_KEPT = 3,
    PLACE_DIRECT_ALIGNMENT = 4096, /* of memory, offsets and sizes: pages, and more than disks ask for */
};

/* directory_fd: the data directory (borrowed). aside: NULL to restore in place; else the name of the folder
 * for what is set aside. In place, what a former attempt left (everything but .holdfast, lost+found and
 * excluded paths) is removed first. With `aside` it is checked that the exchange can be made, while nothing
 * has been changed: ERR_DENIED names a directory that we may not write, ERR_CONFIG a mount inside the data
 * directory (a rename can't leave it). */
bool place_begin(int directory_fd, const char *aside, const char *exclude, struct place **ret_place,
                 struct err *err) CHECKED;
void place_free(struct place *place); /* NULL is fine; does not undo anything */
DEFINE_CLEANUP(struct place *, place_free, place_freep)

/* Creates a directory with its parents; its owner, mode and mtime are set by place_finish(). ERR_CORRUPT for
 * a path that breaks the rules of docs/FORMAT.md, here and below. Not thread-safe, like all but place_write()
 * and place_seal(). */
bool place_directory(struct place *place, const char *path, struct err *err) CHECKED;
bool place_symlink(struct place *place, const char *path, const char *target, struct err *err) CHECKED;
/* Creates the file (mode 0600 until sealed) of `size` bytes, all holes, for reading and writing. */
bool place_file(struct place *place, const char *path, uint64_t size, int *ret_fd, struct err *err) CHECKED;
/* Writes in pieces of at most 64 KiB (larger ones leave ext4 slower for the application: facts in
 * docs/DESIGN.md). Whole 4 KiB blocks of zeros become holes, whatever was written there before. Any thread.
 */
bool place_write(int fd, const void *bytes, size_t size, uint64_t offset, struct err *err) CHECKED;
/* For a file of `size` bytes too large to be worth its room in the page cache, just made by place_file():
 * true if its descriptor is written past the cache (O_DIRECT) from now on. Not every file system can. */
bool place_go_direct(int fd, uint64_t size) CHECKED;
/* As place_write(), for such a file, each range once: offset and the address of bytes are multiples of
 * PLACE_DIRECT_ALIGNMENT (asserted), and size is padded to one: so much is read of bytes and may be in the
 * file until place_leave_direct(). Blocks of 64 KiB become holes. *is_direct becomes false if the file system
 * refuses after all; this range has gone through the cache then, and place_write() is for the others. Any
 * thread, several at once. */
bool place_write_direct(int fd, atomic_bool *is_direct, const void *bytes, size_t size, uint64_t offset,
                        struct err *err) CHECKED;
/* When all is written, before anything else is done with the descriptor. Harmless if it never was direct. */
bool place_leave_direct(int fd, uint64_t size, struct err *err) CHECKED;
/* Sets owner (where we may), mode and mtime of a file written through fd. Large files are made durable here,
 * beside the transfer of others; small ones by place_finish() all at once. Any thread. */
bool place_seal(int fd, uint32_t mode, uint32_t uid, uint32_t gid, int64_t mtime_ns, struct err *err) CHECKED;
/* Sets owner (where we may) and time of a symlink beneath a directory. */
bool place_seal_symlink(int directory_fd, const char *path, uint32_t uid, uint32_t gid, int64_t mtime_ns,
                        struct err *err) CHECKED;
/* Takes away again what was placed at the path: a file, a symlink, or a directory if it is empty. Absent is
 * success. */
bool place_remove(struct place *place, const char *path, struct err *err) CHECKED;
/* Says that this path of the data directory is already right and stays; each path once. In place there is
 * nothing that could stay, and this means nothing. */
void place_keep(struct place *place, const char *path);

/* Exchanges old and new, sets the metadata of directories and symlinks from tree (which lists everything but
 * databases), and makes all durable. databases: their paths; they move in last. -wal, -shm and -journal files
 * of these go aside before anything else unless place_keep() named them, those of a database that is kept
 * too; such files that were placed here are dropped: a log that isn't of this moment would be replayed into
 * the database. Afterwards the newest PLACE_ASIDE_KEPT folders in aside/ remain, this one among them.
 * *ret_set_aside: how many paths the folder holds, from former attempts too; 0: there is no folder. */
bool place_finish(struct place *place, struct tree *tree, const char *const *databases,
                  size_t databases_count, size_t *ret_set_aside, struct err *err) CHECKED;

/* Whether there is nothing but .holdfast, lost+found and excluded paths (with the side files of databases).
 */
bool place_is_empty(int directory_fd, const char *exclude, bool *ret_empty, struct err *err) CHECKED;

#endif
