/* Plain reads and writes, and no mapping: a mapped page that the disk has no room for, or can't read, ends
 * the process with a signal, and this one has an application to look after. */
#include "snapshot/page_table.h"

#include "base/fs.h"
#include "snapshot/pagehash.h"

#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 2048 }; /* values at once */

void page_table_path(const char *database, uint64_t incarnation, char path[static PAGE_TABLE_PATH_SIZE])
{
    (void)snprintf(path, PAGE_TABLE_PATH_SIZE, PAGE_TABLES_FOLDER "/%016" PRIx64,
                   pagehash_bytes(database, strlen(database), incarnation));
}

bool page_table_create(int directory_fd, const char *path, const struct page_hashes *hashes, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;

    (void)unlinkat(directory_fd, path, 0);
    if (!fs_open_beneath(directory_fd, path, O_RDWR | O_CREAT | O_EXCL, 0600, &fd, err))
        return false;
    for (uint64_t at = 0; at < hashes->count; at += PIECE) {
        size_t count = hashes->count - at < PIECE ? (size_t)(hashes->count - at) : PIECE;
        if (!page_table_write(fd, at + 1, hashes->values + at, count, err))
            return false;
    }
    return true;
}

bool page_table_open(int directory_fd, const char *path, int *ret_fd, struct err *err)
{
    return fs_open_beneath(directory_fd, path, O_RDWR, 0, ret_fd, err);
}

bool page_table_read(int fd, uint64_t first_page, uint64_t *values, size_t count, struct err *err)
{
    assert(first_page > 0);
    if (!fs_read_at(fd, values, count * sizeof(values[0]), (first_page - 1) * sizeof(values[0]), err))
        return err_wrap(err, "read a table of page hashes");
    for (size_t at = 0; at < count; at++)
        values[at] = le64toh(values[at]);
    return true;
}

bool page_table_write(int fd, uint64_t first_page, const uint64_t *values, size_t count, struct err *err)
{
    uint64_t stored[PIECE];

    assert(first_page > 0);
    for (size_t done = 0, part; done < count; done += part) {
        part = count - done < PIECE ? count - done : PIECE;
        for (size_t at = 0; at < part; at++)
            stored[at] = htole64(values[done + at]);
        if (!fs_write_at(fd, stored, part * sizeof(stored[0]), (first_page - 1 + done) * sizeof(stored[0]),
                         err))
            return err_wrap(err, "write a table of page hashes");
    }
    return true;
}

bool page_table_resize(int fd, uint64_t pages, struct err *err)
{
    if (ftruncate(fd, (off_t)(pages * sizeof(uint64_t))) != 0)
        return err_errno(err, "resize a table of page hashes");
    return true;
}

bool page_table_rolling(int fd, uint64_t pages, uint64_t *ret_rolling, struct err *err)
{
    uint64_t values[PIECE], rolling = 0;
    struct stat status;

    if (fstat(fd, &status) != 0)
        return err_errno(err, "look at a table of page hashes");
    if ((uint64_t)status.st_size != pages * sizeof(values[0]))
        return err_set(err, ERR_CORRUPT, "a table of page hashes is not one of %" PRIu64 " pages", pages);
    for (uint64_t at = 0; at < pages; at += PIECE) {
        size_t count = pages - at < PIECE ? (size_t)(pages - at) : PIECE;
        if (!page_table_read(fd, at + 1, values, count, err))
            return false;
        for (size_t index = 0; index < count; index++)
            rolling ^= values[index];
    }
    *ret_rolling = rolling;
    return true;
}
