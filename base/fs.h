/* Files: whole reads and writes that are durable when they return, and walking without following anything.
 *
 * Names that come from a store are never joined to a path by hand: fs_open_beneath() lets the kernel refuse
 * whatever leaves the directory (openat2, Linux 5.6). Any thread may call everything here. */
#ifndef BASE_FS_H
#define BASE_FS_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What is written to a file that somebody will go on writing page by page goes out in pieces of at most this
 * size: larger ones leave large folios behind on ext4, and each later write of a page then costs 20 to 60
 * times as much (docs/DESIGN.md). */
enum { FS_PIECE_BYTES = 64 << 10 };

/* All of bytes, at the offset, interrupted or not. ERR_SYSTEM: the disk. */
bool fs_write_at(int fd, const void *bytes, size_t size, uint64_t offset, struct err *err) CHECKED;
bool fs_write_all(int fd, const void *bytes, size_t size, struct err *err) CHECKED;

/* Exactly size bytes; ERR_CORRUPT if the file ends before. */
bool fs_read_at(int fd, void *bytes, size_t size, uint64_t offset, struct err *err) CHECKED;

/* Adds the whole file to *contents, up to its ceiling (ERR_CORRUPT above). path is relative to directory_fd.
 */
bool fs_read_file(int directory_fd, const char *path, struct buf *contents, struct err *err) CHECKED;

/* Replaces path by bytes so that after a crash either the old or the new content is there: a temporary beside
 * it (path with ".new" appended, which no one else may use), fsync, rename, fsync of the directory. A symlink
 * at path is replaced, not followed. After a failure the old content is there and the temporary is gone. */
bool fs_replace_file(int directory_fd, const char *path, const void *bytes, size_t size, mode_t mode,
                     struct err *err) CHECKED;

/* Opens a directory for reading and as a base for …at() calls. */
bool fs_open_directory(int directory_fd, const char *path, int *ret_fd, struct err *err) CHECKED;

/* Opens path beneath directory_fd: no "..", no absolute path, no symlink anywhere on the way, not even the
 * last component. flags and mode as for open(2); O_CLOEXEC is added. ERR_CORRUPT if the name tries to leave.
 */
bool fs_open_beneath(int directory_fd, const char *path, int flags, mode_t mode, int *ret_fd,
                     struct err *err) CHECKED;

/* The same for a directory, opened for reading. ERR_NOT_FOUND if there is none of that name, whatever else is
 * there: nothing, a file, or a symlink at the name or on the way to it. */
bool fs_open_directory_beneath(int directory_fd, const char *path, int *ret_fd, struct err *err) CHECKED;

/* Like mkdir -p beneath directory_fd. An existing directory is fine; anything else in the way is an error. */
bool fs_make_directories(int directory_fd, const char *path, mode_t mode, struct err *err) CHECKED;

/* The directory that holds path, opened beneath directory_fd, and the last component (points into path). */
bool fs_open_parent(int directory_fd, const char *path, int *ret_fd, const char **ret_name,
                    struct err *err) CHECKED;

/* Removes path and all below it, never following a symlink; absent is success. Uses two descriptors however
 * deep it is. */
bool fs_remove_tree(int directory_fd, const char *path, struct err *err) CHECKED;

/* fsync of a directory, which makes its entries durable. */
bool fs_sync_directory(int directory_fd, const char *path, struct err *err) CHECKED;

/* Bytes that an unprivileged process could still write to the file system of directory_fd. */
bool fs_free_bytes(int directory_fd, uint64_t *ret_bytes, struct err *err) CHECKED;

#endif
