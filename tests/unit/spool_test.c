/* The queue on disk: what goes in comes out, what is released gives its space back, and nothing outlives the
 * process. */
#include "snapshot/spool.h"

#include "tests/double/placing.h"
#include "tests/double/scanning.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { MIB = 1 << 20, PLENTY = 1 << 30 };

/* Instead of libc's: what a test says of the disk, or what the disk itself says. */
static uint64_t pretended_free;
static bool refuses_holes;
static unsigned punches;
int hooked_fstatvfs(int fd, struct statvfs *usage) __asm__("fstatvfs64");
int hooked_fallocate(int fd, int mode, off_t offset, off_t size) __asm__("fallocate64");

int hooked_fstatvfs(int fd, struct statvfs *usage)
{
    char link[64];

    if (pretended_free > 0) {
        *usage = (struct statvfs){.f_frsize = 1, .f_bavail = pretended_free};
        return 0;
    }
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return statvfs(link, usage);
}

int hooked_fallocate(int fd, int mode, off_t offset, off_t size)
{
    punches++;
    if (refuses_holes) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

struct bench {
    struct scratch scratch;
    struct spool *spool;
};

static void tear_down(struct bench *bench)
{
    spool_free(bench->spool);
    scratch_close(&bench->scratch);
}

static void set_up(struct bench *bench, uint64_t size_max)
{
    struct err err;

    pretended_free = (uint64_t)100 * PLENTY;
    scratch_open(&bench->scratch);
    EXPECT_OK(spool_open(bench->scratch.fd, size_max, &bench->spool, &err), &err);
}

/* What is in our own folder. */
#define EXPECT_OURS(scratch, wanted)                                                        \
    do {                                                                                    \
        CLEANUP(close_fdp)                                                                  \
        int ours_ = openat((scratch)->fd, ".holdfast", O_RDONLY | O_DIRECTORY | O_CLOEXEC); \
        EXPECT_LISTING(ours_, (wanted));                                                    \
    } while (0)

/* The byte that stands at an offset of the queue. */
static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (offset >> 16));
}

static bool append(struct spool *spool, size_t size, struct err *err)
{
    CLEANUP(freep) uint8_t *bytes = xmalloc(size);

    for (size_t at = 0; at < size; at++)
        bytes[at] = byte_at(spool_tail(spool) + at);
    return spool_append(spool, bytes, size, err);
}

/* All that is held is what was appended. */
static bool holds(const struct spool *spool)
{
    size_t size = (size_t)(spool_tail(spool) - spool_head(spool));
    CLEANUP(freep) uint8_t *bytes = xmalloc(size + 1);
    struct err err;

    if (!spool_read(spool, spool_head(spool), bytes, size, &err)) {
        printf("# %s\n", err.text);
        return false;
    }
    for (size_t at = 0; at < size; at++)
        if (bytes[at] != byte_at(spool_head(spool) + at))
            return false;
    return true;
}

/* The descriptor of the queue's file, the only one of this process that was unlinked. */
static int file_of_queue(void)
{
    for (int fd = 3; fd < 64; fd++) {
        struct stat status;
        if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 0)
            return fd;
    }
    return -1;
}

static uint64_t space_used(void)
{
    struct stat status;

    return fstat(file_of_queue(), &status) == 0 ? (uint64_t)status.st_blocks * 512 : UINT64_MAX;
}

TEST(what_was_appended_is_read_at_any_offset)
{
    CLEANUP(tear_down) struct bench bench = {0};
    uint8_t bytes[5];
    struct err err;

    set_up(&bench, PLENTY);
    EXPECT_INT(spool_head(bench.spool), 0);
    EXPECT_INT(spool_tail(bench.spool), 0);
    REQUIRE_OK(append(bench.spool, 1000, &err), &err);
    REQUIRE_OK(append(bench.spool, 70000, &err), &err);
    REQUIRE_OK(append(bench.spool, 0, &err), &err);
    EXPECT_INT(spool_tail(bench.spool), 71000);
    EXPECT(holds(bench.spool));
    REQUIRE_OK(spool_read(bench.spool, 998, bytes, 5, &err), &err);
    for (size_t at = 0; at < 5; at++)
        EXPECT_INT(bytes[at], byte_at(998 + at));
    EXPECT_OK(spool_read(bench.spool, 71000, bytes, 0, &err), &err);
}

TEST(nothing_of_it_has_a_name_or_is_replicated)
{
    CLEANUP(tear_down) struct bench bench = {0};
    struct err err;

    set_up(&bench, PLENTY);
    REQUIRE_OK(append(bench.spool, 1000, &err), &err);
    EXPECT_OURS(&bench.scratch, "spool/\n");
    EXPECT_SCAN(bench.scratch.fd, "", "*", "|");
}

