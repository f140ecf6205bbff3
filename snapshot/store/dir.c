/* A directory as a store: the embedded default, and what `make demo` runs on.
 *
 * Keys are paths below the directory. A new object is written to the private folder .tmp (no key begins with
 * '.'), synced, and given its name in one atomic step: link(2), which fails if the name is taken, for create;
 * rename(2) for put. Then the folder that holds the name is synced. open(O_EXCL) would be the obvious way to
 * create, and wrong: a process that dies while it writes would leave a name with half an object behind, and
 * every later create would lose against it.
 *
 * link(2) decides between processes too, so two holdfasts on one directory fence each other as they do on S3.
 * Every path is opened beneath the directory and through no symlink. */
#include "snapshot/store/driver.h"

#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/store/dir_list.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { FOLDER_MODE = 0700, OBJECT_MODE = 0600, TEMPORARY_NAME_SIZE = 64, SWEEP_AGE_S = 24 * 60 * 60 };

static const char temporary_folder[] = ".tmp";

struct dir_store {
    struct store store;
    int root_fd;
    int temporary_fd;
    atomic_ulong temporaries; /* number of the next temporary file of this process */
    uint64_t process_tag;     /* random: process ids repeat between containers that share a volume */
    const atomic_bool *canceled;
};

static bool check_canceled(const struct dir_store *dir, struct err *err)
{
    if (dir->canceled && atomic_load(dir->canceled))
        return err_set(err, ERR_CANCELED, "canceled");
    return true;
}

/* For errno after a write. A full disk may have room again later, as a store that is down may come back. */
static bool write_errno(struct err *err, const char *what)
{
    bool is_full = errno == ENOSPC || errno == EDQUOT;

    err_record_errno(err, "%s", what);
    if (is_full)
        err->code = ERR_TRANSIENT;
    return false;
}

static bool check_name_sizes(const char *key, struct err *err)
{
    for (const char *part = key; *part; part += *part == '/') {
        size_t size = strcspn(part, "/");
        if (size > NAME_MAX)
            return err_set(err, ERR_CONFIG, "%.100s… has a part of %zu bytes; a file name has at most %d",
                           key, size, NAME_MAX);
        part += size;
    }
    return true;
}

/* The folder of key, and its last part. */
static bool open_folder(const struct dir_store *dir, const char *key, int *ret_fd, const char **ret_name,
                        struct err *err)
{
    return check_name_sizes(key, err) && fs_open_parent(dir->root_fd, key, ret_fd, ret_name, err);
}

/* Makes the folders above key and syncs each one that is new in the folder that holds it. */
static bool make_folders(const struct dir_store *dir, const char *key, struct err *err)
{
    char path[STORE_KEY_MAX + 1];

    for (const char *slash = strchr(key, '/'); slash; slash = strchr(slash + 1, '/')) {
        CLEANUP(close_fdp) int parent_fd = -1;
        const char *name;
        (void)snprintf(path, sizeof(path), "%.*s", (int)(slash - key), key);
        if (!fs_open_parent(dir->root_fd, path, &parent_fd, &name, err))
            return false;
        if (mkdirat(parent_fd, name, FOLDER_MODE) == 0) {
            if (fsync(parent_fd) != 0)
                return write_errno(err, "sync the folder above");
        } else if (errno != EEXIST) {
            return write_errno(err, "make the folder");
        }
    }
    return true;
}

static bool write_temporary(struct dir_store *dir, char name[TEMPORARY_NAME_SIZE], const void *bytes,
                            size_t size, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;

    (void)snprintf(name, TEMPORARY_NAME_SIZE, "%016llx-%lu", (unsigned long long)dir->process_tag,
                   atomic_fetch_add(&dir->temporaries, 1));
    fd = openat(dir->temporary_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, OBJECT_MODE);
    if (fd < 0)
        return write_errno(err, "create a temporary file");
    if (!fs_write_all(fd, bytes, size, err))
        return write_errno(err, "write a temporary file");
    if (fsync(fd) != 0)
        return write_errno(err, "sync a temporary file");
    return true;
}

