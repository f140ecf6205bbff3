/* A restore that is killed at any instant and repeated gives the right tree, and nothing local is ever lost.
 *
 * Every call that changes a name or a file's metadata goes through the functions below, which stand before
 * those of libc. A child is killed by SIGKILL at its n-th step, for every n; then at another step of the
 * repetition; then the restore runs to its end. After each death every local file is either where it was or
 * in the folder of the restore. */
#include "base/fs.h"
#include "tests/double/placing.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static long steps, kill_at;

static void step(void)
{
    if (++steps == kill_at)
        (void)raise(SIGKILL);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    step();
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int mkdirat(int directory_fd, const char *path, mode_t mode)
{
    step();
    return (int)syscall(SYS_mkdirat, directory_fd, path, mode);
}

int unlinkat(int directory_fd, const char *path, int flags)
{
    step();
    return (int)syscall(SYS_unlinkat, directory_fd, path, flags);
}

int symlinkat(const char *target, int directory_fd, const char *path)
{
    step();
    return (int)syscall(SYS_symlinkat, target, directory_fd, path);
}

int ftruncate(int fd, off_t size)
{
    step();
    return (int)syscall(SYS_ftruncate, fd, size);
}

int fchmod(int fd, mode_t mode)
{
    step();
    return (int)syscall(SYS_fchmod, fd, mode);
}

static const struct placed new_state[] = {
    {"app.db", "new database", 'b', 0640, 1},   {"files", NULL, 'd', 0750, 2},
    {"files/a", "new a", 'f', 0644, 3},         {"files/kept", "same", 'k', 0644, 4},
    {"files/link", "a", 'l', 0777, 5},          {"shape", NULL, 'd', 0755, 6},
    {"shape/below", "new below", 'f', 0644, 7}, {"turned", "now a file", 'f', 0644, 8},
};

static const char new_listing[] =
    "app.db = new database\nfiles/\nlost+found/\nmixed/\nshape/\nturned = now a file\n"
    "shape/below = new below\nmixed/tmp/\nmixed/tmp/x = excluded\n"
    "lost+found/1 = theirs\nfiles/a = new a\nfiles/kept = same\nfiles/link -> a\n";

/* What is local: path and content, a directory where the content is NULL. */
static const struct {
    const char *path, *content;
} local[] = {
    {"app.db", "old database"}, {"app.db-wal", "old frames"}, {"app.db-shm", "old index"},
    {"files/a", "old a"},       {"files/gone/deep", "old"},   {"mixed/x", "old x"},
    {"shape", "a file once"},   {"turned/x", "old"},          {"turned/y/z", "old"},
    {"vacant/below", NULL},
};

static void make_local(int fd)
{
    for (size_t at = 0; at < COUNT(local); at++) {
        if (local[at].content)
            scratch_write(fd, local[at].path, local[at].content);
        else
            scratch_mkdir(fd, local[at].path);
    }
    scratch_write(fd, "files/kept", "same");
    scratch_write(fd, "mixed/tmp/x", "excluded");
    scratch_write(fd, "lost+found/1", "theirs");
    scratch_write(fd, ".holdfast/state", "ours");
}

static bool holds(int fd, const char *folder, const char *path, const char *content)
{
    CLEANUP(freep) char *whole = xasprintf("%s%s", folder, path);
    CLEANUP(freep) char *found = NULL;

    if (!content)
        return scratch_exists(fd, whole);
    found = scratch_read(fd, whole);
    return found && strcmp(found, content) == 0;
}

static bool nothing_is_lost(int fd)
{
    for (size_t at = 0; at < COUNT(local); at++) {
        if (holds(fd, "", local[at].path, local[at].content) ||
            holds(fd, ".holdfast/aside/2026.unfinished/", local[at].path, local[at].content) ||
            holds(fd, ".holdfast/aside/2026/", local[at].path, local[at].content) ||
            holds(fd, ".holdfast/aside/2026-2/", local[at].path, local[at].content))
            continue;
        printf("# %s is lost\n", local[at].path);
        return false;
    }
    return true;
}

/* The keeping is decided anew by each attempt: what is right already stays. */
static bool restore(int fd, const char *aside, struct err *err)
{
    size_t set_aside;

    return placing_restore(fd, aside, "tmp", new_state, COUNT(new_state), &set_aside, err);
}

/* Runs a restore in a child that dies at this step; true if it died, false if it came to its end. */
static bool dies_at(int fd, const char *aside, long at)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        struct err err;
        kill_at = at;
        steps = 0;
        placing_on_sync = step;
        _exit(restore(fd, aside, &err) ? 0 : 1);
    }
    if (waitpid(child, &status, 0) != child || (WIFEXITED(status) && WEXITSTATUS(status) != 0))
        abort();
    return WIFSIGNALED(status);
}

