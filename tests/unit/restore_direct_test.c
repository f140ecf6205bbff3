/* Large databases are restored past the page cache, and it can't be seen in what is restored: whatever their
 * sizes, and whatever the file system makes of O_DIRECT. */
#include "snapshot/restore.h"

#include "base/fs.h"
#include "tests/unit/restore_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

enum { DATABASE_MAX = 10 << 20 };

/* --- what the kernel is made to say
 * ---------------------------------------------------------------------------- */

/* Of descriptors of a file under restore: what O_DIRECT is answered with, 0 by the kernel itself. */
static int flag_error;
static _Atomic int write_error;
/* The direct write at which write_error begins, counted from 0. */
static int error_at;
static bool cuts_short;
static _Atomic int direct_writes, cached_writes;

/* By their symbols: the headers may declare these inline, or with another name. */
ssize_t hooked_pwrite(int fd, const void *bytes, size_t size, off_t offset) __asm__("pwrite64");
int hooked_fcntl(int fd, int command, ...) __asm__("fcntl64");

static bool is_direct(int fd)
{
    return ((int)syscall(SYS_fcntl, fd, F_GETFL, 0) & O_DIRECT) != 0;
}

ssize_t hooked_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (!is_direct(fd)) {
        atomic_fetch_add(&cached_writes, 1);
        return syscall(SYS_pwrite64, fd, bytes, size, offset);
    }
    if (atomic_fetch_add(&direct_writes, 1) >= error_at && write_error != 0) {
        errno = write_error;
        return -1;
    }
    if (cuts_short && size > 8 * KIB)
        size = size / 2 / 4096 * 4096;
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

