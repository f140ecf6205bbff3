#include "base/fs.h"

#include "base/cleanup.h"
#include "base/thread.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define SCRATCH(name)                            \
    CLEANUP(scratch_closep) struct scratch name; \
    scratch_open(&name)

/* Whether the file holds exactly this text. */
static bool holds(int directory_fd, const char *path, const char *wanted)
{
    CLEANUP(freep) char *text = scratch_read(directory_fd, path);

    return text && strcmp(text, wanted) == 0;
}

static int open_new(const struct scratch *scratch, const char *name)
{
    return openat(scratch->fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

TEST(bytes_land_at_their_offset_and_are_read_from_there)
{
    SCRATCH(scratch);
    CLEANUP(close_fdp) int fd = open_new(&scratch, "a");
    struct err err = {0};
    char text[6] = "";

    EXPECT_OK(fs_write_at(fd, "world", 5, 5, &err), &err);
    EXPECT_OK(fs_write_at(fd, "hello", 5, 0, &err), &err);
    EXPECT_OK(fs_read_at(fd, text, 5, 3, &err), &err);
    EXPECT_STR(text, "lowor");
    EXPECT_OK(fs_read_at(fd, text, 0, 1000, &err), &err);
    EXPECT(holds(scratch.fd, "a", "helloworld"));
}

TEST(a_file_that_ends_too_early_is_corrupt)
{
    SCRATCH(scratch);
    CLEANUP(close_fdp) int fd = open_new(&scratch, "a");
    struct err err = {0};
    char text[16];

    EXPECT_OK(fs_write_all(fd, "hello", 5, &err), &err);
    EXPECT(!fs_read_at(fd, text, 6, 0, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, "1 bytes too early"));
}

TEST(a_descriptor_that_cannot_be_used_is_an_error)
{
    struct err err = {0};
    char text[1];
    uint64_t free_bytes = 0;

    EXPECT(!fs_write_at(-1, "x", 1, 0, &err));
    EXPECT(!fs_write_all(-1, "x", 1, &err));
    EXPECT(!fs_read_at(-1, text, 1, 0, &err));
    EXPECT(!fs_free_bytes(-1, &free_bytes, &err));
    EXPECT_INT(err.code, ERR_SYSTEM);
}

struct drain {
    int fd;
    size_t size;
    bool in_order;
};

static void *drain_pipe(void *context)
{
    struct drain *drain = context;
    uint8_t piece[1000];
    ssize_t got;

    drain->in_order = true;
    while ((got = read(drain->fd, piece, sizeof(piece))) > 0)
        for (ssize_t at = 0; at < got; at++, drain->size++)
            drain->in_order = drain->in_order && piece[at] == (uint8_t)(drain->size % 251);
    return NULL;
}

TEST(what_is_larger_than_a_pipe_is_still_written_whole)
{
    static uint8_t bytes[1000000];
    int ends[2];
    struct drain drain = {0};
    pthread_t reader;
    struct err err = {0};

    for (size_t at = 0; at < sizeof(bytes); at++)
        bytes[at] = (uint8_t)(at % 251);
    REQUIRE(pipe(ends) == 0);
    drain.fd = ends[0];
    REQUIRE_OK(thread_start(&reader, "drain", drain_pipe, &drain, &err), &err);
    EXPECT_OK(fs_write_all(ends[1], bytes, sizeof(bytes), &err), &err);
    (void)close(ends[1]);
    pthread_join(reader, NULL);
    EXPECT_INT(drain.size, sizeof(bytes));
    EXPECT(drain.in_order);
    (void)close(ends[0]);
}

TEST(a_file_is_read_whole_behind_what_the_buffer_holds)
{
    SCRATCH(scratch);
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(200000);
    struct err err = {0};

    buf_add_text(&contents, "before ");
    for (int line = 0; line < 10000; line++)
        buf_add_text(&contents, "0123456789");
    scratch_write(scratch.fd, "big", buf_text(&contents));
    buf_reset(&contents);
    buf_add_text(&contents, "x");
    EXPECT_OK(fs_read_file(scratch.fd, "big", &contents, &err), &err);
    EXPECT_INT(contents.size, 1 + 7 + 100000);
    EXPECT(memcmp(contents.bytes, "xbefore 0123", 12) == 0);
}

TEST(a_file_above_the_ceiling_is_refused)
{
    SCRATCH(scratch);
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(4);
    struct err err = {0};

    scratch_write(scratch.fd, "four", "1234");
    scratch_write(scratch.fd, "five", "12345");
    EXPECT_OK(fs_read_file(scratch.fd, "four", &contents, &err), &err);
    buf_reset(&contents);
    EXPECT(!fs_read_file(scratch.fd, "five", &contents, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, "five"));
}

TEST(an_absent_file_is_told_from_a_fault)
{
    SCRATCH(scratch);
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(4);
    struct err err = {0};

    EXPECT(!fs_read_file(scratch.fd, "none", &contents, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT(!fs_read_file(scratch.fd, ".", &contents, &err));
    EXPECT_INT(err.code, ERR_SYSTEM);
}

TEST(a_file_is_replaced_and_nothing_else_stays)
{
    SCRATCH(scratch);
    struct stat info;
    struct err err = {0};

    (void)umask(022);
    EXPECT_OK(fs_replace_file(scratch.fd, "state", "one", 3, 0600, &err), &err);
    EXPECT(holds(scratch.fd, "state", "one"));
    EXPECT_OK(fs_replace_file(scratch.fd, "state", "second", 6, 0640, &err), &err);
    EXPECT(holds(scratch.fd, "state", "second"));
    REQUIRE(fstatat(scratch.fd, "state", &info, 0) == 0);
    EXPECT_INT(info.st_mode & 07777, 0640);
    EXPECT(!scratch_exists(scratch.fd, "state.new"));
}

TEST(a_file_in_a_folder_is_replaced_too)
{
    SCRATCH(scratch);
    CLEANUP(freep) char *absolute = xasprintf("%s/folder/b", scratch.path);
    struct err err = {0};

    REQUIRE(mkdirat(scratch.fd, "folder", 0755) == 0);
    EXPECT_OK(fs_replace_file(scratch.fd, "folder/a", "x", 1, 0600, &err), &err);
    EXPECT(holds(scratch.fd, "folder/a", "x"));
    EXPECT_OK(fs_replace_file(AT_FDCWD, absolute, "y", 1, 0600, &err), &err);
    EXPECT(holds(scratch.fd, "folder/b", "y"));
}

TEST(a_replacement_that_fails_leaves_the_old_and_no_temporary)
{
    SCRATCH(scratch);
    struct err err = {0};

    REQUIRE(mkdirat(scratch.fd, "folder", 0755) == 0);
    scratch_write(scratch.fd, "folder/kept", "kept");
    EXPECT(!fs_replace_file(scratch.fd, "folder", "x", 1, 0600, &err));
    EXPECT(holds(scratch.fd, "folder/kept", "kept"));
    EXPECT(!scratch_exists(scratch.fd, "folder.new"));
    EXPECT(!fs_replace_file(scratch.fd, "none/a", "x", 1, 0600, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
}

TEST(running_out_of_room_leaves_the_old_file_and_no_temporary)
{
    static const char bytes[100000];
    const struct rlimit small = {.rlim_cur = 4096, .rlim_max = 4096};
    SCRATCH(scratch);
    struct err err = {0};

    scratch_write(scratch.fd, "state", "old");
    REQUIRE(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &small) == 0);
    EXPECT(!fs_replace_file(scratch.fd, "state", bytes, sizeof(bytes), 0600, &err));
    EXPECT_INT(err.code, ERR_SYSTEM);
    EXPECT(strstr(err.text, "state.new: write"));
    EXPECT(holds(scratch.fd, "state", "old"));
    EXPECT(!scratch_exists(scratch.fd, "state.new"));
}

TEST(replacing_never_writes_through_a_link)
{
    SCRATCH(scratch);
    struct err err = {0};

    scratch_write(scratch.fd, "target", "untouched");
    REQUIRE(symlinkat("target", scratch.fd, "link") == 0);
    REQUIRE(symlinkat("target", scratch.fd, "link.new") == 0);
    EXPECT_OK(fs_replace_file(scratch.fd, "link", "new", 3, 0600, &err), &err);
    EXPECT(holds(scratch.fd, "target", "untouched"));
    EXPECT(holds(scratch.fd, "link", "new"));
}

static void expect_outside(const struct scratch *scratch, const char *path, int flags)
{
    struct err err = {0};
    int fd = -7;

    if (!EXPECT(!fs_open_beneath(scratch->fd, path, flags, 0600, &fd, &err)))
        printf("#   %s was opened\n", path);
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_INT(fd, -7);
}

TEST(names_that_lead_out_of_the_directory_are_refused)
{
    SCRATCH(scratch);

    REQUIRE(mkdirat(scratch.fd, "in", 0755) == 0);
    scratch_write(scratch.fd, "in/file", "x");
    REQUIRE(symlinkat("/etc/passwd", scratch.fd, "out") == 0);
    REQUIRE(symlinkat("/etc", scratch.fd, "etc") == 0);
    REQUIRE(symlinkat("in", scratch.fd, "inside") == 0);
    expect_outside(&scratch, "..", O_RDONLY);
    expect_outside(&scratch, "../x", O_WRONLY | O_CREAT);
    expect_outside(&scratch, "in/../../x", O_WRONLY | O_CREAT);
    expect_outside(&scratch, "/etc/passwd", O_RDONLY);
    expect_outside(&scratch, "out", O_RDONLY);
    expect_outside(&scratch, "out", O_WRONLY | O_CREAT);
    expect_outside(&scratch, "etc/passwd", O_RDONLY);
    expect_outside(&scratch, "inside/file", O_RDONLY);
}

TEST(names_beneath_the_directory_are_opened)
{
    SCRATCH(scratch);
    CLEANUP(close_fdp) int made = -1;
    CLEANUP(close_fdp) int read_back = -1;
    struct err err = {0};

    REQUIRE(mkdirat(scratch.fd, "in", 0755) == 0);
    REQUIRE_OK(fs_open_beneath(scratch.fd, "in/new", O_WRONLY | O_CREAT | O_EXCL, 0600, &made, &err), &err);
    EXPECT(fcntl(made, F_GETFD) & FD_CLOEXEC);
    EXPECT_OK(fs_write_all(made, "x", 1, &err), &err);
    EXPECT_OK(fs_open_beneath(scratch.fd, "in/./../in/new", O_RDONLY, 0, &read_back, &err), &err);
    EXPECT(!fs_open_beneath(scratch.fd, "in/none", O_RDONLY, 0, &read_back, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
}

TEST(directories_are_made_all_the_way_down_and_again)
{
    SCRATCH(scratch);
    struct err err = {0};

    EXPECT_OK(fs_make_directories(scratch.fd, "a/b//c/", 0755, &err), &err);
    EXPECT_OK(fs_make_directories(scratch.fd, "a/b/c/d", 0755, &err), &err);
    EXPECT_OK(fs_make_directories(scratch.fd, "a", 0755, &err), &err);
    EXPECT(scratch_exists(scratch.fd, "a/b/c/d"));
}

TEST(making_directories_stays_beneath_and_follows_nothing)
{
    SCRATCH(scratch);
    SCRATCH(outside);
    CLEANUP(freep) char *absolute = xasprintf("%s/new", outside.path);
    struct err err = {0};

    REQUIRE(symlinkat(outside.path, scratch.fd, "link") == 0);
    scratch_write(scratch.fd, "file", "x");
    EXPECT(!fs_make_directories(scratch.fd, "link/new", 0755, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(!fs_make_directories(scratch.fd, "../new", 0755, &err));
    EXPECT(!fs_make_directories(scratch.fd, "file/new", 0755, &err));
    EXPECT_OK(fs_make_directories(scratch.fd, absolute, 0755, &err), &err);
    EXPECT(!scratch_exists(outside.fd, "new"));
}

TEST(a_parent_is_opened_and_the_last_name_told)
{
    SCRATCH(scratch);
    CLEANUP(close_fdp) int parent = -1;
    CLEANUP(close_fdp) int itself = -1;
    const char *name = NULL;
    struct err err = {0};

    REQUIRE_OK(fs_make_directories(scratch.fd, "a/b", 0755, &err), &err);
    REQUIRE_OK(fs_open_parent(scratch.fd, "a/b/c", &parent, &name, &err), &err);
    EXPECT_STR(name, "c");
    EXPECT(openat(parent, "c", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0);
    EXPECT(scratch_exists(scratch.fd, "a/b/c"));
    REQUIRE_OK(fs_open_parent(scratch.fd, "top", &itself, &name, &err), &err);
    EXPECT_STR(name, "top");
    EXPECT_INT(faccessat(itself, "a", F_OK, 0), 0);
}

TEST(a_parent_behind_a_link_or_outside_is_refused)
{
    SCRATCH(scratch);
    int fd = -7;
    const char *name = NULL;
    struct err err = {0};

    REQUIRE(symlinkat("/etc", scratch.fd, "link") == 0);
    EXPECT(!fs_open_parent(scratch.fd, "link/passwd", &fd, &name, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(!fs_open_parent(scratch.fd, "../x", &fd, &name, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(!fs_open_parent(scratch.fd, "none/x", &fd, &name, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT_INT(fd, -7);
    EXPECT(!name);
}

TEST(a_tree_is_removed_whole_and_links_are_not_followed)
{
    SCRATCH(scratch);
    SCRATCH(outside);
    struct err err = {0};

    scratch_write(outside.fd, "kept", "kept");
    REQUIRE_OK(fs_make_directories(scratch.fd, "tree/a/b", 0755, &err), &err);
    for (int file = 0; file < 300; file++) {
        CLEANUP(freep) char *name = xasprintf("tree/a/file-%d", file);
        scratch_write(scratch.fd, name, "x");
    }
    REQUIRE(symlinkat(outside.path, scratch.fd, "tree/a/b/link") == 0);
    REQUIRE(symlinkat("nowhere", scratch.fd, "tree/dangling") == 0);
    EXPECT_OK(fs_remove_tree(scratch.fd, "tree", &err), &err);
    EXPECT(!scratch_exists(scratch.fd, "tree"));
    EXPECT(holds(outside.fd, "kept", "kept"));
}

TEST(removing_a_file_a_link_or_nothing_succeeds)
{
    SCRATCH(scratch);
    SCRATCH(outside);
    struct err err = {0};

    scratch_write(outside.fd, "kept", "kept");
    scratch_write(scratch.fd, "file", "x");
    REQUIRE(symlinkat(outside.path, scratch.fd, "link") == 0);
    EXPECT_OK(fs_remove_tree(scratch.fd, "file", &err), &err);
    EXPECT_OK(fs_remove_tree(scratch.fd, "link", &err), &err);
    EXPECT_OK(fs_remove_tree(scratch.fd, "nothing", &err), &err);
    EXPECT(!scratch_exists(scratch.fd, "file") && !scratch_exists(scratch.fd, "link"));
    EXPECT(holds(outside.fd, "kept", "kept"));
}

TEST(directories_are_synced_and_measured)
{
    SCRATCH(scratch);
    CLEANUP(close_fdp) int fd = -1;
    uint64_t free_bytes = 0;
    struct err err = {0};

    EXPECT_OK(fs_sync_directory(scratch.fd, ".", &err), &err);
    EXPECT(!fs_sync_directory(scratch.fd, "none", &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT_OK(fs_open_directory(scratch.fd, ".", &fd, &err), &err);
    EXPECT_OK(fs_free_bytes(fd, &free_bytes, &err), &err);
    EXPECT(free_bytes > 0);
    scratch_write(scratch.fd, "file", "x");
    EXPECT(!fs_open_directory(scratch.fd, "file", &fd, &err));
}

TAP_MAIN()
