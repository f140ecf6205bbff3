#include "tests/double/tumult.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { PATH_ROOM = 128 };

static int disk;

/* Names that sort around '/', and some that are no text. */
static const char *const some_names[] = {"a",        "a-",   "a.b",       "a0", "b",
                                         "\xff\xfe", "\xc3", "new\nline", " ",  "x-wal"};
enum { SOME_NAMES = sizeof(some_names) / sizeof(some_names[0]) };

static unsigned roll(unsigned sides)
{
    return (unsigned)rand() % sides;
}

/* One to three components. */
static const char *some_path(char path[PATH_ROOM])
{
    unsigned depth = 1 + roll(3);

    path[0] = '\0';
    for (unsigned at = 0; at < depth; at++) {
        size_t used = strlen(path);
        (void)snprintf(path + used, PATH_ROOM - used, "%s%s", at > 0 ? "/" : "",
                       some_names[roll(SOME_NAMES)]);
    }
    return path;
}

static size_t some_size(void)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 32 << 10, (32 << 10) + 1, 70000};

    return sizes[roll(sizeof(sizes) / sizeof(sizes[0]))];
}

static void write_some(const char *path, int flags)
{
    CLEANUP(close_fdp) int fd = openat(disk, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0640);
    size_t size = some_size();
    CLEANUP(freep) char *bytes = xmalloc(size + 1);
    struct err err;

    if (fd < 0)
        return; /* a directory, or below nothing */
    memset(bytes, roll(3) == 0 ? 0 : 'a' + (int)roll(3), size);
    if (size > 0)
        bytes[roll((unsigned)size)] = (char)roll(256);
    EXPECT(fs_write_all(fd, bytes, size, &err));
}

/* Many are impossible where they are tried. */
static void attempt(int answer)
{
    (void)answer;
}

static void remove_some(const char *path)
{
    struct err err;

    attempt(fs_remove_tree(disk, path, &err));
}

static void change_mode(const char *path)
{
    struct stat status;

    if (fstatat(disk, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(status.st_mode))
        EXPECT(fchmodat(disk, path, 0700 | roll(8) << 3 | roll(8), 0) == 0);
}

static void change_time(const char *path)
{
    struct timespec times[2] = {{.tv_sec = roll(1000)},
                                {.tv_sec = (time_t)roll(1000) - 500, .tv_nsec = roll(1000)}};

    (void)utimensat(disk, path, times, AT_SYMLINK_NOFOLLOW);
}

static void do_something(void)
{
    char path[PATH_ROOM], other[PATH_ROOM];

    switch (roll(10)) {
    case 0:
    case 1:
        (void)mkdirat(disk, some_path(path), 0750);
        break;
    case 2:
        write_some(some_path(path), O_CREAT | O_TRUNC);
        break;
    case 3:
        write_some(some_path(path), O_CREAT);
        break;
    case 4:
        write_some(some_path(path), O_CREAT | O_APPEND);
        break;
    case 5:
        remove_some(some_path(path));
        break;
    case 6:
        attempt(renameat(disk, some_path(path), disk, some_path(other)));
        break;
    case 7:
        attempt(symlinkat(some_names[roll(SOME_NAMES)], disk, some_path(path)));
        break;
    case 8:
        change_mode(some_path(path));
        break;
    default:
        if (roll(2) == 0)
            change_time(some_path(path));
        else
            attempt(linkat(disk, some_path(path), disk, some_path(other), 0));
    }
}

void tumult_begin(int directory_fd, unsigned seed)
{
    disk = directory_fd;
    srand(seed);
}

unsigned tumult_roll(unsigned sides)
{
    return roll(sides);
}

void tumult_go_on(unsigned operations)
{
    for (unsigned at = 0; at < operations; at++)
        do_something();
}