int hooked_fcntl(int fd, int command, ...)
{
    va_list more;
    long argument;

    va_start(more, command);
    argument = va_arg(more, long);
    va_end(more);
    if (command == F_SETFL && (argument & O_DIRECT) != 0 && flag_error != 0) {
        errno = flag_error;
        return -1;
    }
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

/* --- one restore --- */

static bool run(struct bench *bench, uint64_t direct_from, bool goes_on, int *ret_fd, struct err *err)
{
    CLEANUP(restore_freep) struct restore *restore = NULL;

    direct_writes = cached_writes = 0;
    if (!restore_open(bench->store, &bench->manifest, NULL, NULL, NULL, &restore, err))
        return false;
    restore_set_direct_from(restore, direct_from);
    if (!restore_release(restore, bench->place, err))
        return false;
    if (goes_on)
        restore_expect_more(restore);
    if (!restore_wait(restore, err))
        return false;
    if (goes_on)
        *ret_fd = restore_take_database(restore, 0);
    return true;
}

static void expect_restored(struct bench *bench)
{
    CLEANUP(buf_clearp) struct buf found = BUF_INIT(DATABASE_MAX + 1);
    struct err err = {0};

    REQUIRE_OK(fs_read_file(bench->disk.fd, "app.db", &found, &err), &err);
    EXPECT_INT(found.size, bench->size);
    EXPECT(found.size == bench->size && memcmp(found.bytes, bench->bytes, bench->size) == 0);
}

static const struct shape {
    uint32_t page_size;
    size_t size;
} shapes[] = {
    {512, 512},
    {512, FRAME_RAW_BYTES + 512},
    {512, FRAME_RAW_BYTES - 512},
    {1024, FRAME_RAW_BYTES + 301 * 1024},
    {4096, FRAME_RAW_BYTES},
    {4096, 2 * FRAME_RAW_BYTES + 7 * 4096},
    {65536, FRAME_RAW_BYTES + 3 * 65536},
};

enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

/* --- tests
 * ----------------------------------------------------------------------------------------------------- */

TEST(databases_of_odd_sizes_are_written_past_the_page_cache)
{
    for (size_t at = 0; at < SHAPES; at++) {
        struct bench bench;
        struct err err = {0};
        set_up(&bench, shapes[at].page_size, shapes[at].size);
        EXPECT_OK(run(&bench, shapes[at].size, false, NULL, &err), &err);
        expect_restored(&bench);
        EXPECT(!bench.can_direct || direct_writes > 0);
        EXPECT(!bench.can_direct || cached_writes == 0);
        tear_down(&bench);
    }
}

TEST(a_database_below_the_limit_stays_in_the_page_cache)
{
    struct bench bench;
    struct err err = {0};

    set_up(&bench, 4096, FRAME_RAW_BYTES);
    EXPECT_OK(run(&bench, FRAME_RAW_BYTES + 1, false, NULL, &err), &err);
    expect_restored(&bench);
    EXPECT_INT(direct_writes, 0);
    EXPECT(cached_writes > 0);
    tear_down(&bench);
}

TEST(where_o_direct_can_not_be_set_the_page_cache_is_used)
{
    for (size_t at = 0; at < 2; at++) {
        struct bench bench;
        struct err err = {0};
        flag_error = EINVAL;
        set_up(&bench, shapes[at].page_size, shapes[at].size);
        EXPECT(!bench.can_direct);
        EXPECT_OK(run(&bench, 0, false, NULL, &err), &err);
        expect_restored(&bench);
        EXPECT_INT(direct_writes, 0);
        tear_down(&bench);
    }
}

TEST(where_a_direct_write_is_refused_the_page_cache_is_used)
{
    write_error = EINVAL;
    for (error_at = 0; error_at < 3; error_at++) {
        struct bench bench;
        struct err err = {0};
        set_up(&bench, 1024, shapes[3].size);
        EXPECT_OK(run(&bench, 0, false, NULL, &err), &err);
        expect_restored(&bench);
        EXPECT(!bench.can_direct || cached_writes > 0);
        tear_down(&bench);
    }
}

TEST(a_direct_write_that_is_cut_short_goes_on)
{
    struct bench bench;
    struct err err = {0};

    cuts_short = true;
    set_up(&bench, 1024, shapes[3].size);
    EXPECT_OK(run(&bench, 0, false, NULL, &err), &err);
    expect_restored(&bench);
    tear_down(&bench);
}

TEST(a_full_disk_is_told_as_it_is_by_way_of_the_page_cache)
{
    struct bench bench;
    struct err err = {0};

    set_up(&bench, 4096, shapes[5].size);
    if (bench.can_direct) {
        write_error = ENOSPC;
        error_at = 1;
        EXPECT(!run(&bench, 0, false, NULL, &err));
        EXPECT_INT(err.number, ENOSPC);
        EXPECT_INT(err.code, ERR_SYSTEM);
        if (!EXPECT(strstr(err.text, "write app.db: write ") && strstr(err.text, "No space left on device")))
            printf("#   %s\n", err.text);
    }
    tear_down(&bench);
}

/* What is applied to it afterwards reads and writes any pages, through the cache. */
TEST(whoever_takes_the_database_over_has_it_in_the_page_cache)
{
    for (size_t at = 1; at < 4; at++) {
        CLEANUP(close_fdp) int fd = -1;
        struct bench bench;
        struct err err = {0};
        uint8_t page[512];
        set_up(&bench, shapes[at].page_size, shapes[at].size);
        REQUIRE_OK(run(&bench, 0, true, &fd, &err), &err);
        EXPECT(!is_direct(fd));
        REQUIRE_OK(fs_read_at(fd, page, sizeof(page), FRAME_RAW_BYTES / 2 + 512, &err), &err);
        EXPECT(memcmp(page, bench.bytes + FRAME_RAW_BYTES / 2 + 512, sizeof(page)) == 0);
        bench.bytes[512] ^= 1;
        REQUIRE_OK(fs_write_at(fd, bench.bytes + 512, 512, 512, &err), &err);
        expect_restored(&bench);
        tear_down(&bench);
    }
}

TEST(stretches_of_zeros_become_holes)
{
    struct bench bench;
    struct stat status;
    struct err err = {0};

    set_up(&bench, 4096, shapes[5].size);
    EXPECT_OK(run(&bench, 0, false, NULL, &err), &err);
    expect_restored(&bench);
    status = scratch_stat(bench.disk.fd, "app.db");
    /* 200 KiB of zeros have at least two whole blocks of 64 KiB in them. */
    EXPECT((size_t)status.st_blocks * 512 <= bench.size - 2 * 64 * KIB);
    tear_down(&bench);
}

TAP_MAIN()
