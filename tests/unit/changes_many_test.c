/* Many files in one record: all of them, in memory that does not grow with their contents. */
#include "base/fs.h"
#include "tests/double/changing.h"
#include "tests/double/store_mem.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/resource.h>

enum { FILES = 20000, FILE_BYTES = 8192, MIB = 1 << 20 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool memory_counts = false;
#else
static const bool memory_counts = true;
#endif

static long peak_bytes(void)
{
    struct rusage usage;

    EXPECT(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_maxrss * 1024;
}

/* Holes with a number at the end: nothing on the disk, all of it in the reading. */
static void make_files(int directory_fd, int count)
{
    char path[32], number[8];

    for (int at = 0; at < count; at++) {
        CLEANUP(close_fdp) int fd = -1;
        (void)snprintf(path, sizeof(path), "many/%02d/%05d", at % 100, at);
        (void)snprintf(number, sizeof(number), "%07d", at);
        if (at < 100) {
            (void)snprintf(path, sizeof(path), "many/%02d", at);
            scratch_mkdir(directory_fd, path);
            (void)snprintf(path, sizeof(path), "many/%02d/%05d", at, at);
        }
        fd = openat(directory_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (pwrite(fd, number, 7, FILE_BYTES - 7) != 7)
            abort();
    }
}

TEST(twenty_thousand_new_files_are_one_record_in_little_memory)
{
    CLEANUP(changing_close) struct changing changing;
    struct err err;
    long before;

    changing_open(&changing);
    make_files(changing.disk.fd, FILES);
    before = peak_bytes();
    SHIP(&changing);
    EXPECT_INT(changing.changes.puts, FILES + 101);
    EXPECT_INT(changing.changes.blobs_uploaded, 0);
    EXPECT(changing.changes.sections.size < CHANGES_BODY_MAX);
    if (memory_counts)
        EXPECT(peak_bytes() - before < 48L * MIB);
    EXPECT(changing_is_equal(&changing));
    EXPECT_INT(pending_count(changing.pending), 0);
    REQUIRE_OK(fs_remove_tree(changing.disk.fd, "many", &err), &err);
    SHIP(&changing);
    EXPECT_INT(changing.changes.gones, 1);
    EXPECT(changing_is_equal(&changing));
}

TEST(what_does_not_fit_of_many_files_is_in_the_same_record)
{
    CLEANUP(changing_close) struct changing changing;

    changing_open(&changing);
    changing.body_max = 512 << 10;
    make_files(changing.disk.fd, 3000);
    SHIP(&changing);
    EXPECT_INT(changing.changes.puts, 3101);
    EXPECT(changing.changes.blobs_uploaded > 1000);
    EXPECT_INT(store_mem_count(changing.mem, "blob/"), changing.changes.blobs_uploaded);
    EXPECT(changing.changes.sections.size <= changing.body_max);
    EXPECT(changing_is_equal(&changing));
}

TEST(a_large_file_is_read_in_little_memory)
{
    CLEANUP(changing_close) struct changing changing;
    CLEANUP(close_fdp) int fd = -1;
    long before;

    changing_open(&changing);
    fd = openat(changing.disk.fd, "large", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (off_t at = 0; at < 16; at++)
        REQUIRE(pwrite(fd, "x", 1, at * TREE_PIECE_SIZE + at) == 1);
    before = peak_bytes();
    SHIP(&changing);
    EXPECT_INT(changing.changes.blobs_uploaded, 16);
    if (memory_counts)
        EXPECT(peak_bytes() - before < 48L * MIB);
    EXPECT(changing_is_equal(&changing));
}

TAP_MAIN()
