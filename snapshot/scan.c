/* One pass over the data directory.
 *
 * The names of a directory are visited in ascending order, so a database comes before its -wal, -shm and
 * -journal ("x" is a prefix of "x-wal"), and whether such a name belongs to a database is known when it is
 * met. A file that merely ends in -journal beside something that isn't SQLite's is a file like any other.
 *
 * The metadata recorded for a file that was looked into is that of the inode that was looked into (fstat of
 * the O_PATH descriptor), not of whatever had the name a moment before. */
#include "base/buf.h"
#include "base/clock.h"
#include "snapshot/scan_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static_assert((int)TREE_PATH_MAX == (int)WALK_PATH_MAX, "what can be listed can be walked");

enum look { LOOK_GONE, LOOK_PLAIN, LOOK_SQLITE };

bool scan_has_magic(const uint8_t begin[SCAN_MAGIC_SIZE])
{
    /* https://sqlite.org/fileformat.html#magic_header_string */
    return memcmp(begin, "SQLite format 3", SCAN_MAGIC_SIZE) == 0;
}

void scan_clear(struct scan *scan)
{
    walk_clear(&scan->walk);
    scan_result_clear(&scan->result);
    free(scan->stems);
}

void scan_result_clear(struct scan_result *result)
{
    tree_free(result->tree);
    for (size_t at = 0; at < result->databases_count; at++)
        free(result->databases[at].path);
    free(result->databases);
    *result = (struct scan_result){0};
}

bool scan_is_reserved(const char *path)
{
    static const char *const names[] = {".holdfast", "lost+found"};

    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++) {
        size_t length = strlen(names[at]);
        if (strncmp(path, names[at], length) == 0 && (path[length] == '\0' || path[length] == '/'))
            return true;
    }
    return false;
}

static void add_stem(struct scan *scan, size_t index)
{
    if (scan->stems_count == scan->stems_capacity) {
        scan->stems_capacity = scan->stems_capacity ? scan->stems_capacity * 2 : 16;
        scan->stems = xrealloc(scan->stems, scan->stems_capacity * sizeof(*scan->stems));
    }
    scan->stems[scan->stems_count++] = index;
}

/* Is it the -wal, -shm or -journal of a database met before in this directory? The latest ones first: a
 * database and its side files are neighbours, or nearly. */
static bool is_side_file(const struct scan *scan, const char *name)
{
    size_t length = scan_stem_length(name);

    for (size_t left = length > 0 ? scan->stems_count : 0; left > 0; left--) {
        const char *stem = walk_name(&scan->walk, scan->stems[left - 1]);
        if (strncmp(stem, name, length) == 0 && stem[length] == '\0')
            return true;
    }
    return false;
}

/* Opens for reading what the O_PATH descriptor stands for, the very same inode. */
static bool read_magic(int path_fd, const char *path, enum look *ret_look, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;
    char link[64];
    uint8_t bytes[SCAN_MAGIC_SIZE];
    ssize_t got;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
    fd = open(link, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_CONFIG, "can't read %s: /proc is not mounted", path);
    if (fd < 0)
        return err_errno(err, "read %s (unreadable files can only be excluded)", path);
    do
        got = read(fd, bytes, sizeof(bytes));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_errno(err, "read %s", path);
    *ret_look = got == sizeof(bytes) && scan_has_magic(bytes) ? LOOK_SQLITE : LOOK_PLAIN;
    return true;
}

