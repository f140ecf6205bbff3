/* Which file has a name. The inode's number alone doesn't tell: that of a file that is gone is given to the
 * next one. Its birth tells, where the file system says when that was (statx(2), STATX_BTIME). Any thread. */
#ifndef SNAPSHOT_FILE_ID_H
#define SNAPSHOT_FILE_ID_H

#include "base/err.h"

#include <stdint.h>

struct file_id {
    uint64_t inode;   /* 0: nothing is there */
    int64_t birth_ns; /* 0: not known */
};

/* Of what has the name now, be it a symlink; opens nothing. False: nobody can tell. */
bool file_id_at(int directory_fd, const char *path, struct file_id *ret_id) CHECKED;
/* Of an open file. */
bool file_id_of(int fd, struct file_id *ret_id) CHECKED;

/* For certain one file, or none both times; for certain not the same. Neither of them is possible. */
bool file_id_same(const struct file_id *one, const struct file_id *other);
bool file_id_differs(const struct file_id *one, const struct file_id *other);

#endif
