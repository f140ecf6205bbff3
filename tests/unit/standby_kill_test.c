/* A follower that is killed at any instant leaves a copy that the next one heals: it holds what was there
 * before the record, or what was there after it, and nothing in between.
 *
 * Every call that changes a file or a name goes through the functions below, which stand before those of
 * libc. A child is killed by SIGKILL at its n-th step, for every n, and often the one that heals is killed
 * too. */
#include "tests/double/following.h"
#include "tests/double/no_sync.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static _Atomic long steps;
static long kill_at;

static bool is_last_step(void)
{
    return atomic_fetch_add(&steps, 1) + 1 == kill_at;
}

static void step(void)
{
    if (is_last_step())
        (void)raise(SIGKILL);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    step();
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
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

int ftruncate(int fd, off_t size)
{
    step();
    return (int)syscall(SYS_ftruncate, fd, size);
}

int futimens(int fd, const struct timespec times[2])
{
    step();
    return (int)syscall(SYS_utimensat, fd, NULL, times, 0);
}

/* A kill may leave half of it. */
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (is_last_step()) {
        (void)syscall(SYS_pwrite64, fd, bytes, size / 2, offset);
        (void)raise(SIGKILL);
    }
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

/* A follower in a process of its own, killed at that step. *ret_killed false: it came to its end before. */
static bool follow_until(struct following *following, long at, bool *ret_killed)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        atomic_store(&steps, 0);
        kill_at = at;
        _exit(following_start(following) && following_advance(following) ? 0 : 1);
    }
    *ret_killed = child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status);
    return *ret_killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The next follower finds one record, whole. *ret_position is which. */
static bool heals(struct following *following, struct story *story, uint64_t *ret_position)
{
    bool right = following_start(following);

    if (!right) {
        printf("#   %s\n", following->err.text);
        return false;
    }
    *ret_position = standby_point_of(following->standby).record;
    right = *ret_position == 0 || story_matches(story, *ret_position, following->copy.fd);
    following_stop(following);
    return right;
}

/* What the owner does next: mostly a record, now and then a base that begins anew. */
static void append(struct story *story, int number)
{
    if (number % 6 == 5)
        story_cut(story, history_head(&story->history) - (uint64_t)(number % 4 == 1), 0, true);
    else
        story_step(story);
}

static void be_killed(uint64_t seed, bool twice)
{
    struct story story;
    struct following following;
    uint64_t position = 0;
    int survived = 0, appended = 0;

    story_begin(&story, seed);
    following_begin(&following, story.history.mem);
    REQUIRE(following_matches(&following, &story));
    following_stop(&following);
    for (long at = 1; survived < 3; at++) {
        bool killed = false, again = false;
        REQUIRE(follow_until(&following, at, &killed));
        if (twice)
            REQUIRE(follow_until(&following, at * 7 % 23 + 1, &again));
        REQUIRE(heals(&following, &story, &position));
        survived += !killed;
        if (position == history_head(&story.history))
            append(&story, appended++);
    }
    EXPECT(appended > 5);
    REQUIRE_OK(following_start(&following), &following.err);
    EXPECT(following_matches(&following, &story));
    following_end(&following);
    story_end(&story);
}

TEST(a_follower_that_is_killed_leaves_one_record_whole)
{
    be_killed(500, false);
}

TEST(a_follower_that_is_killed_while_it_heals_leaves_one_record_whole)
{
    be_killed(510, true);
}

TAP_MAIN()