TEST(what_an_earlier_process_left_is_removed_unread)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(spool_freep) struct spool *spool = NULL;
    struct err err;

    scratch_open(&scratch);
    scratch_mkdir(scratch.fd, ".holdfast");
    scratch_mkdir(scratch.fd, ".holdfast/spool");
    scratch_mkdir(scratch.fd, ".holdfast/spool/deep");
    scratch_write(scratch.fd, ".holdfast/spool/queue", "stale");
    scratch_write(scratch.fd, ".holdfast/spool/deep/other", "stale");
    scratch_write(scratch.fd, ".holdfast/state", "kept");
    REQUIRE_OK(spool_open(scratch.fd, PLENTY, &spool, &err), &err);
    EXPECT_INT(spool_tail(spool), 0);
    EXPECT_OURS(&scratch, "spool/\nstate = kept\n");
}

TEST(a_symlink_in_its_place_leads_nowhere)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(spool_freep) struct spool *spool = NULL;
    struct err err;

    scratch_open(&scratch);
    scratch_mkdir(scratch.fd, ".holdfast");
    scratch_mkdir(scratch.fd, "theirs");
    scratch_write(scratch.fd, "theirs/queue", "precious");
    REQUIRE(symlinkat("../theirs", scratch.fd, ".holdfast/spool") == 0);
    REQUIRE_OK(spool_open(scratch.fd, PLENTY, &spool, &err), &err);
    EXPECT_OURS(&scratch, "spool/\n");
    EXPECT_LISTING(scratch.fd, "theirs/\ntheirs/queue = precious\n");
}

TEST(a_killed_process_leaves_no_bytes)
{
    CLEANUP(tear_down) struct bench bench = {0};
    struct err err;
    pid_t child;

    scratch_open(&bench.scratch);
    child = fork();
    if (child == 0) {
        if (spool_open(bench.scratch.fd, PLENTY, &bench.spool, &err) && append(bench.spool, MIB, &err))
            (void)kill(getpid(), SIGKILL);
        _exit(1);
    }
    REQUIRE(waitpid(child, NULL, 0) == child);
    EXPECT_OURS(&bench.scratch, "spool/\n");
    REQUIRE_OK(spool_open(bench.scratch.fd, PLENTY, &bench.spool, &err), &err);
    EXPECT_INT(spool_tail(bench.spool), 0);
}

TEST(a_rewind_takes_back_the_last_appends)
{
    CLEANUP(tear_down) struct bench bench = {0};
    uint64_t before;
    struct err err;

    set_up(&bench, PLENTY);
    REQUIRE_OK(append(bench.spool, 3000, &err), &err);
    before = spool_tail(bench.spool);
    REQUIRE_OK(spool_append(bench.spool, "half a commit", 13, &err), &err);
    spool_rewind(bench.spool, before);
    EXPECT_INT(spool_tail(bench.spool), 3000);
    REQUIRE_OK(append(bench.spool, 100, &err), &err);
    EXPECT(holds(bench.spool));
    spool_release(bench.spool, 3100);
    REQUIRE_OK(append(bench.spool, 200, &err), &err);
    spool_rewind(bench.spool, 3100); /* empty again */
    EXPECT_INT(space_used(), 0);
    REQUIRE_OK(append(bench.spool, 200, &err), &err);
    EXPECT(holds(bench.spool));
}

TEST(what_is_released_gives_its_space_back)
{
    CLEANUP(tear_down) struct bench bench = {0};
    struct err err;

    set_up(&bench, PLENTY);
    for (int at = 0; at < 16; at++)
        REQUIRE_OK(append(bench.spool, MIB / 2, &err), &err);
    EXPECT(space_used() >= 8 * MIB);
    spool_release(bench.spool, 6 * MIB + 5);
    EXPECT(punches > 0 && space_used() <= 2 * MIB + 64 * 1024);
    EXPECT(holds(bench.spool));
    spool_release(bench.spool, spool_tail(bench.spool));
    EXPECT_INT(space_used(), 0);
    REQUIRE_OK(append(bench.spool, 1234, &err), &err);
    EXPECT(holds(bench.spool));
    EXPECT_INT(spool_head(bench.spool), 8 * MIB);
}

TEST(without_holes_the_space_comes_back_when_it_is_empty)
{
    CLEANUP(tear_down) struct bench bench = {0};
    struct err err;

    refuses_holes = true;
    set_up(&bench, 4 * MIB);
    for (int at = 0; at < 4; at++)
        REQUIRE_OK(append(bench.spool, MIB, &err), &err);
    spool_release(bench.spool, 2 * MIB);
    spool_release(bench.spool, 3 * MIB);
    EXPECT_INT(punches, 1); /* refused once is refused for ever */
    EXPECT(!append(bench.spool, 1, &err));
    EXPECT_INT(err.code, ERR_TRANSIENT);
    EXPECT(holds(bench.spool));
    spool_release(bench.spool, 4 * MIB);
    EXPECT_INT(space_used(), 0);
    for (int at = 0; at < 4; at++)
        REQUIRE_OK(append(bench.spool, MIB, &err), &err);
    EXPECT(holds(bench.spool));
}

