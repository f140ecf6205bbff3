/* The files that SQLite has beside a database, and what they say of it. */
#include "base/buf.h"
#include "base/fs.h"
#include "snapshot/guarded_file.h"
#include "snapshot/scan_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

const char *const scan_suffixes[SCAN_SUFFIXES] = {"-journal", "-shm", "-wal"};

size_t scan_stem_length(const char *path)
{
    size_t length = strlen(path);

    for (size_t at = 0; at < SCAN_SUFFIXES; at++) {
        size_t suffix = strlen(scan_suffixes[at]);
        if (length > suffix && strcmp(path + length - suffix, scan_suffixes[at]) == 0)
            return path[length - suffix - 1] == '/' ? 0 : length - suffix;
    }
    return 0;
}

char *scan_stem(const char *path)
{
    size_t length = scan_stem_length(path);

    return length > 0 ? strndup(path, length) : NULL;
}

const char *scan_stem_in(struct tree *tree, const struct tree_entry *entry)
{
    CLEANUP(freep) char *stem = scan_stem(tree_path(tree, entry));
    const struct tree_entry *found = stem ? tree_find(tree, stem) : NULL;

    return found && found->kind == ENTRY_FILE ? tree_path(tree, found) : NULL;
}

bool scan_has_side(const struct walk *walk, const char *name, const char *suffix)
{
    char side[WALK_NAME_MAX + 16];

    (void)snprintf(side, sizeof(side), "%s%s", name, suffix);
    return walk_has(walk, side);
}

bool scan_has_any_side(const struct walk *walk, const char *name)
{
    for (size_t at = 0; at < SCAN_SUFFIXES; at++)
        if (scan_has_side(walk, name, scan_suffixes[at]))
            return true;
    return false;
}

bool scan_has_filled_side(const struct walk *walk, const char *name, const char *suffix)
{
    char side[WALK_NAME_MAX + 16];
    struct stat status;

    (void)snprintf(side, sizeof(side), "%s%s", name, suffix);
    return fstatat(walk->fd, side, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_size > 0;
}

enum opened { NOT_OPENED, ATTACHED, OPENED };

static enum opened open_beneath(int directory_fd, const char *path, int *ret_fd)
{
    CLEANUP(close_fdp) int path_fd = -1;
    struct stat status;
    struct err why = {0};

    if (!fs_open_beneath(directory_fd, path, O_PATH | O_NOFOLLOW, 0, &path_fd, &why) ||
        fstat(path_fd, &status) != 0 || !S_ISREG(status.st_mode))
        return NOT_OPENED;
    if (guarded_file_open_held(path_fd, ret_fd, &why))
        return OPENED;
    return why.code == ERR_CONFLICT ? ATTACHED : NOT_OPENED;
}

static bool begins_like(int fd, const uint8_t *magic, size_t size)
{
    uint8_t bytes[SCAN_MAGIC_SIZE];
    struct err shorter = {0};

    assert(size <= sizeof(bytes));
    return fs_read_at(fd, bytes, size, 0, &shorter) && memcmp(bytes, magic, size) == 0;
}

/* A journal that isn't needed any more may stay, with zeros at its beginning
 * (https://sqlite.org/fileformat.html#the_rollback_journal). */
static bool has_hot_journal(int directory_fd, const char *path)
{
    static const uint8_t magic[] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
    CLEANUP(freep) char *journal = xasprintf("%s-journal", path);
    CLEANUP(guarded_file_closep) int fd = -1;

    return open_beneath(directory_fd, journal, &fd) == OPENED && begins_like(fd, magic, sizeof(magic));
}

bool scan_is_open_ended(const struct walk *walk, const char *name)
{
    return scan_has_filled_side(walk, name, "-wal") || has_hot_journal(walk->fd, name);
}

bool scan_is_database(int fd)
{
    uint8_t begin[SCAN_MAGIC_SIZE];
    struct err shorter = {0};

    return fs_read_at(fd, begin, sizeof(begin), 0, &shorter) && scan_has_magic(begin);
}

bool scan_begins_like_database(int directory_fd, const char *path)
{
    CLEANUP(guarded_file_closep) int fd = -1;
    enum opened opened = open_beneath(directory_fd, path, &fd);

    return opened == ATTACHED || (opened == OPENED && scan_is_database(fd));
}

bool scan_is_unborn(int directory_fd, const char *path, int fd)
{
    static const uint8_t zeros[SCAN_MAGIC_SIZE];

    return begins_like(fd, zeros, sizeof(zeros)) && has_hot_journal(directory_fd, path);
}

bool scan_is_unborn_at(int directory_fd, const char *path, int path_fd)
{
    CLEANUP(guarded_file_closep) int fd = -1;
    struct stat status;
    struct err why = {0};

    return fstat(path_fd, &status) == 0 && status.st_size % 512 == 0 &&
           guarded_file_open_held(path_fd, &fd, &why) && scan_is_unborn(directory_fd, path, fd);
}
