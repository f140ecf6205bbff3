/* Bytes of restored files on their way to the disk.
 *
 * Through the page cache they go in pieces of at most 64 KiB: larger ones leave large folios behind on ext4,
 * and each later page write of the application then costs many times as much.
 *
 * The pages of a database are most of what a restore writes, and they go around the page cache (O_DIRECT)
 * where the file system says what it wants for that (statx(2), STATX_DIOALIGN, Linux 6.1). Copied into the
 * cache, a gigabyte costs two seconds of CPU on the machine of docs/BENCHMARKS.md and is throttled as dirty
 * memory; written directly it costs 0.2, and counts nothing against a container's memory limit. What is given
 * up is a warm cache. Where nothing is said, as on tmpfs or gVisor, the cache is used. */
#include "snapshot/place.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    BLOCK_SIZE = 4 << 10,
    WRITE_SIZE = 64 << 10,
    DIRECT_SIZE = 4 << 20,
};

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Bytes from `offset` on that have one fate: a run of whole blocks of zeros, or a run of anything else that
 * ends at a multiple of write_size. */
static size_t run_length(const uint8_t *bytes, size_t size, uint64_t offset, size_t write_size,
                         bool *ret_hole)
{
    size_t length = 0;
    bool hole = false;

    while (length < size) {
        size_t step = BLOCK_SIZE - (size_t)((offset + length) % BLOCK_SIZE);
        bool zeros = step == BLOCK_SIZE && size - length >= step && is_zero(bytes + length, step);
        if (step > size - length)
            step = size - length;
        if (length == 0)
            hole = zeros;
        if (zeros != hole || (!hole && length > 0 && (offset + length) % write_size == 0))
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

static bool write_runs(int fd, size_t write_size, const uint8_t *at, size_t size, uint64_t offset,
                       struct err *err)
{
    while (size > 0) {
        bool hole;
        size_t run = run_length(at, size, offset, write_size, &hole);
        assert(run > 0 && (hole || run <= write_size));
        if (hole ? !punch_hole(fd, at, run, offset, err) : !fs_write_at(fd, at, run, offset, err))
            return false;
        at += run;
        size -= run;
        offset += run;
    }
    return true;
}

bool place_write(int fd, const void *bytes, size_t size, uint64_t offset, struct err *err)
{
    return write_runs(fd, WRITE_SIZE, bytes, size, offset, err);
}

static bool takes_direct_writes(int fd)
{
#ifdef STATX_DIOALIGN
    struct statx status;

    return statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 && (status.stx_mask & STATX_DIOALIGN) &&
           status.stx_dio_mem_align > 0 && PLACE_DIRECT_ALIGN % status.stx_dio_mem_align == 0 &&
           status.stx_dio_offset_align > 0 && PLACE_DIRECT_ALIGN % status.stx_dio_offset_align == 0;
#else
    (void)fd;
    return false;
#endif
}

int place_open_direct(int fd)
{
    char path[64];

    if (!takes_direct_writes(fd))
        return -1;
    /* The flag belongs to an open file, not to a descriptor, so dup(2) would not do. */
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

bool place_write_direct(int fd, const void *bytes, size_t size, uint64_t offset, struct err *err)
{
    assert(place_is_direct(bytes, size, offset));
    return write_runs(fd, DIRECT_SIZE, bytes, size, offset, err);
}
