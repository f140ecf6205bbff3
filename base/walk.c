#include "base/walk.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { NAMES_SIZE_MAX = 1 << 30 };

void walk_begin(struct walk *walk, int top_fd)
{
    *walk = (struct walk){.top_fd = top_fd, .fd = -1, .path = xstrdup("")};
    walk->names.size_max = NAMES_SIZE_MAX;
}

void walk_begin_at(struct walk *walk, int top_fd, const char *path)
{
    walk_begin(walk, top_fd);
    walk->begun = true;
    walk_enter(walk, path);
}

void walk_clear(struct walk *walk)
{
    if (!walk->path)
        return;
    close_fdp(&walk->fd);
    for (size_t at = 0; at < walk->pending_count; at++)
        free(walk->pending[at]);
    free(walk->pending);
    free(walk->entries);
    free(walk->path);
    buf_clear(&walk->names);
    *walk = (struct walk){0};
}

/* An own open file description, so that reading the names moves nobody else's offset. */
static bool open_top(struct walk *walk, struct err *err)
{
    walk->begun = true;
    walk->failed = !fs_open_directory(walk->top_fd, ".", &walk->fd, err);
    return !walk->failed;
}

bool walk_next(struct walk *walk, struct err *err)
{
    if (!walk->begun)
        return open_top(walk, err);
    while (walk->pending_count > 0) {
        struct err why;
        int fd = -1;
        free(walk->path);
        walk->path = walk->pending[--walk->pending_count];
        if (fs_open_directory_beneath(walk->top_fd, walk->path, &fd, &why)) {
            close_fdp(&walk->fd);
            walk->fd = fd;
            return true;
        }
        if (why.code == ERR_NOT_FOUND)
            continue;
        *err = why;
        walk->failed = true;
        return false;
    }
    return false;
}

static void add_name(struct walk *walk, const char *name, unsigned char type)
{
    if (walk->count == walk->capacity) {
        walk->capacity = walk->capacity ? walk->capacity * 2 : 64;
        walk->entries = xrealloc(walk->entries, walk->capacity * sizeof(*walk->entries));
    }
    walk->entries[walk->count++] = (struct walk_name){(uint32_t)walk->names.size, type};
    buf_add(&walk->names, name, strlen(name) + 1);
}

