#include "snapshot/file_id.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static bool look(int directory_fd, const char *path, int flags, struct file_id *ret_id)
{
    struct statx status;

    if (statx(directory_fd, path, flags | AT_NO_AUTOMOUNT, STATX_INO | STATX_BTIME, &status) != 0)
        return false;
    *ret_id = (struct file_id){.inode = status.stx_ino};
    if (status.stx_mask & STATX_BTIME)
        ret_id->birth_ns =
            status.stx_btime.tv_sec * (int64_t)NS_PER_SECOND + (int64_t)status.stx_btime.tv_nsec;
    return true;
}

bool file_id_at(int directory_fd, const char *path, struct file_id *ret_id)
{
    if (look(directory_fd, path, AT_SYMLINK_NOFOLLOW, ret_id))
        return true;
    if (errno != ENOENT && errno != ENOTDIR)
        return false;
    *ret_id = (struct file_id){0};
    return true;
}

bool file_id_of(int fd, struct file_id *ret_id)
{
    return look(fd, "", AT_EMPTY_PATH, ret_id);
}

bool file_id_same(const struct file_id *one, const struct file_id *other)
{
    return one->inode == other->inode && one->birth_ns == other->birth_ns &&
           (one->inode == 0 || one->birth_ns != 0);
}

bool file_id_differs(const struct file_id *one, const struct file_id *other)
{
    return one->inode != other->inode ||
           (one->birth_ns != other->birth_ns && one->birth_ns != 0 && other->birth_ns != 0);
}