TEST(it_never_holds_more_than_its_limit)
{
    CLEANUP(tear_down) struct bench bench = {0};
    struct err err;

    set_up(&bench, 10000);
    REQUIRE_OK(append(bench.spool, 6000, &err), &err);
    EXPECT(!append(bench.spool, 4001, &err));
    EXPECT_INT(err.code, ERR_TRANSIENT);
    EXPECT_INT(spool_tail(bench.spool), 6000);
    REQUIRE_OK(append(bench.spool, 4000, &err), &err);
    EXPECT(!append(bench.spool, 1, &err) && strstr(err.text, "10000"));
    EXPECT(holds(bench.spool));
    spool_release(bench.spool, 10000);
    EXPECT(!append(bench.spool, 10001, &err));
    EXPECT_OK(append(bench.spool, 10000, &err), &err);
}

TEST(nine_tenths_of_the_free_space_stay_free)
{
    CLEANUP(tear_down) struct bench bench = {0};
    struct err err;

    set_up(&bench, PLENTY);
    pretended_free = 100000;
    REQUIRE_OK(append(bench.spool, 10000, &err), &err);
    pretended_free = 90000; /* what we took is ours */
    EXPECT(!append(bench.spool, 1, &err));
    EXPECT_INT(err.code, ERR_TRANSIENT);
    pretended_free = 200000;
    EXPECT_OK(append(bench.spool, 11000, &err), &err);
    EXPECT(holds(bench.spool));
}

/* A tmpfs of one MiB in a mount namespace of this test's own; false if that isn't allowed. */
static bool enter_small_disk(const struct scratch *scratch)
{
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("none", scratch->path, "tmpfs", 0, "size=1m") == 0)
        return true;
    printf("# not allowed to mount here: %s\n", strerror(errno));
    return false;
}

TEST(a_full_disk_is_no_loss)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(spool_freep) struct spool *spool = NULL;
    CLEANUP(close_fdp) int fd = -1;
    struct err err;

    pretended_free = (uint64_t)100 * PLENTY; /* another has written since it was asked */
    scratch_open(&scratch);
    if (!enter_small_disk(&scratch))
        return;
    fd = open(scratch.path, O_RDONLY | O_DIRECTORY);
    REQUIRE_OK(spool_open(fd, PLENTY, &spool, &err), &err);
    REQUIRE_OK(append(spool, 700 * 1024, &err), &err);
    EXPECT(!append(spool, 700 * 1024, &err));
    EXPECT_INT(err.code, ERR_TRANSIENT);
    EXPECT_INT(err.number, ENOSPC);
    EXPECT_INT(spool_tail(spool), 700 * 1024);
    EXPECT(space_used() <= 704 * 1024); /* what was half written is given back */
    EXPECT(holds(spool));
    spool_release(spool, spool_tail(spool));
    EXPECT_OK(append(spool, 700 * 1024, &err), &err);
    EXPECT(holds(spool));
    pretended_free = 0; /* asked, it says so before it is full */
    spool_release(spool, spool_tail(spool));
    EXPECT_OK(append(spool, 64 * 1024, &err), &err);
    EXPECT(!append(spool, 64 * 1024, &err) && err.code == ERR_TRANSIENT && err.number == 0);
    spool_free(MOVE(spool));
    (void)close(MOVE_FD(fd));
    EXPECT(umount(scratch.path) == 0);
}

TEST(what_the_disk_has_lost_is_an_error)
{
    CLEANUP(tear_down) struct bench bench = {0};
    uint8_t bytes[100];
    struct err err;

    set_up(&bench, PLENTY);
    REQUIRE_OK(append(bench.spool, 100, &err), &err);
    REQUIRE(ftruncate(file_of_queue(), 50) == 0);
    EXPECT(!spool_read(bench.spool, 0, bytes, 100, &err));
    EXPECT(strstr(err.text, "spool") != NULL);
}

/* Any order of the four verbs, against a model that only counts. */
static void run_randomly(unsigned seed)
{
    CLEANUP(tear_down) struct bench bench = {0};
    uint64_t head = 0, tail = 0;
    struct err err;

    srand(seed);
    refuses_holes = seed % 4 == 0;
    set_up(&bench, 8 * MIB);
    for (int step = 0; step < 200; step++) {
        size_t size = (size_t)rand() % (rand() % 4 == 0 ? 2 * MIB : 5000);
        uint64_t held = tail - head;
        int what = rand() % 8;
        if (what == 0)
            spool_rewind(bench.spool, tail -= (uint64_t)rand() % (held + 1) % 10000);
        else if (what <= 2)
            spool_release(bench.spool, head += rand() % 3 == 0 ? held : (uint64_t)rand() % (held + 1));
        else if (append(bench.spool, size, &err))
            tail += size;
        else
            EXPECT_INT(err.code, ERR_TRANSIENT);
        REQUIRE(spool_head(bench.spool) == head && spool_tail(bench.spool) == tail);
        REQUIRE(tail - head <= 8 * MIB && space_used() <= 8 * MIB + 128 * 1024);
        REQUIRE(holds(bench.spool));
    }
}

TEST(any_order_of_calls_keeps_what_is_held)
{
    for (unsigned seed = 1; seed <= 12 && tap_failures == 0; seed++)
        run_randomly(seed);
}

TAP_MAIN()
