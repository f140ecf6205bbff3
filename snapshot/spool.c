/* One file, unlinked as soon as it is open: however the process ends, the kernel gives its space back. (A
 * process killed between the two calls leaves an empty file; the next start removes it.)
 *
 * The file is a window of the queue. It begins at offset `origin` of the queue; what lies before `punched` is
 * a hole. When the queue runs empty the file is cut to nothing and a new window begins, so a store that keeps
 * up never lets it grow. What counts against the limits is what the file really takes, [punched, tail): where
 * no hole can be punched, a released prefix goes on to count, or a queue that never runs empty would fill the
 * disk. It runs empty soon then, because appending is refused. */
#include "snapshot/spool.h"

#include "base/buf.h"
#include "base/fs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    PUNCH_STEP = 1 << 20, /* whole blocks of any file system, and few calls */
    FREE_SHARE = 10,      /* of the disk's free space, one part in so many may be ours */
};

static const char folder[] = ".holdfast/spool";
static const char file_path[] = ".holdfast/spool/queue";

struct spool {
    int directory_fd; /* borrowed */
    int fd;
    uint64_t size_max;
    uint64_t origin;  /* of the queue, where the file begins */
    uint64_t punched; /* nothing before this takes space: origin plus a multiple of PUNCH_STEP */
    uint64_t head;
    uint64_t tail;
    bool can_punch;
};

static bool open_file(int directory_fd, int *ret_fd, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;

    if (!fs_remove_tree(directory_fd, folder, err) || !fs_make_directories(directory_fd, folder, 0700, err) ||
        !fs_open_beneath(directory_fd, file_path, O_RDWR | O_CREAT | O_EXCL, 0600, &fd, err))
        return false;
    if (unlinkat(directory_fd, file_path, 0) != 0)
        return err_errno(err, "unlink %s", file_path);
    *ret_fd = MOVE_FD(fd);
    return true;
}

bool spool_open(int directory_fd, uint64_t size_max, struct spool **ret_spool, struct err *err)
{
    struct spool *spool;
    int fd = -1;

    if (!open_file(directory_fd, &fd, err))
        return err_wrap(err, "open the spool");
    spool = xcalloc(1, sizeof(*spool));
    *spool = (struct spool){.directory_fd = directory_fd, .fd = fd, .size_max = size_max, .can_punch = true};
    *ret_spool = spool;
    return true;
}

void spool_free(struct spool *spool)
{
    if (!spool)
        return;
    (void)close(spool->fd);
    free(spool);
}

uint64_t spool_head(const struct spool *spool)
{
    return spool->head;
}

uint64_t spool_tail(const struct spool *spool)
{
    return spool->tail;
}

/* Shrinks the file to what ends at the tail. A failure keeps space that the next append writes over. */
static void cut_file(struct spool *spool)
{
    int kept = ftruncate(spool->fd, (off_t)(spool->tail - spool->origin));

    (void)kept;
}

static void begin_window(struct spool *spool)
{
    spool->origin = spool->tail;
    spool->punched = spool->tail;
    cut_file(spool);
}

static bool check_room(const struct spool *spool, size_t size, struct err *err)
{
    uint64_t used = spool->tail - spool->punched, free_bytes = 0;

    if (size > spool->size_max || used > spool->size_max - size)
        return err_set(err, ERR_TRANSIENT, "the spool is full: it holds %llu of %llu bytes",
                       (unsigned long long)used, (unsigned long long)spool->size_max);
    if (!fs_free_bytes(spool->directory_fd, &free_bytes, err))
        return false;
    if (used + size > (free_bytes + used) / FREE_SHARE)
        return err_set(err, ERR_TRANSIENT, "the spool takes no more of the %llu bytes that the disk has free",
                       (unsigned long long)free_bytes);
    return true;
}

static bool is_full(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

bool spool_append(struct spool *spool, const void *bytes, size_t size, struct err *err)
{
    if (!check_room(spool, size, err))
        return false;
    if (!fs_write_at(spool->fd, bytes, size, spool->tail - spool->origin, err)) {
        if (is_full(err->number))
            err->code = ERR_TRANSIENT;
        cut_file(spool); /* part of it may have been written */
        return err_wrap(err, "write the spool");
    }
    spool->tail += size;
    return true;
}

void spool_rewind(struct spool *spool, uint64_t tail)
{
    assert(tail >= spool->head && tail <= spool->tail);
    if (tail == spool->tail)
        return;
    spool->tail = tail;
    if (tail == spool->head)
        begin_window(spool);
    else
        cut_file(spool);
}

bool spool_read(const struct spool *spool, uint64_t offset, void *bytes, size_t size, struct err *err)
{
    assert(offset >= spool->head && offset <= spool->tail && size <= spool->tail - offset);
    return fs_read_at(spool->fd, bytes, size, offset - spool->origin, err) || err_wrap(err, "read the spool");
}

static void punch(struct spool *spool)
{
    uint64_t size = (spool->head - spool->punched) / PUNCH_STEP * PUNCH_STEP;

    if (size == 0 || !spool->can_punch)
        return;
    if (fallocate(spool->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)(spool->punched - spool->origin), (off_t)size) == 0)
        spool->punched += size;
    else if (errno != EINTR)
        spool->can_punch = false;
}

void spool_release(struct spool *spool, uint64_t head)
{
    assert(head >= spool->head && head <= spool->tail);
    spool->head = head;
    if (head < spool->tail)
        punch(spool);
    else if (spool->origin < spool->tail)
        begin_window(spool);
}
