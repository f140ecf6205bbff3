/* Links are made from a descriptor that only stands for the inode (O_PATH), after a look at what it is: by
 * name, another file could be there by then, and a link to an attached database is something that its SQLite
 * complains about. The name in .holdfast/pending/ is a number and means nothing.
 *
 * The watch does not wake from links: it watches directories, and a link count is an event of the file. */
#include "snapshot/pending.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/guarded_file.h"
#include "snapshot/scan.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum { DESCRIPTORS_MAX = 256, NAME_SIZE = 24 };

static const char folder[] = ".holdfast/pending";

struct held_file {
    char *path;
    struct tree_entry entry; /* as it was seen; no path in it */
    uint64_t device;
    uint64_t number; /* of its link; 0: there is none */
    int fd;          /* O_PATH, if there is no link; else -1 */
};

struct pending {
    int directory_fd; /* borrowed */
    int fd;           /* of the folder */
    struct held_file *files;
    size_t count; /* in order of path */
    size_t capacity;
    size_t descriptors;
    uint64_t next_number;
};

static void link_name(uint64_t number, char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "%" PRIu64, number);
}

bool pending_open(int directory_fd, struct pending **ret_pending, struct err *err)
{
    struct pending *pending;
    int fd = -1;

    if (!fs_remove_tree(directory_fd, folder, err) || !fs_make_directories(directory_fd, folder, 0700, err) ||
        !fs_open_directory_beneath(directory_fd, folder, &fd, err))
        return err_wrap(err, "%s", folder);
    pending = xcalloc(1, sizeof(*pending));
    pending->directory_fd = directory_fd;
    pending->fd = fd;
    pending->next_number = 1;
    *ret_pending = pending;
    return true;
}

/* Gives up the link or the descriptor. */
static void let_go(struct pending *pending, struct held_file *file)
{
    char name[NAME_SIZE];

    if (file->fd >= 0) {
        (void)close(file->fd); /* O_PATH: drops nobody's lock */
        pending->descriptors--;
    } else {
        link_name(file->number, name);
        (void)unlinkat(pending->fd, name, 0); /* one that stays is removed at the next start */
    }
    file->fd = -1;
    file->number = 0;
}

static void drop(struct pending *pending, struct held_file *file)
{
    let_go(pending, file);
    free(file->path);
    file->path = NULL;
}

/* Closes the gaps that drop() has left. */
static void compact(struct pending *pending)
{
    size_t kept = 0;

    for (size_t at = 0; at < pending->count; at++)
        if (pending->files[at].path)
            pending->files[kept++] = pending->files[at];
    pending->count = kept;
}

void pending_free(struct pending *pending)
{
    if (!pending)
        return;
    for (size_t at = 0; at < pending->count; at++)
        drop(pending, &pending->files[at]);
    free(pending->files);
    (void)close(pending->fd);
    free(pending);
}

static int compare_paths(const void *left, const void *right)
{
    const struct held_file *one = left;
    const struct held_file *other = right;

    return strcmp(one->path, other->path);
}