static bool survives(long first, long second)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(1 << 20);
    struct err err;
    bool held;

    scratch_open(&scratch);
    make_local(scratch.fd);
    (void)dies_at(scratch.fd, "2026", first);
    held = EXPECT(nothing_is_lost(scratch.fd));
    if (second > 0)
        (void)dies_at(scratch.fd, "2026", second);
    held = EXPECT(nothing_is_lost(scratch.fd)) && held;
    held = EXPECT(restore(scratch.fd, "2026", &err)) && held;
    held = EXPECT(nothing_is_lost(scratch.fd)) && held;
    placing_list(scratch.fd, &text);
    held = EXPECT(strcmp(buf_text(&text), new_listing) == 0) && held;
    held = EXPECT(!scratch_exists(scratch.fd, ".holdfast/staging")) && held;
    held = EXPECT(!scratch_exists(scratch.fd, ".holdfast/aside/2026.unfinished")) && held;
    held = EXPECT(scratch_exists(scratch.fd, ".holdfast/state")) && held;
    if (!held)
        printf("#   killed at steps %ld and %ld\n# %s", first, second, buf_text(&text));
    return held;
}

static long count_steps(const char *aside)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    struct err err;

    scratch_open(&scratch);
    make_local(scratch.fd);
    steps = 0;
    placing_on_sync = step;
    if (!restore(scratch.fd, aside, &err))
        abort();
    return steps;
}

TEST(a_restore_killed_at_any_step_and_repeated_gives_the_right_tree)
{
    long total = count_steps("2026");

    printf("# %ld steps\n", total);
    REQUIRE(total > 60);
    for (long at = 1; at <= total; at++)
        REQUIRE(survives(at, 0));
}

TEST(a_restore_killed_twice_loses_nothing)
{
    long total = count_steps("2026");

    for (long at = 1; at <= total; at += 1)
        for (long second = 1 + at % 7; second <= total; second += 7)
            REQUIRE(survives(at, second));
}

TEST(a_restore_in_place_killed_at_any_step_and_repeated_gives_the_right_tree)
{
    static const struct placed state[] = {
        {"app.db", "new database", 'b', 0640, 1},
        {"files", NULL, 'd', 0750, 2},
        {"files/a", "new a", 'f', 0644, 3},
        {"files/link", "a", 'l', 0777, 5},
    };
    size_t set_aside;
    struct err err;
    bool died = true;

    for (long at = 1; died; at++) {
        CLEANUP(scratch_closep) struct scratch scratch;
        CLEANUP(buf_clearp) struct buf text = BUF_INIT(1 << 20);
        int status = -1;
        pid_t child;
        scratch_open(&scratch);
        scratch_write(scratch.fd, "tmp/x", "excluded");
        child = fork();
        if (child == 0) {
            kill_at = at;
            steps = 0;
            placing_on_sync = step;
            _exit(placing_restore(scratch.fd, NULL, "tmp", state, COUNT(state), &set_aside, &err) ? 0 : 1);
        }
        REQUIRE(waitpid(child, &status, 0) == child);
        died = WIFSIGNALED(status);
        REQUIRE_OK(placing_restore(scratch.fd, NULL, "tmp", state, COUNT(state), &set_aside, &err), &err);
        placing_list(scratch.fd, &text);
        EXPECT_STR(buf_text(&text),
                   "app.db = new database\nfiles/\ntmp/\ntmp/x = excluded\nfiles/a = new a\n"
                   "files/link -> a\n");
        EXPECT_INT(scratch_stat(scratch.fd, "files").st_mode & 07777, 0750);
        REQUIRE(at < 1000);
    }
}

TAP_MAIN()
