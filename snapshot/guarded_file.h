/* Which files SQLite has locks on in this process, and how to open the others.
 *
 * POSIX record locks belong to an inode and a process: close(2) of *any* descriptor of the inode drops all of
 * them, through a hard link too, and whoever opened it (fcntl(2), "Record locks"). A scanner that opens and
 * closes an attached database would silently take away the lock that keeps its log from being overwritten. So
 * an inode is either claimed (SQLite may have locks on it) or open by hand (guarded_file_open), never both;
 * each side is refused while the other has it. Descriptors opened with O_PATH drop nothing and may be used
 * freely.
 *
 * Files that can't be databases need none of this. Any thread may call everything here. */
#ifndef SNAPSHOT_GUARDED_FILE_H
#define SNAPSHOT_GUARDED_FILE_H

#include "base/cleanup.h"
#include "base/err.h"

#include <sys/stat.h>

/* A claimed inode. The O_PATH descriptor keeps its number from being used again. */
struct guarded_claim {
    int path_fd;
    struct stat status; /* as it was when claimed */
};

#define GUARDED_CLAIM_INIT \
    {                      \
        .path_fd = -1      \
    }

/* Claims the regular file at path (the last component is not followed if it is a symlink). ERR_CONFLICT: it
 * is claimed already, under this name or another; ERR_TRANSIENT: it is open by hand just now. */
bool guarded_file_claim(int directory_fd, const char *path, struct guarded_claim *ret_claim,
                        struct err *err) CHECKED;
/* Gives it back; everything that has the inode open must be closed. Fine for one never claimed. */
void guarded_file_release(struct guarded_claim *claim);

bool guarded_file_is_claimed(dev_t device, ino_t inode);

/* Opens a regular file for reading, unless it is claimed (ERR_CONFLICT). Close it with guarded_file_close().
 */
bool guarded_file_open(int directory_fd, const char *path, int *ret_fd, struct err *err) CHECKED;
/* The same for the file that an O_PATH descriptor stands for, whatever became of its name. */
bool guarded_file_open_held(int path_fd, int *ret_fd, struct err *err) CHECKED;
/* Closes what these two gave; -1 is fine. */
void guarded_file_close(int fd);

/* For CLEANUP(); what DEFINE_CLEANUP would make of an int, clang-tidy wants const. */
static inline void guarded_file_closep(const int *fd)
{
    guarded_file_close(*fd);
}

/* A descriptor for reading of the file that an O_PATH descriptor stands for. */
bool guarded_file_reopen(int path_fd, int *ret_fd, struct err *err) CHECKED;

#endif