/* Among the first `count`, which are in order. */
static struct held_file *find(const struct pending *pending, size_t count, const char *path)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(pending->files[middle].path, path);
        if (order == 0)
            return &pending->files[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool pending_has(const struct pending *pending, const char *path)
{
    return find(pending, pending->count, path) != NULL;
}

size_t pending_count(const struct pending *pending)
{
    return pending->count;
}

/* Links the file that the descriptor stands for. */
static bool make_link(struct pending *pending, int path_fd, uint64_t *ret_number)
{
    char source[32], name[NAME_SIZE];

    (void)snprintf(source, sizeof(source), "/proc/self/fd/%d", path_fd);
    link_name(pending->next_number, name);
    if (linkat(AT_FDCWD, source, pending->fd, name, AT_SYMLINK_FOLLOW) != 0)
        return false;
    *ret_number = pending->next_number++;
    return true;
}

/* A name that SQLite may use beside a database gets no link, whatever is there: a file that was plain at the
 * scan may belong to a database by now. Nor does a file that has several names: each would look changed. */
static bool may_be_linked(const char *path, const struct stat *status)
{
    return scan_stem_length(path) == 0 && status->st_nlink == 1;
}

/* Takes hold of what is at the path now. False: nothing to hold, or no means. Nothing names what is not
 * committed yet; and when it has vanished, and its journal, nobody can tell any more what it was. */
static bool take_hold(struct pending *pending, const char *path, const struct tree_entry *entry,
                      struct held_file *ret_file)
{
    CLEANUP(close_fdp) int fd = -1;
    struct held_file file = {.entry = *entry, .fd = -1};
    struct stat status;
    struct err gone;

    if (!fs_open_beneath(pending->directory_fd, path, O_PATH | O_NOFOLLOW, 0, &fd, &gone) ||
        fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        guarded_file_is_claimed(status.st_dev, status.st_ino) ||
        scan_is_unborn_at(pending->directory_fd, path, fd))
        return false;
    file.entry.inode = status.st_ino;
    file.device = status.st_dev;
    if (!may_be_linked(path, &status) || !make_link(pending, fd, &file.number)) {
        if (pending->descriptors == DESCRIPTORS_MAX)
            return false;
        pending->descriptors++;
        file.fd = MOVE_FD(fd);
    }
    *ret_file = file;
    return true;
}

static void add(struct pending *pending, const char *path, const struct held_file *file)
{
    if (pending->count == pending->capacity) {
        pending->capacity = pending->capacity ? 2 * pending->capacity : 64;
        pending->files = xrealloc(pending->files, pending->capacity * sizeof(pending->files[0]));
    }
    pending->files[pending->count] = *file;
    pending->files[pending->count++].path = xstrdup(path);
}

static bool is_new(const struct tree_entry *entry, const struct tree_entry *old)
{
    return entry->kind == ENTRY_FILE && entry->inode != 0 && entry->size > 0 &&
           (!old || old->kind != ENTRY_FILE || old->inode != entry->inode);
}

/* What has become a database since isn't ours to keep. */
static void drop_claimed(struct pending *pending)
{
    for (size_t at = 0; at < pending->count; at++)
        if (guarded_file_is_claimed(pending->files[at].device, pending->files[at].entry.inode))
            drop(pending, &pending->files[at]);
    compact(pending);
}

/* What has another file under its name by now must not be read for that one. The new file may well be one
 * that is_new() takes for the shipped one: an inode that was freed is used again at once. */
static void drop_replaced(struct pending *pending, struct tree *now)
{
    for (size_t at = 0; at < pending->count; at++) {
        const struct tree_entry *entry = tree_find(now, pending->files[at].path);
        if (entry && entry->inode != pending->files[at].entry.inode)
            drop(pending, &pending->files[at]);
    }
    compact(pending);
}

void pending_hold(struct pending *pending, struct tree *now, struct tree *previous)
{
    size_t known_count, old = 0;

    drop_claimed(pending);
    drop_replaced(pending, now);
    known_count = pending->count;
    for (size_t at = 0; at < tree_count(now); at++) {
        const struct tree_entry *entry = tree_at(now, at);
        const char *path = tree_path(now, entry);
        struct held_file file;
        if (!is_new(entry, previous ? tree_seek(previous, &old, path) : NULL))
            continue;
        if (!find(pending, known_count, path) && take_hold(pending, path, entry, &file))
            add(pending, path, &file);
    }
    if (pending->count > known_count)
        qsort(pending->files, pending->count, sizeof(pending->files[0]), compare_paths);
}

static bool has_vanished(const struct held_file *file, struct tree *now, struct tree *previous)
{
    return !tree_find(now, file->path) && (!previous || !tree_find(previous, file->path));
}

static void add_as_seen(struct tree *tree, const struct held_file *file)
{
    struct tree_entry *entry = tree_add(tree, file->path, strlen(file->path), NULL, 0);

    entry->kind = ENTRY_FILE;
    entry->size = file->entry.size;
    entry->mode = file->entry.mode;
    entry->uid = file->entry.uid;
    entry->gid = file->entry.gid;
    entry->mtime_ns = file->entry.mtime_ns;
}

struct tree *pending_with_vanished(struct pending *pending, struct tree *now, struct tree *previous)
{
    struct tree *with = NULL;
    bool unique;

    for (size_t at = 0; at < pending->count; at++) {
        if (!has_vanished(&pending->files[at], now, previous))
            continue;
        if (!with)
            with = tree_new();
        add_as_seen(with, &pending->files[at]);
    }
    if (!with || !previous)
        return with;
    for (size_t at = 0; at < tree_count(previous); at++)
        tree_add_copy(with, previous, tree_at(previous, at));
    unique = tree_sort(with);
    assert(unique);
    return with;
}

void pending_forget(struct pending *pending, struct tree *now)
{
    for (size_t at = 0; at < pending->count; at++)
        if (!tree_find(now, pending->files[at].path))
            drop(pending, &pending->files[at]);
    compact(pending);
}

bool pending_read(void *context, size_t entry, const char *path, int *ret_fd, struct err *err)
{
    const struct pending *pending = context;
    const struct held_file *file = find(pending, pending->count, path);
    char name[NAME_SIZE];

    (void)entry;
    if (!file)
        return guarded_file_open(pending->directory_fd, path, ret_fd, err);
    if (file->fd >= 0)
        return guarded_file_open_held(file->fd, ret_fd, err) || err_wrap(err, "%s", path);
    link_name(file->number, name);
    return guarded_file_open(pending->fd, name, ret_fd, err) || err_wrap(err, "%s", path);
}

static bool is_as_read(const struct tree_entry *entry, const struct stat *status)
{
    return entry->inode == status->st_ino && entry->size == (uint64_t)status->st_size &&
           entry->mtime_ns == clock_ns_of(status->st_mtim) && entry->mode == (status->st_mode & 07777) &&
           entry->uid == status->st_uid && entry->gid == status->st_gid;
}

/* Only the link count may have changed since the file was read: else it has to look changed. */
static void settle(struct pending *pending, struct held_file *file, struct tree_entry *entry)
{
    CLEANUP(close_fdp) int fd = -1;
    struct stat before, after;
    char name[NAME_SIZE];
    bool as_read;

    if (file->fd < 0) {
        link_name(file->number, name);
        fd = openat(pending->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    as_read = fd >= 0 && fstat(fd, &before) == 0 && is_as_read(entry, &before) &&
              entry->ctime_ns == clock_ns_of(before.st_ctim);
    drop(pending, file);
    if (as_read && fstat(fd, &after) == 0 && is_as_read(entry, &after))
        entry->ctime_ns = clock_ns_of(after.st_ctim);
}

void pending_settle(struct pending *pending, struct tree *tree)
{
    for (size_t at = 0; at < pending->count; at++) {
        struct held_file *file = &pending->files[at];
        struct tree_entry *entry = tree_find(tree, file->path);
        if (entry && entry->kind == ENTRY_FILE && entry->inode == file->entry.inode)
            settle(pending, file, entry);
    }
    compact(pending);
}