/* Gives the temporary file its name; with link() only if nobody has it yet. */
static bool give_name(const struct dir_store *dir, const char *temporary, const char *key,
                      bool only_if_absent, struct err *err)
{
    CLEANUP(close_fdp) int folder_fd = -1;
    const char *name;
    int failed;

    if (!open_folder(dir, key, &folder_fd, &name, err))
        return false;
    failed = only_if_absent ? linkat(dir->temporary_fd, temporary, folder_fd, name, 0)
                            : renameat(dir->temporary_fd, temporary, folder_fd, name);
    if (failed && errno == EEXIST)
        return err_set(err, ERR_CONFLICT, "%s exists", key);
    if (failed)
        return write_errno(err, "give the object its name");
    if (fsync(folder_fd) != 0)
        return write_errno(err, "sync the folder");
    return true;
}

static bool write_object(struct dir_store *dir, const char *key, const void *bytes, size_t size,
                         bool only_if_absent, struct err *err)
{
    char temporary[TEMPORARY_NAME_SIZE];
    bool named;

    if (!check_canceled(dir, err) || !check_name_sizes(key, err))
        return false;
    if (dir->temporary_fd < 0)
        return err_set(err, ERR_DENIED, "write %s: the directory of HOLDFAST_STORE can't be written to", key);
    if (!make_folders(dir, key, err))
        return err_wrap(err, "write %s", key);
    named = write_temporary(dir, temporary, bytes, size, err) &&
            give_name(dir, temporary, key, only_if_absent, err);
    if (!named || only_if_absent)
        (void)unlinkat(dir->temporary_fd, temporary, 0); /* at worst swept a day later */
    return named ? true : err_wrap(err, "write %s", key);
}

static bool dir_create(struct store *store, const char *key, const void *bytes, size_t size, struct err *err)
{
    return write_object((struct dir_store *)store, key, bytes, size, true, err);
}

static bool dir_put(struct store *store, const char *key, const void *bytes, size_t size, struct err *err)
{
    return write_object((struct dir_store *)store, key, bytes, size, false, err);
}

/* Opens the object and looks at it. Not a plain file: somebody else's, not an object of ours. */
static bool open_object(const struct dir_store *dir, const char *key, int *ret_fd, struct stat *ret_status,
                        struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;

    if (!check_canceled(dir, err) || !check_name_sizes(key, err))
        return false;
    if (!fs_open_beneath(dir->root_fd, key, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, err))
        return false;
    if (fstat(fd, ret_status) != 0)
        return err_errno(err, "stat %s", key);
    if (!S_ISREG(ret_status->st_mode))
        return err_set(err, ERR_CORRUPT, "%s in the store is not a file", key);
    *ret_fd = MOVE_FD(fd);
    return true;
}

static bool dir_get(struct store *store, const char *key, struct buf *contents, struct err *err)
{
    const struct dir_store *dir = (struct dir_store *)store;
    CLEANUP(close_fdp) int fd = -1;
    struct stat status;
    size_t size;

    if (!open_object(dir, key, &fd, &status, err))
        return false;
    size = (size_t)status.st_size;
    if (size > contents->size_max - contents->size)
        return err_set(err, ERR_CORRUPT, "%s has %zu bytes, more than such an object can have", key, size);
    if (!fs_read_at(fd, buf_extend(contents, size), size, 0, err)) {
        contents->size -= size;
        return err_wrap(err, "read %s", key);
    }
    return true;
}

static bool dir_stat(struct store *store, const char *key, uint64_t *ret_size, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;
    struct stat status;

    if (!open_object((struct dir_store *)store, key, &fd, &status, err))
        return false;
    *ret_size = (uint64_t)status.st_size;
    return true;
}

static bool dir_list_keys(struct store *store, const char *prefix, const char *after, size_t limit,
                          store_visitor *visit, void *context, struct err *err)
{
    const struct dir_store *dir = (struct dir_store *)store;

    return check_canceled(dir, err) && dir_list(dir->root_fd, prefix, after, limit, visit, context, err);
}

/* Not synced: a deletion that is lost in a crash is made again by whoever sweeps next. */
static bool dir_delete(struct store *store, const char *key, struct err *err)
{
    const struct dir_store *dir = (struct dir_store *)store;
    CLEANUP(close_fdp) int folder_fd = -1;
    struct err cause = {0};
    const char *name;

    if (!check_canceled(dir, err))
        return false;
    if (!open_folder(dir, key, &folder_fd, &name, &cause)) {
        if (cause.code == ERR_NOT_FOUND)
            return true;
        *err = cause;
        return false;
    }
    if (unlinkat(folder_fd, name, 0) != 0 && errno != ENOENT)
        return err_errno(err, "delete %s", key);
    return true;
}

