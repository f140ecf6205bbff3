#include "tests/double/upheaval.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 128 };

static const char *const some_names[] = {"a",         "b",   "x",  "x-wal", "x-journal",
                                         "x-wal-shm", "x.1", "x0", "tmp",   "\xff\n"};
enum { SOME_NAMES = sizeof(some_names) / sizeof(some_names[0]) };

/* xorshift: the same sequence for the same seed. */
static unsigned roll(struct upheaval *upheaval, unsigned sides)
{
    upheaval->random ^= upheaval->random << 13;
    upheaval->random ^= upheaval->random >> 7;
    upheaval->random ^= upheaval->random << 17;
    return (unsigned)(upheaval->random >> 20) % sides;
}

static const char *some_path(struct upheaval *upheaval, char path[PATH_ROOM])
{
    unsigned depth = 1 + roll(upheaval, 3);

    path[0] = '\0';
    for (unsigned at = 0; at < depth; at++) {
        size_t used = strlen(path);
        (void)snprintf(path + used, PATH_ROOM - used, "%s%s", at > 0 ? "/" : "",
                       some_names[roll(upheaval, SOME_NAMES)]);
    }
    return path;
}

/* Many are impossible where they are tried. */
static void attempt(int answer)
{
    (void)answer;
}

static void write_some(struct upheaval *upheaval, const char *path, int flags)
{
    static const char magic[] = "SQLite format 3";
    static const unsigned sizes[] = {0, 1, 100, 512, 512, 1024, 4096};
    CLEANUP(close_fdp)
    int fd = openat(upheaval->disk, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0640);
    char bytes[4096] = {0};
    unsigned size = sizes[roll(upheaval, 7)];

    if (fd < 0)
        return; /* a directory, or below nothing */
    if (!upheaval->links && roll(upheaval, 2) == 0)
        memcpy(bytes, magic, sizeof(magic));
    else
        memset(bytes, 'a' + (int)roll(upheaval, 4), sizeof(bytes));
    attempt((int)write(fd, bytes, size));
    if (roll(upheaval, 5) == 0)
        attempt(ftruncate(fd, roll(upheaval, 2000)));
}

static void remove_some(int top, const char *path)
{
    struct err err;

    if (!fs_remove_tree(top, path, &err))
        return; /* below nothing, or another was there first */
}

static void change_mode(struct upheaval *upheaval, const char *path)
{
    struct stat status;

    if (fstatat(upheaval->disk, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(status.st_mode))
        attempt(fchmodat(upheaval->disk, path, 0700 | roll(upheaval, 8) << 3, 0));
}

static void change_time(struct upheaval *upheaval, const char *path)
{
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = roll(upheaval, 1000)}};

    attempt(utimensat(upheaval->disk, path, times, AT_SYMLINK_NOFOLLOW));
}

static void replace(struct upheaval *upheaval, const char *path)
{
    write_some(upheaval, "a.new", O_CREAT | O_TRUNC);
    attempt(renameat(upheaval->disk, "a.new", upheaval->disk, path));
}

/* Out of the tree, or back, perhaps elsewhere. What lies out there stays as it is: it may be another name of
 * a file in the tree, of which nobody would tell. */
static void move_over(struct upheaval *upheaval, const char *path)
{
    const char *name = roll(upheaval, 2) ? "one" : "other";

    if (roll(upheaval, 2))
        attempt(renameat2(upheaval->disk, path, upheaval->outside, name, RENAME_NOREPLACE));
    else
        attempt(renameat(upheaval->outside, name, upheaval->disk, path));
}

static void move_about(struct upheaval *upheaval, const char *path, const char *other)
{
    switch (roll(upheaval, 8)) {
    case 0:
        attempt(renameat2(upheaval->disk, path, upheaval->disk, other, RENAME_EXCHANGE));
        break;
    case 1:
        if (upheaval->links)
            attempt(linkat(upheaval->disk, path, upheaval->disk, other, 0));
        break;
    case 2:
        replace(upheaval, path);
        break;
    case 3:
        move_over(upheaval, path);
        break;
    default:
        attempt(renameat(upheaval->disk, path, upheaval->disk, other));
    }
}

static void do_something(struct upheaval *upheaval)
{
    char path[PATH_ROOM], other[PATH_ROOM];

    (void)some_path(upheaval, path);
    (void)some_path(upheaval, other);
    switch (roll(upheaval, 12)) {
    case 0:
    case 1:
    case 2:
        attempt(mkdirat(upheaval->disk, path, 0750));
        break;
    case 3:
    case 4:
        write_some(upheaval, path, O_CREAT | O_TRUNC);
        break;
    case 5:
        write_some(upheaval, path, roll(upheaval, 2) ? O_CREAT | O_APPEND : 0);
        break;
    case 6:
        remove_some(upheaval->disk, path);
        break;
    case 7:
        attempt(unlinkat(upheaval->disk, path, roll(upheaval, 2) ? AT_REMOVEDIR : 0));
        break;
    case 8:
        attempt(symlinkat(other, upheaval->disk, path));
        break;
    case 9:
        change_mode(upheaval, path);
        if (roll(upheaval, 4) == 0)
            change_time(upheaval, path);
        break;
    default:
        move_about(upheaval, path, other);
    }
}

void upheaval_begin(struct upheaval *upheaval, int disk, int outside, unsigned seed)
{
    *upheaval = (struct upheaval){disk, outside, seed % 2, (uint64_t)seed * 2654435761U + 1};
}

void upheaval_go_on(struct upheaval *upheaval, unsigned operations)
{
    for (unsigned at = 0; at < operations; at++)
        do_something(upheaval);
}
