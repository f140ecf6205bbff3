/* The directory of a follower when it begins: is it ours, what was begun in it, does it still hold what it
 * says.
 *
 * Deltas are applied to what is there, so a database that somebody wrote to since would become neither the
 * old nor the new one: each is read and proved. Files are never read again by a follower, only replaced, so
 * of these the names and attributes are enough. */
#include "base/clock.h"
#include "base/fs.h"
#include "base/walk.h"
#include "snapshot/pagehash.h"
#include "snapshot/scan.h"
#include "snapshot/standby_internal.h"
#include "snapshot/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum { PIECE_BYTES = 1 << 20 };

/* --- whose it is ------------------------------------------------------------------------------------- */

static bool is_there(int directory_fd, const char *path)
{
    struct stat status;

    return fstatat(directory_fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Before the first byte is written to it: a directory of somebody else's stays as it is. */
static bool check_owner(const struct standby *standby, struct err *err)
{
    const char *name = standby->config.directory;
    bool empty = false;

    if (is_there(standby->directory_fd, ".holdfast/standby"))
        return true;
    if (is_there(standby->directory_fd, ".holdfast/state"))
        return err_set(err, ERR_CONFIG,
                       "--to %s is the data directory of a `holdfast run`: a follower needs one of its own",
                       name);
    if (!place_is_empty(standby->directory_fd, "", &empty, err))
        return false;
    return empty || err_set(err, ERR_CONFIG,
                            "--to %s is not empty, and no follower has left it: name a directory that is "
                            "empty or does not exist",
                            name);
}

static bool lock(struct standby *standby, struct err *err)
{
    struct err why;

    if (state_lock(standby->directory_fd, &standby->made_folder, &standby->lock_fd, &why))
        return true;
    if (why.code != ERR_CONFIG || why.number == EACCES || why.number == EROFS) {
        *err = why;
        return err_wrap(err, "--to %s", standby->config.directory);
    }
    return err_set(err, ERR_CONFIG,
                   "--to %s is in use by another holdfast on this machine, or can't be written",
                   standby->config.directory);
}

static bool open_directory(struct standby *standby, struct err *err)
{
    const char *name = standby->config.directory;

    standby->made_directory = mkdir(name, 0755) == 0;
    if (!standby->made_directory && errno != EEXIST) {
        (void)err_errno(err, "--to %s can't be created", name);
        err->code = ERR_CONFIG;
        return false;
    }
    standby->directory_fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (standby->directory_fd < 0)
        return err_set(err, ERR_CONFIG, "--to %s is not a directory", name);
    return check_owner(standby, err) && lock(standby, err);
}

static bool load_state(struct standby *standby, struct err *err)
{
    struct manifest state;
    struct err why;

    if (standby_state_load(standby->directory_fd, &state, &why)) {
        manifest_clear(&standby->now);
        standby->now = state;
        return true;
    }
    if (why.code == ERR_NOT_FOUND) /* from here on the directory is a follower's */
        return standby_state_save(standby->directory_fd, &standby->now, err);
    *err = why;
    if (err->code != ERR_CORRUPT)
        return false;
    err->code = ERR_CONFIG;
    return err_wrap(err, "--to %s can't be gone on with: name a directory that is empty or does not exist",
                    standby->config.directory);
}

/* --- what it holds ----------------------------------------------------------------------------------- */

static bool changed(const struct standby *standby, const char *path, struct err *err)
{
    return err_set(err, ERR_CONFIG,
                   "%.200s in --to %s was changed since the follower stopped, so it can't be gone on with: "
                   "name a directory that is empty or does not exist",
                   path, standby->config.directory);
}

static bool hash_database(const struct standby *standby, int fd, const struct manifest_database *database,
                          uint64_t *ret_hash, struct err *err)
{
    CLEANUP(freep) uint8_t *piece = xmalloc(PIECE_BYTES);
    const atomic_bool *canceled = standby->config.canceled;
    uint64_t left = database->pages * database->page_size, hash = 0, at = 0;

    for (size_t size; left > 0; left -= size, at += size) {
        size = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        if (canceled && atomic_load(canceled))
            return err_set(err, ERR_CANCELED, "the follower was stopped");
        if (!fs_read_at(fd, piece, size, at, err))
            return false;
        hash ^= pagehash_of(piece, size, database->page_size, at / database->page_size + 1);
    }
    *ret_hash = hash;
    return true;
}

static bool prove_database(const struct standby *standby, const struct manifest_database *database,
                           struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;
    struct stat status;
    struct err why = {0};
    uint64_t hash = 0;

    if (!fs_open_beneath(standby->directory_fd, database->path, O_RDONLY | O_NONBLOCK, 0, &fd, &why) ||
        fstat(fd, &status) != 0 || (uint64_t)status.st_size != database->pages * database->page_size)
        return changed(standby, database->path, err);
    if (!hash_database(standby, fd, database, &hash, err))
        return false;
    return hash == database->rolling_hash || changed(standby, database->path, err);
}

/* Whoever had the database open left them: what is empty says nothing, anything else is a change. */
static bool check_side_files(const struct standby *standby, const char *database, struct err *err)
{
    static const char *const suffixes[] = {"-wal", "-journal", "-shm"};

    for (size_t at = 0; at < sizeof(suffixes) / sizeof(suffixes[0]); at++) {
        CLEANUP(freep) char *path = xasprintf("%s%s", database, suffixes[at]);
        bool is_index = strcmp(suffixes[at], "-shm") == 0;
        CLEANUP(close_fdp) int parent = -1;
        const char *name;
        struct stat status;
        if (!fs_open_parent(standby->directory_fd, path, &parent, &name, err))
            return false;
        if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (!is_index && status.st_size > 0)
            return changed(standby, path, err);
        if (unlinkat(parent, name, 0) != 0)
            return err_errno(err, "remove %s", path);
    }
    return true;
}

/* False if it is none of the three kinds that a store knows. */
static bool describe(struct walk *walk, const char *name, const struct stat *status, struct tree *tree)
{
    const char *path = walk_join(walk, name);
    char target[TREE_PATH_MAX + 1];
    ssize_t size = S_ISLNK(status->st_mode) ? readlinkat(walk->fd, name, target, sizeof(target) - 1) : 0;
    struct tree_entry *entry;

    if (size < 0 || (!S_ISLNK(status->st_mode) && !S_ISDIR(status->st_mode) && !S_ISREG(status->st_mode)))
        return false;
    entry = tree_add(tree, path, strlen(path), size > 0 ? target : NULL, (size_t)size);
    entry->kind = size > 0 ? ENTRY_SYMLINK : S_ISDIR(status->st_mode) ? ENTRY_DIRECTORY : ENTRY_FILE;
    entry->mode = (uint16_t)(status->st_mode & 07777);
    entry->uid = status->st_uid;
    entry->gid = status->st_gid;
    entry->size = S_ISDIR(status->st_mode) ? 0 : (uint64_t)status->st_size;
    entry->mtime_ns = clock_ns_of(status->st_mtim);
    return true;
}

static bool describe_current(const struct standby *standby, struct walk *walk, struct tree *tree,
                             struct err *err)
{
    for (size_t at = 0; at < walk->count; at++) {
        const char *name = walk_name(walk, at);
        const char *path = walk_join(walk, name);
        struct stat status;
        if (scan_is_reserved(path) || manifest_find_database(&standby->now, path))
            continue;
        if (strlen(path) > TREE_PATH_MAX || fstatat(walk->fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !describe(walk, name, &status, tree))
            return changed(standby, path, err);
        if (S_ISDIR(status.st_mode))
            walk_enter(walk, path);
    }
    return true;
}

static bool describe_files(struct standby *standby, struct err *err)
{
    CLEANUP(walk_clearp) struct walk walk = {0};
    CLEANUP(tree_freep) struct tree *tree = tree_new();

    walk_begin(&walk, standby->directory_fd);
    while (walk_next(&walk, err))
        if (!walk_list(&walk, err) || !describe_current(standby, &walk, tree, err))
            return false;
    if (walk.failed)
        return false;
    if (!tree_sort(tree))
        return err_set(err, ERR_SYSTEM, "a path was seen twice");
    tree_free(standby->now.tree);
    standby->now.tree = MOVE(tree);
    return true;
}

static bool prove(struct standby *standby, struct err *err)
{
    for (size_t at = 0; at < standby->now.databases_count; at++)
        if (!check_side_files(standby, standby->now.databases[at].path, err) ||
            !prove_database(standby, &standby->now.databases[at], err))
            return false;
    return describe_files(standby, err);
}

bool standby_open(const struct standby_config *config, struct standby **ret_standby, struct err *err)
{
    CLEANUP(standby_freep) struct standby *standby = xcalloc(1, sizeof(*standby));

    standby->config = *config;
    standby->name = xasprintf("--to %s", config->directory);
    standby->directory_fd = -1;
    standby->lock_fd = -1;
    manifest_init(&standby->now);
    standby->now.tree = tree_new();
    if (!open_directory(standby, err) || !standby_redo_carry_out(standby->directory_fd, err) ||
        !load_state(standby, err))
        return false;
    if (!fs_remove_tree(standby->directory_fd, STANDBY_STAGING, err) ||
        !fs_remove_tree(standby->directory_fd, STANDBY_PAGES, err) || !prove(standby, err))
        return false;
    *ret_standby = MOVE(standby);
    return true;
}

/* Of a directory that never held a copy nothing remains but what was there before. */
static void leave_untouched(const struct standby *standby)
{
    struct err ignored;
    bool empty = false;

    if (standby->now.position != 0 || standby->directory_fd < 0)
        return;
    if (standby->made_folder && place_is_empty(standby->directory_fd, "", &empty, &ignored) && empty)
        (void)!fs_remove_tree(standby->directory_fd, ".holdfast", &ignored);
    if (standby->made_directory)
        (void)rmdir(standby->config.directory);
}

void standby_free(struct standby *standby)
{
    if (!standby)
        return;
    leave_untouched(standby);
    manifest_clear(&standby->now);
    close_fdp(&standby->directory_fd);
    close_fdp(&standby->lock_fd);
    free(standby->name);
    free(standby);
}