static void dir_free(struct store *store)
{
    struct dir_store *dir = (struct dir_store *)store;

    close_fdp(&dir->temporary_fd);
    close_fdp(&dir->root_fd);
    free(dir);
}

/* Like mkdir -p, and each new directory is durable in the one above. Unlike below it, symlinks may lead here.
 */
static bool make_root(const char *path, struct err *err)
{
    CLEANUP(freep) char *upper = xstrdup(path);

    for (char *slash = strchr(upper + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(upper, FOLDER_MODE) == 0 && !fs_sync_directory(AT_FDCWD, upper, err))
            return false;
        *slash = '/';
    }
    if (mkdir(path, FOLDER_MODE) != 0 && errno != EEXIST)
        return err_errno(err, "make the directory %s of HOLDFAST_STORE", path);
    *strrchr(upper, '/') = '\0';
    return fs_sync_directory(AT_FDCWD, *upper ? upper : "/", err);
}

static bool open_root(const char *path, bool make, int *ret_fd, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT && !make)
        return err_set(err, ERR_CONFIG, "HOLDFAST_STORE names %s, which is not there: correct the path",
                       path);
    if (fd < 0 && errno == ENOENT) {
        if (!make_root(path, err))
            return false;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0 && errno == ENOTDIR)
        return err_set(err, ERR_CONFIG, "HOLDFAST_STORE names %s, which is not a directory", path);
    if (fd < 0)
        return err_errno(err, "open the directory %s of HOLDFAST_STORE", path);
    *ret_fd = fd;
    return true;
}

/* Takes away what processes that died left in .tmp: a live one has its files there for moments only. */
static void sweep_temporaries(int temporary_fd)
{
    uint64_t now_s = clock_unix_ns() / NS_PER_SECOND;
    int own_fd = openat(temporary_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = own_fd < 0 ? NULL : fdopendir(own_fd);
    const struct dirent *entry;
    struct stat status;

    while (directory && (entry = readdir(directory)))
        if (fstatat(temporary_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode) && (uint64_t)status.st_mtim.tv_sec + SWEEP_AGE_S < now_s)
            (void)unlinkat(temporary_fd, entry->d_name, 0);
    if (directory)
        (void)closedir(directory);
}

/* Whoever can only read the directory gets no folder, and an error with the first write. */
static bool open_temporary_folder(struct dir_store *dir, struct err *err)
{
    if (mkdirat(dir->root_fd, temporary_folder, FOLDER_MODE) != 0 && (errno == EROFS || errno == EACCES))
        return true;
    if (!fs_open_beneath(dir->root_fd, temporary_folder, O_RDONLY | O_DIRECTORY, 0, &dir->temporary_fd, err))
        return err_wrap(err, "the directory of HOLDFAST_STORE");
    sweep_temporaries(dir->temporary_fd);
    return true;
}

bool dir_open(const struct store_config *config, const atomic_bool *canceled, struct store **ret_store,
              struct err *err)
{
    static const struct store_ops ops = {
        .create = dir_create,
        .put = dir_put,
        .get = dir_get,
        .stat = dir_stat,
        .list = dir_list_keys,
        .delete = dir_delete,
        .free = dir_free,
    };
    struct dir_store *dir = xcalloc(1, sizeof(*dir));
    CLEANUP(store_freep) struct store *store = &dir->store;

    assert(config->kind == STORE_DIRECTORY && config->directory[0] == '/');
    *dir = (struct dir_store){.store.ops = &ops, .root_fd = -1, .temporary_fd = -1, .canceled = canceled};
    if (!open_root(config->directory, !config->reads_only, &dir->root_fd, err) ||
        (!config->reads_only && !open_temporary_folder(dir, err)))
        return false;
    if (getrandom(&dir->process_tag, sizeof(dir->process_tag), 0) != (ssize_t)sizeof(dir->process_tag))
        return err_errno(err, "getrandom");
    *ret_store = MOVE(store);
    return true;
}
