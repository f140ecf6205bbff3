#include "snapshot/guarded_file.h"

#include "base/buf.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>

/* An inode that somebody has: claimed, or open by hand `openers` times. */
struct held_inode {
    dev_t device;
    ino_t inode;
    bool claimed;
    unsigned openers;
    struct held_inode *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the list and what is in it */
static struct held_inode *held;

/* The link that points to the inode's entry, or to NULL. Under the mutex. */
static struct held_inode **find(dev_t device, ino_t inode)
{
    struct held_inode **at = &held;

    while (*at && ((*at)->device != device || (*at)->inode != inode))
        at = &(*at)->next;
    return at;
}

static struct held_inode *find_or_add(const struct stat *status)
{
    struct held_inode **at = find(status->st_dev, status->st_ino);

    if (!*at) {
        *at = xcalloc(1, sizeof(**at));
        (*at)->device = status->st_dev;
        (*at)->inode = status->st_ino;
    }
    return *at;
}

static void drop_if_unused(struct held_inode **at)
{
    struct held_inode *inode = *at;

    if (inode->claimed || inode->openers > 0)
        return;
    *at = inode->next;
    free(inode);
}

static bool open_path(int directory_fd, const char *path, int *ret_fd, struct stat *ret_status,
                      struct err *err)
{
    CLEANUP(close_fdp) int fd = openat(directory_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0)
        return err_errno(err, "open %s", path);
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_CONFIG, "%s is not a regular file", path);
    *ret_fd = MOVE_FD(fd);
    *ret_status = status;
    return true;
}

static bool enter_claim(const struct stat *status, const char *path, struct err *err)
{
    MUTEX_GUARD(&mutex);
    struct held_inode *inode = find_or_add(status);

    if (inode->claimed)
        return err_set(err, ERR_CONFLICT, "%s is attached already, under this name or another", path);
    if (inode->openers > 0)
        return err_set(err, ERR_TRANSIENT, "%s is being read", path);
    inode->claimed = true;
    return true;
}

bool guarded_file_claim(int directory_fd, const char *path, struct guarded_claim *ret_claim, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;
    struct stat status;

    if (!open_path(directory_fd, path, &fd, &status, err))
        return false;
    if (!enter_claim(&status, path, err))
        return false;
    *ret_claim = (struct guarded_claim){.path_fd = MOVE_FD(fd), .status = status};
    return true;
}

void guarded_file_release(struct guarded_claim *claim)
{
    struct held_inode **at;

    if (claim->path_fd < 0)
        return;
    MUTEX_GUARD(&mutex);
    at = find(claim->status.st_dev, claim->status.st_ino);
    assert(*at && (*at)->claimed);
    (*at)->claimed = false;
    drop_if_unused(at);
    (void)close(MOVE_FD(claim->path_fd));
}

bool guarded_file_is_claimed(dev_t device, ino_t inode)
{
    struct held_inode *const *at;

    MUTEX_GUARD(&mutex);
    at = find(device, inode);
    return *at && (*at)->claimed;
}

static bool enter_opener(const struct stat *status, const char *path, struct err *err)
{
    MUTEX_GUARD(&mutex);
    struct held_inode *inode = find_or_add(status);

    if (inode->claimed)
        return err_set(err, ERR_CONFLICT, "%s is an attached database", path);
    inode->openers++;
    return true;
}

static void leave_opener(const struct stat *status)
{
    struct held_inode **at;

    MUTEX_GUARD(&mutex);
    at = find(status->st_dev, status->st_ino);
    assert(*at && (*at)->openers > 0);
    (*at)->openers--;
    drop_if_unused(at);
}

bool guarded_file_reopen(int path_fd, int *ret_fd, struct err *err)
{
    char link[32];
    int fd;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
    fd = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_errno(err, "open a file for reading");
    *ret_fd = fd;
    return true;
}

static bool enter_and_open(int path_fd, const struct stat *status, const char *path, int *ret_fd,
                           struct err *err)
{
    if (!enter_opener(status, path, err))
        return false;
    if (guarded_file_reopen(path_fd, ret_fd, err))
        return true;
    leave_opener(status);
    return err_wrap(err, "%s", path);
}

bool guarded_file_open(int directory_fd, const char *path, int *ret_fd, struct err *err)
{
    CLEANUP(close_fdp) int path_fd = -1;
    struct stat status;

    return open_path(directory_fd, path, &path_fd, &status, err) &&
           enter_and_open(path_fd, &status, path, ret_fd, err);
}

bool guarded_file_open_held(int path_fd, int *ret_fd, struct err *err)
{
    struct stat status;

    if (fstat(path_fd, &status) != 0)
        return err_errno(err, "look at a held file");
    return enter_and_open(path_fd, &status, "a held file", ret_fd, err);
}

void guarded_file_close(int fd)
{
    struct stat status;
    int failed;

    if (fd < 0)
        return;
    failed = fstat(fd, &status);
    assert(!failed);
    (void)close(fd); /* before the entry goes: a claim may follow at once */
    leave_opener(&status);
}
