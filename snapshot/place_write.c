/* Bytes into a file that is being restored: by way of the page cache, or past it.
 *
 * A large database is written past it (O_DIRECT). Through the cache a processor copies each page, into memory
 * that the kernel has to find first, and then it is written all the same; in a container that memory counts
 * against the limit, and what it displaces is the application's. docs/BENCHMARKS.md says what either way
 * costs, the application's first reads included. A small database stays in the cache, for these reads.
 *
 * Both ways may meet in one file: the kernel writes back and drops what is cached of a range before it writes
 * the range directly, and reads what isn't cached from the disk. That is enough unless somebody makes pages
 * of the range dirty meanwhile, and nobody does: each byte is written once, in ranges that share no page, and
 * nothing reads or writes the file otherwise before place_leave_direct(). From then on all goes through the
 * cache. */
#include "snapshot/place_internal.h"

#include "base/fs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whole blocks of zeros become holes, and anything else goes out in pieces; a piece is a multiple of a block.
 */
struct grain {
    size_t block;
    size_t piece;
};

static const struct grain cached = {4 << 10, FS_PIECE_BYTES};
/* Each write waits for the disk, so a few zeros are no reason for two writes instead of one. */
static const struct grain direct = {64 << 10, 4 << 20};

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Bytes from `offset` on that have one fate: a run of whole blocks of zeros, or a run of anything else within
 * one piece. */
static size_t run_length(struct grain grain, const uint8_t *bytes, size_t size, uint64_t offset,
                         bool *ret_hole)
{
    size_t length = 0;
    bool hole = false;

    while (length < size) {
        size_t step = grain.block - (size_t)((offset + length) % grain.block);
        bool zeros = step == grain.block && size - length >= step && is_zero(bytes + length, step);
        if (step > size - length)
            step = size - length;
        if (length == 0)
            hole = zeros;
        if (zeros != hole || (!hole && length > 0 && (offset + length) % grain.piece == 0))
            break;
        length += step;
    }
    *ret_hole = hole;
    return length;
}

/* Mostly it is one already, and then this is cheap; but a later image of a page may be the one of zeros. */
static bool punch_hole(int fd, const void *zeros, size_t size, uint64_t offset, struct err *err)
{
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size) == 0)
        return true;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return err_errno(err, "punch a hole of %zu bytes", size);
    return fs_write_at(fd, zeros, size, offset, err);
}

static bool write_runs(int fd, struct grain grain, const uint8_t *bytes, size_t size, uint64_t offset,
                       struct err *err)
{
    while (size > 0) {
        bool hole;
        size_t run = run_length(grain, bytes, size, offset, &hole);
        assert(run > 0 && (hole || run <= grain.piece));
        if (hole ? !punch_hole(fd, bytes, run, offset, err) : !fs_write_at(fd, bytes, run, offset, err))
            return false;
        bytes += run;
        size -= run;
        offset += run;
    }
    return true;
}

bool place_write(int fd, const void *bytes, size_t size, uint64_t offset, struct err *err)
{
    return write_runs(fd, cached, bytes, size, offset, err);
}

/* --- past the page cache
 * ------------------------------------------------------------------------------------- */

/* A file system that takes O_DIRECT and then goes through the cache all the same (ext4 that journals data)
 * says so here, from Linux 6.1 on. It would do that in pieces of 4 MiB. */
static bool promises_direct(int fd)
{
#ifdef STATX_DIOALIGN
    struct statx status;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 && (status.stx_mask & STATX_DIOALIGN) != 0)
        return status.stx_dio_offset_align > 0 && PLACE_DIRECT_ALIGNMENT % status.stx_dio_offset_align == 0 &&
               status.stx_dio_mem_align > 0 && PLACE_DIRECT_ALIGNMENT % status.stx_dio_mem_align == 0;
#else
    (void)fd;
#endif
    return true; /* if not, writing says so */
}

static bool set_direct(int fd, bool is_direct)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && fcntl(fd, F_SETFL, is_direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

bool place_go_direct(int fd, uint64_t size)
{
    if (!promises_direct(fd) || !set_direct(fd, true))
        return false;
    /* Into room that is there already, several threads may write at once. Without it all works the same, and
     * that the disk is full is found by a write. */
    (void)fallocate(fd, 0, 0, (off_t)size);
    return true;
}

bool place_write_direct(int fd, atomic_bool *is_direct, const void *bytes, size_t size, uint64_t offset,
                        struct err *err)
{
    const size_t alignment = PLACE_DIRECT_ALIGNMENT;
    struct err why;

    assert(offset % alignment == 0 && (uintptr_t)bytes % alignment == 0);
    if (write_runs(fd, direct, bytes, (size + alignment - 1) / alignment * alignment, offset, &why))
        return true;
    if (why.number != EINVAL) {
        *err = why;
        return false;
    }
    /* Some file systems let O_DIRECT be set and refuse the first write, others what is left of one that was
     * cut short; what is wrong then, the way through the cache tells. */
    atomic_store(is_direct, false);
    return (set_direct(fd, false) || err_errno(err, "clear O_DIRECT")) &&
           place_write(fd, bytes, size, offset, err);
}

bool place_leave_direct(int fd, uint64_t size, struct err *err)
{
    if (!set_direct(fd, false))
        return err_errno(err, "clear O_DIRECT");
    if (size % PLACE_DIRECT_ALIGNMENT != 0 && ftruncate(fd, (off_t)size) != 0)
        return err_errno(err, "make a file %" PRIu64 " bytes long", size);
    return true;
}