static bool read_names(struct walk *walk, DIR *directory, struct err *err)
{
    const struct dirent *entry;

    while (errno = 0, (entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            add_name(walk, entry->d_name, entry->d_type);
        if (walk->names.overflowed)
            return buf_check(&walk->names, "the list of names", err);
    }
    return errno == 0 ? true : err_errno(err, "list the directory %s", *walk->path ? walk->path : ".");
}

static int compare_names(const void *one, const void *other, void *names)
{
    const struct walk_name *left = one, *right = other;

    return strcmp((const char *)names + left->offset, (const char *)names + right->offset);
}

/* A directory that changes while it is read may give a name twice. */
static void drop_repeated(struct walk *walk)
{
    size_t kept = 0;

    for (size_t at = 0; at < walk->count; at++)
        if (kept == 0 || strcmp(walk_name(walk, at), walk_name(walk, kept - 1)) != 0)
            walk->entries[kept++] = walk->entries[at];
    walk->count = kept;
}

static void sort_names(struct walk *walk)
{
    if (walk->count > 1)
        qsort_r(walk->entries, walk->count, sizeof(*walk->entries), compare_names, walk->names.bytes);
    drop_repeated(walk);
}

bool walk_list(struct walk *walk, struct err *err)
{
    int fd = openat(walk->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    bool listed;

    walk->count = 0;
    buf_reset(&walk->names);
    if (!directory) {
        bool gone = errno == ENOENT; /* removed since it was opened: it holds nothing */
        close_fdp(&fd);
        return gone ? true : err_errno(err, "list the directory %s", *walk->path ? walk->path : ".");
    }
    listed = read_names(walk, directory, err);
    (void)closedir(directory);
    if (!listed)
        return false;
    sort_names(walk);
    return true;
}

bool walk_open(struct walk *walk, const char *path, struct err *err)
{
    int fd = -1;

    if (*path ? !fs_open_directory_beneath(walk->top_fd, path, &fd, err)
              : !fs_open_directory(walk->top_fd, ".", &fd, err))
        return false;
    close_fdp(&walk->fd);
    walk->fd = fd;
    walk->begun = true;
    free(walk->path);
    walk->path = xstrdup(path);
    walk->count = 0;
    return true;
}

static bool is_there(const struct walk *walk, const char *name)
{
    struct stat status;

    return strlen(name) <= WALK_NAME_MAX &&
           (fstatat(walk->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT);
}

void walk_pick(struct walk *walk, char *const *names, size_t count)
{
    assert(walk->fd >= 0);
    walk->count = 0;
    buf_reset(&walk->names);
    for (size_t at = 0; at < count; at++)
        if (is_there(walk, names[at]))
            add_name(walk, names[at], DT_UNKNOWN);
    sort_names(walk);
}

const char *walk_name(const struct walk *walk, size_t index)
{
    assert(index < walk->count);
    return (const char *)walk->names.bytes + walk->entries[index].offset;
}

bool walk_has(const struct walk *walk, const char *name)
{
    size_t low = 0, high = walk->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(walk_name(walk, middle), name);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

const char *walk_join(struct walk *walk, const char *name)
{
    int length =
        snprintf(walk->joined, sizeof(walk->joined), "%s%s%s", walk->path, *walk->path ? "/" : "", name);

    assert(length > 0 && (size_t)length < sizeof(walk->joined));
    return walk->joined;
}

bool walk_is_directory(const struct walk *walk, size_t index)
{
    unsigned char type = walk->entries[index].type;
    struct stat status;

    if (type != DT_UNKNOWN)
        return type == DT_DIR;
    return fstatat(walk->fd, walk_name(walk, index), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status.st_mode);
}

void walk_enter(struct walk *walk, const char *path)
{
    assert(walk->begun && *path);
    if (walk->pending_count == walk->pending_capacity) {
        walk->pending_capacity = walk->pending_capacity ? walk->pending_capacity * 2 : 16;
        walk->pending = xrealloc(walk->pending, walk->pending_capacity * sizeof(*walk->pending));
    }
    walk->pending[walk->pending_count++] = xstrdup(path);
}

struct removal {
    bool (*is_kept)(void *context, const char *path);
    void *context;
    char **directories; /* that were met, parents before children */
    size_t count;
    size_t capacity;
};

static void removal_clearp(struct removal *removal)
{
    for (size_t at = 0; at < removal->count; at++)
        free(removal->directories[at]);
    free(removal->directories);
}

static void note_directory(struct removal *removal, const char *path)
{
    if (removal->count == removal->capacity) {
        removal->capacity = removal->capacity ? removal->capacity * 2 : 16;
        removal->directories =
            xrealloc(removal->directories, removal->capacity * sizeof(*removal->directories));
    }
    removal->directories[removal->count++] = xstrdup(path);
}

static bool remove_name(struct removal *removal, struct walk *walk, size_t index, struct err *err)
{
    const char *name = walk_name(walk, index);
    const char *path = walk_join(walk, name);

    if (removal->is_kept && removal->is_kept(removal->context, path))
        return true;
    if (walk_is_directory(walk, index)) {
        note_directory(removal, path);
        walk_enter(walk, path);
        return true;
    }
    if (unlinkat(walk->fd, name, 0) != 0 && errno != ENOENT)
        return err_errno(err, "remove %s", path);
    return true;
}

static bool remove_directory(const struct removal *removal, int top_fd, const char *path, struct err *err)
{
    CLEANUP(close_fdp) int parent = -1;
    struct err why;
    const char *name;

    if (!fs_open_parent(top_fd, path, &parent, &name, &why))
        return why.code == ERR_NOT_FOUND || (*err = why, false);
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return true;
    if (removal->is_kept && (errno == ENOTEMPTY || errno == EEXIST || errno == EBUSY))
        return true;
    return err_errno(err, "remove the directory %s", path);
}

bool walk_remove(int top_fd, bool (*is_kept)(void *context, const char *path), void *context, struct err *err)
{
    CLEANUP(walk_clearp) struct walk walk = {0};
    CLEANUP(removal_clearp) struct removal removal = {.is_kept = is_kept, .context = context};

    walk_begin(&walk, top_fd);
    while (walk_next(&walk, err)) {
        if (!walk_list(&walk, err))
            return false;
        for (size_t at = 0; at < walk.count; at++)
            if (!remove_name(&removal, &walk, at, err))
                return false;
    }
    if (walk.failed)
        return false;
    for (size_t left = removal.count; left > 0; left--)
        if (!remove_directory(&removal, top_fd, removal.directories[left - 1], err))
            return false;
    return true;
}