/* *status: of the inode that was looked into, unless it has gone. */
static bool look_into(const struct scan *scan, const char *name, const char *path, struct stat *status,
                      enum look *ret_look, struct err *err)
{
    CLEANUP(close_fdp) int fd = openat(scan->walk.fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    const struct scan_options *options = scan->options;

    *ret_look = LOOK_GONE;
    if (fd < 0)
        return errno == ENOENT ? true : err_errno(err, "open %s", path);
    if (fstat(fd, status) != 0)
        return err_errno(err, "stat %s", path);
    if (!S_ISREG(status->st_mode))
        return true; /* became something else since it was listed; the next scan tells what */
    if (options->is_attached && options->is_attached(options->context, status->st_dev, status->st_ino)) {
        *ret_look = LOOK_SQLITE;
        return true;
    }
    /* Or it could become a database within the same tick, and look unchanged for ever. */
    clock_pass_stamp(clock_ns_of(status->st_ctim));
    return read_magic(fd, path, ret_look, err);
}

static bool is_unchanged(const struct scan *scan, const char *path, const struct stat *status)
{
    const struct tree_entry *known = scan->options->before ? tree_find(scan->options->before, path) : NULL;

    return known && known->kind == ENTRY_FILE && known->inode == status->st_ino &&
           known->size == (uint64_t)status->st_size && known->ctime_ns == clock_ns_of(status->st_ctim);
}

void scan_add_entry(struct scan *scan, enum entry_kind kind, const char *path, const struct stat *status,
                    const char *target)
{
    size_t target_size = target ? strlen(target) : 0;
    struct tree_entry *entry = tree_add(scan->result.tree, path, strlen(path), target, target_size);

    entry->kind = (uint8_t)kind;
    entry->content = CONTENT_NONE;
    entry->mode = (uint16_t)(status->st_mode & 07777);
    entry->uid = status->st_uid;
    entry->gid = status->st_gid;
    entry->size = kind == ENTRY_FILE ? (uint64_t)status->st_size : target_size;
    entry->mtime_ns = clock_ns_of(status->st_mtim);
    entry->inode = status->st_ino;
    entry->ctime_ns = clock_ns_of(status->st_ctim);
    if (scan->part)
        scan_part_note(scan->part, status);
}

static void add_database(struct scan *scan, const char *path, const struct stat *status, bool is_plain)
{
    struct scan_result *result = &scan->result;

    result->databases =
        xrealloc(result->databases, (result->databases_count + 1) * sizeof(*result->databases));
    result->databases[result->databases_count++] =
        (struct scan_database){xstrdup(path), status->st_dev, status->st_ino, is_plain};
}

/* A database is whole pages of at least 512 bytes. Asking the size first spares the disk a read for nearly
 * every file there is, at a first scan of many. (One torn in mid-page by a crash has its -journal or -wal
 * beside it, and such files are looked into whatever their size.) */
static bool has_database_size(const struct stat *status)
{
    return status->st_size >= 512 && status->st_size % 512 == 0;
}

/* Files that are not looked into have to be readable all the same, or shipping them would fail later. */
static bool check_readable(const struct scan *scan, const char *name, const char *path, struct err *err)
{
    if (faccessat(scan->walk.fd, name, R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0 || errno == ENOENT)
        return true;
    return err_errno(err, "read %s (unreadable files can only be excluded)", path);
}

static bool is_writable(const struct scan *scan, const char *name)
{
    return faccessat(scan->walk.fd, name, W_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0;
}

static void note_orphan_wal(struct scan *scan, const char *name, const char *path, const struct stat *status)
{
    struct scan_result *result = &scan->result;

    if (status->st_size > 0 && !*result->orphan_wal && scan_has_side(&scan->walk, name, "-wal"))
        (void)snprintf(result->orphan_wal, sizeof(result->orphan_wal), "%s", path);
}

static bool is_no_database(const struct scan *scan, const char *name, const char *path,
                           const struct stat *status)
{
    const struct scan_options *options = scan->options;

    return options->is_no_database && options->is_no_database(options->context, path, status) &&
           !scan_has_filled_side(&scan->walk, name, "-wal") &&
           !scan_has_filled_side(&scan->walk, name, "-journal");
}

static bool scan_file(struct scan *scan, size_t index, const char *path, struct stat *status, struct err *err)
{
    const char *name = walk_name(&scan->walk, index);
    bool candidate = globs_match(scan->options->databases, path);
    bool changed = !is_unchanged(scan, path, status);
    bool sides = scan->any_side && scan_has_any_side(&scan->walk, name);
    enum look look = LOOK_PLAIN;

    if (sides || (candidate && changed && has_database_size(status))) {
        if (!look_into(scan, name, path, status, &look, err))
            return false;
    } else if (changed && !check_readable(scan, name, path, err)) {
        return false;
    }
    if (look == LOOK_GONE)
        return true;
    if (look == LOOK_SQLITE)
        add_stem(scan, index);
    if (look == LOOK_SQLITE && candidate && is_writable(scan, name) &&
        !is_no_database(scan, name, path, status)) {
        add_database(scan, path, status, false);
        return true;
    }
    if (look == LOOK_SQLITE && scan_is_open_ended(&scan->walk, name))
        add_database(scan, path, status, true);
    if (look == LOOK_PLAIN && candidate)
        note_orphan_wal(scan, name, path, status);
    scan_add_entry(scan, ENTRY_FILE, path, status, NULL);
    return true;
}

static bool scan_symlink(struct scan *scan, const char *name, const char *path, const struct stat *status,
                         struct err *err)
{
    char target[TREE_PATH_MAX + 1];
    ssize_t length = readlinkat(scan->walk.fd, name, target, sizeof(target));

    if (length < 0 && (errno == ENOENT || errno == EINVAL))
        return true; /* gone, or something else by now */
    if (length < 0)
        return err_errno(err, "read the symlink %s", path);
    if ((size_t)length == sizeof(target))
        return err_set(err, ERR_CONFIG, "the symlink %s is longer than %d bytes", path, TREE_PATH_MAX);
    target[length] = '\0';
    scan_add_entry(scan, ENTRY_SYMLINK, path, status, target);
    return true;
}

static bool scan_entry(struct scan *scan, size_t index, const char *path, struct err *err)
{
    const char *name = walk_name(&scan->walk, index);
    struct stat status;

    if (fstatat(scan->walk.fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? true : err_errno(err, "stat %s", path);
    if (strlen(path) > TREE_PATH_MAX)
        return err_set(err, ERR_CONFIG, "a path of %zu bytes is too long (at most %d): %.200s…", strlen(path),
                       TREE_PATH_MAX, path);
    if (S_ISREG(status.st_mode))
        return scan_file(scan, index, path, &status, err);
    if (S_ISLNK(status.st_mode))
        return scan_symlink(scan, name, path, &status, err);
    if (S_ISDIR(status.st_mode)) {
        scan_add_entry(scan, ENTRY_DIRECTORY, path, &status, NULL);
        if (!scan->part || !scan_part_knows(scan->part, path, &status))
            walk_enter(&scan->walk, path);
        return true;
    }
    if (scan->result.skipped++ == 0)
        (void)snprintf(scan->result.skipped_example, sizeof(scan->result.skipped_example), "%s", path);
    return true;
}

/* An excluded database excludes its side files, whatever their names match. The same goes for one that is in
 * the result already. */
static void note_stem(struct scan *scan, size_t index, const char *path)
{
    const char *name = walk_name(&scan->walk, index);
    enum look look = LOOK_GONE;
    struct stat status;
    struct err ignored; /* what can't be read here isn't protected anyway */

    if (!scan->any_side || !scan_has_any_side(&scan->walk, name))
        return;
    if (look_into(scan, name, path, &status, &look, &ignored) && look == LOOK_SQLITE)
        add_stem(scan, index);
}

bool scan_current(struct scan *scan, struct err *err)
{
    struct walk *walk = &scan->walk;

    scan->stems_count = 0;
    scan->any_side = false;
    for (size_t at = 0; at < walk->count && !scan->any_side; at++)
        scan->any_side = scan_stem_length(walk_name(walk, at)) > 0;
    for (size_t at = 0; at < walk->count; at++) {
        const char *path = walk_join(walk, walk_name(walk, at));
        if (scan_is_reserved(path) || is_side_file(scan, walk_name(walk, at)))
            continue;
        if (globs_match(scan->options->exclude, path) || (scan->part && !scan_part_wants(scan->part, path)))
            note_stem(scan, at, path);
        else if (!scan_entry(scan, at, path, err))
            return false;
    }
    return true;
}

static int compare_databases(const void *one, const void *other)
{
    return strcmp(((const struct scan_database *)one)->path, ((const struct scan_database *)other)->path);
}

bool scan_rest(struct scan *scan, struct err *err)
{
    while (walk_next(&scan->walk, err))
        if (!walk_list(&scan->walk, err) || !scan_current(scan, err))
            return false;
    return !scan->walk.failed;
}

void scan_take_result(struct scan *scan, struct scan_result *ret_result)
{
    struct scan_result *result = &scan->result;
    bool unique = tree_sort(result->tree);

    assert(unique); /* each directory was listed once, each of its names once */
    tree_trim(result->tree);
    if (result->databases_count > 1)
        qsort(result->databases, result->databases_count, sizeof(*result->databases), compare_databases);
    *ret_result = *result;
    *result = (struct scan_result){0};
}

bool scan_directory(int directory_fd, const struct scan_options *options, struct scan_result *ret_result,
                    struct err *err)
{
    CLEANUP(scan_clearp) struct scan scan = {.options = options};

    assert(options->exclude && options->databases);
    scan.result.tree = tree_new();
    walk_begin(&scan.walk, directory_fd);
    if (!scan_rest(&scan, err))
        return false;
    scan_take_result(&scan, ret_result);
    return true;
}
