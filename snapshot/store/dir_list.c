/* Keys in byte order out of a tree of directories.
 *
 * A folder's entries, sorted as the file system spells them, are not yet in the order of the keys: "log-x"
 * sorts before "log/1" because '-' is less than '/', while the folder "log" sorts before "log-x". So every
 * folder is compared as if its name ended in '/'. The walk then visits keys in ascending order, and can leave
 * out whole folders that hold nothing of the prefix or only keys at or before `after`. Symlinks and names
 * that can't be ours are passed over. */
#include "snapshot/store/dir_list.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct listing {
    const char *prefix;
    const char *after; /* or NULL */
    size_t limit;      /* 0: none */
    size_t visited;
    store_visitor *visit;
    void *context;
};

/* One folder's names, each folder among them with a '/' at its end, one after the other with their NULs. */
struct names {
    struct buf text;
    const char **sorted;
    size_t count;
};

static void names_clear(struct names *names)
{
    buf_clear(&names->text);
    free(names->sorted);
}

static void close_directoryp(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory);
}

static int compare_names(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* Some file systems don't say in the directory what an entry is. */
static unsigned char type_of(int fd, const struct dirent *entry)
{
    struct stat status;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    if (fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return DT_UNKNOWN;
    return S_ISDIR(status.st_mode) ? DT_DIR : S_ISREG(status.st_mode) ? DT_REG : DT_UNKNOWN;
}

static void sort_names(struct names *names)
{
    const char *at = buf_text(&names->text);

    names->sorted = xcalloc(names->count, sizeof(*names->sorted));
    for (size_t number = 0; number < names->count; number++) {
        names->sorted[number] = at;
        at += strlen(at) + 1;
    }
    qsort(names->sorted, names->count, sizeof(*names->sorted), compare_names);
}

static bool read_names(int fd, struct names *names, struct err *err)
{
    int own_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(close_directoryp) DIR *directory = own_fd < 0 ? NULL : fdopendir(own_fd);
    const struct dirent *entry;

    if (!directory)
        return err_errno(err, "open a folder");
    errno = 0;
    while ((entry = readdir(directory))) {
        unsigned char type = type_of(fd, entry);
        if ((type == DT_DIR || type == DT_REG) && store_key_is_valid(entry->d_name)) {
            buf_add_text(&names->text, entry->d_name);
            buf_add(&names->text, "/", type == DT_DIR ? 2 : 0);
            buf_add(&names->text, "", type == DT_DIR ? 0 : 1);
            names->count++;
        }
        errno = 0;
    }
    if (errno != 0)
        return err_errno(err, "read a folder");
    if (!buf_check(&names->text, "the names in a folder", err))
        return false;
    sort_names(names);
    return true;
}

/* Whether a folder (path ends in '/') can hold keys that are asked for. */
static bool is_wanted_folder(const struct listing *listing, const char *path)
{
    size_t size = strlen(path), prefix_size = strlen(listing->prefix);

    if (strncmp(path, listing->prefix, size < prefix_size ? size : prefix_size) != 0)
        return false;
    return !listing->after || strncmp(path, listing->after, size) >= 0;
}

static bool is_wanted_key(const struct listing *listing, const char *key)
{
    return strncmp(key, listing->prefix, strlen(listing->prefix)) == 0 &&
           (!listing->after || strcmp(key, listing->after) > 0);
}

static bool visit_file(struct listing *listing, int fd, const char *name, const char *key, struct err *err)
{
    struct store_entry entry = {.key = key};
    struct stat status;

    if (!is_wanted_key(listing, key))
        return true;
    if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? true : err_errno(err, "stat %s", key); /* deleted meanwhile: not there */
    entry.size = (uint64_t)status.st_size;
    listing->visited++;
    return listing->visit(listing->context, &entry, err);
}

/* path: what the keys in this folder begin with, "" or ending in '/'. */
static bool walk(struct listing *listing, int fd, const char *path, struct err *err)
{
    __attribute__((cleanup(names_clear))) struct names names = {.text = BUF_INIT(256 * 1024 * 1024)};
    char key[2 * STORE_KEY_MAX];

    if (!read_names(fd, &names, err))
        return err_wrap(err, "list %s", *path ? path : "the store");
    for (size_t at = 0; at < names.count; at++) {
        const char *name = names.sorted[at];
        CLEANUP(close_fdp) int folder_fd = -1;
        if (listing->limit > 0 && listing->visited == listing->limit)
            return true;
        if (snprintf(key, sizeof(key), "%s%s", path, name) > STORE_KEY_MAX)
            continue;
        if (key[strlen(key) - 1] != '/') {
            if (!visit_file(listing, fd, name, key, err))
                return false;
            continue;
        }
        if (!is_wanted_folder(listing, key))
            continue;
        folder_fd = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder_fd < 0)
            return err_errno(err, "open the folder %s", key);
        if (!walk(listing, folder_fd, key, err))
            return false;
    }
    return true;
}

bool dir_list(int root_fd, const char *prefix, const char *after, size_t limit, store_visitor *visit,
              void *context, struct err *err)
{
    struct listing listing = {
        .prefix = prefix, .after = after, .limit = limit, .visit = visit, .context = context};

    return walk(&listing, root_fd, "", err);
}
