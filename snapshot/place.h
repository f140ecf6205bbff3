/* Putting a restored tree onto the disk (docs/DESIGN.md, Restoring onto the disk).
 *
 * Into an empty directory: in place. Otherwise everything new is staged under .holdfast/staging/ while the
 * old state stays untouched, and place_finish() exchanges the two: old paths go to .holdfast/aside/<name>/ by
 * rename, then files, then databases move in. The data directory may be a mount point and is never renamed.
 * Names come from a store: every path is opened beneath the directory, through no symlink. The caller has
 * recorded in its state file, before place_begin(), that a restore is under way and how, so that a crash at
 * any instant is repeated from the start. */
#ifndef SNAPSHOT_PLACE_H
#define SNAPSHOT_PLACE_H

#include "base/cleanup.h"
#include "base/err.h"
#include "snapshot/tree.h"

struct place;

/* directory_fd: the data directory (borrowed). aside: NULL to restore in place; else the name of the folder
 * for what is set aside. In place, what a former attempt left (everything but .holdfast, lost+found and
 * excluded paths) is removed first. */
bool place_begin(int directory_fd, const char *aside, const char *exclude, struct place **ret_place,
                 struct err *err) CHECKED;
void place_free(struct place *place); /* NULL is fine; does not undo anything */
DEFINE_CLEANUP(struct place *, place_free, place_freep)

/* Creates a directory with its parents; its own mode and mtime are set by place_finish(). Not thread-safe,
 * like all but place_write(). */
bool place_directory(struct place *place, const char *path, struct err *err) CHECKED;
bool place_symlink(struct place *place, const char *path, const char *target, struct err *err) CHECKED;
/* Creates the file (mode 0600 until finished) of `size` bytes, all holes, for writing. */
bool place_file(struct place *place, const char *path, uint64_t size, int *ret_fd, struct err *err) CHECKED;
/* Writes in pieces of at most 64 KiB (larger ones leave ext4 slower for the application: facts in
 * docs/DESIGN.md) and leaves blocks of zeros as holes. Any thread. */
bool place_write(int fd, const void *bytes, size_t size, uint64_t offset, struct err *err) CHECKED;
/* Sets owner (root only), mode and mtime of a file written through fd, and makes its content durable. Any
 * thread. */
bool place_seal(int fd, uint32_t mode, uint32_t uid, uint32_t gid, int64_t mtime_ns, struct err *err) CHECKED;
/* Says that the path in the data directory is already right and stays (only with `aside`). */
void place_keep(struct place *place, const char *path);

/* Exchanges old and new, sets the metadata of directories and symlinks from tree (which lists everything but
 * databases), makes all durable. databases: their paths; a stale -wal, -shm or -journal of each goes aside
 * first. Afterwards the newest three folders in aside/ remain. *ret_set_aside: how many paths were set aside.
 */
bool place_finish(struct place *place, struct tree *tree, const char *const *databases,
                  size_t databases_count, size_t *ret_set_aside, struct err *err) CHECKED;

/* What place_begin() calls empty: nothing but .holdfast, lost+found and excluded paths. */
bool place_is_empty(int directory_fd, const char *exclude, bool *ret_empty, struct err *err) CHECKED;

#endif
