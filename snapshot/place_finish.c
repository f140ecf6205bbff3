/* The second half of a restore: the exchange of old and new.
 *
 * What makes it safe to be killed at any instant and repeated:
 *
 * - Everything new is durable before the first old path moves.
 * - Everything old that isn't kept is out of the way before the first new path moves in, so an old -wal never
 *   meets a new database. Files move in before databases, which name them.
 * - No rename replaces anything (RENAME_NOREPLACE), so no bug and no race can lose a local file.
 * - A repeated attempt tells what its forerunner has set aside from what it has put in place (place_aside.c).
 */
#include "snapshot/place_internal.h"

#include "base/buf.h"
#include "base/fs.h"
#include "base/walk.h"
#include "snapshot/scan.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct arrival {
    const struct place *place;
    const char **databases; /* ascending; also plain files that are databases by content */
    size_t databases_count;
};

static void arrival_clearp(struct arrival *arrival)
{
    free(arrival->databases);
}

static int compare_texts(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

static bool is_database(const struct arrival *arrival, const char *path)
{
    return arrival->databases_count > 0 && bsearch(&path, arrival->databases, arrival->databases_count,
                                                   sizeof(*arrival->databases), compare_texts) != NULL;
}

/* The store may hold an old side file of a database beside it: shipped as a file before there was a database
 * of that name, and dropped only a minute later (deletions wait). Moved in, a journal would be rolled back
 * into the restored database. That goes for one that travels as a plain file just as well: whatever it had
 * beside it when it was shipped is in no record. */
static bool is_side_file(const struct arrival *arrival, const char *path)
{
    CLEANUP(freep) char *stem = scan_stem(path);

    return stem && is_database(arrival, stem);
}

static bool sync_file_system(int fd, struct err *err)
{
    return syncfs(fd) == 0 ? true : err_errno(err, "make the restored files durable");
}

/* --- moving in --------------------------------------------------------------------------------------- */

static bool move_in(int from_fd, int to_fd, const char *name, struct err *err)
{
    if (place_rename(from_fd, name, to_fd, name))
        return true;
    if (errno == EEXIST)
        return err_set(err, ERR_CONFIG,
                       "%s can't be restored: something that HOLDFAST_EXCLUDE leaves out has its place",
                       name);
    return err_errno(err, "move %s into place", name);
}

static bool move_in_current(const struct arrival *arrival, struct walk *walk, struct err *err)
{
    CLEANUP(close_fdp) int to_fd = -1;

    if (*walk->path && !fs_make_directories(arrival->place->directory_fd, walk->path, 0755, err))
        return false;
    if (!fs_open_beneath(arrival->place->directory_fd, *walk->path ? walk->path : ".", O_RDONLY | O_DIRECTORY,
                         0, &to_fd, err))
        return false;
    for (size_t at = 0; at < walk->count; at++) {
        const char *path = walk_join(walk, walk_name(walk, at));
        if (walk_is_directory(walk, at))
            walk_enter(walk, path);
        else if (!is_database(arrival, path) && !is_side_file(arrival, path) &&
                 !move_in(walk->fd, to_fd, walk_name(walk, at), err))
            return err_wrap(err, "in the directory %s", *walk->path ? walk->path : ".");
    }
    return true;
}

static bool move_in_files(const struct arrival *arrival, struct err *err)
{
    CLEANUP(walk_clearp) struct walk walk = {0};

    walk_begin(&walk, arrival->place->staging_fd);
    while (walk_next(&walk, err))
        if (!walk_list(&walk, err) || !move_in_current(arrival, &walk, err))
            return false;
    return !walk.failed;
}

static bool move_in_database(const struct place *place, const char *path, struct err *err)
{
    CLEANUP(close_fdp) int from_fd = -1;
    CLEANUP(close_fdp) int to_fd = -1;
    struct stat status;
    struct err why;
    const char *name;

    if (!fs_open_parent(place->staging_fd, path, &from_fd, &name, &why))
        return why.code == ERR_NOT_FOUND || (*err = why, false); /* kept, or excluded */
    if (fstatat(from_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? true : err_errno(err, "stat the staged %s", path);
    return fs_open_parent(place->directory_fd, path, &to_fd, &name, err) &&
           move_in(from_fd, to_fd, name, err);
}

static bool exchange(const struct place *place, const struct arrival *arrival, struct err *err)
{
    if (!place_set_aside(place, arrival->databases, arrival->databases_count, err))
        return err_wrap(err, "set the old state aside");
    if (!place->aside)
        return true;
    if (!move_in_files(arrival, err))
        return false;
    for (size_t at = 0; at < arrival->databases_count; at++)
        if (!move_in_database(place, arrival->databases[at], err))
            return err_wrap(err, "%s", arrival->databases[at]);
    return true;
}

/* --- metadata ---------------------------------------------------------------------------------------- */

/* In place, other volumes may be mounted inside the data directory. Their tops are finished after all that is
 * below. */
static bool sync_mounted(int fd, struct err *err)
{
    struct stat here, above;

    if (fstat(fd, &here) != 0 || fstatat(fd, "..", &above, 0) != 0)
        return err_errno(err, "stat");
    return here.st_dev == above.st_dev || sync_file_system(fd, err);
}

static bool finish_directory(const struct place *place, const char *path, const struct tree_entry *entry,
                             struct err *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, place_time(entry->mtime_ns)};
    CLEANUP(close_fdp) int fd = -1;

    if (!fs_make_directories(place->directory_fd, path, 0755, err) ||
        !fs_open_directory_beneath(place->directory_fd, path, &fd, err) ||
        !place_set_owner_and_mode(fd, entry->mode, entry->uid, entry->gid, err))
        return false;
    if (futimens(fd, times) != 0)
        return err_errno(err, "set the time");
    return sync_mounted(fd, err);
}

bool place_seal_symlink(int directory_fd, const char *path, uint32_t uid, uint32_t gid, int64_t mtime_ns,
                        struct err *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, place_time(mtime_ns)};
    CLEANUP(close_fdp) int parent = -1;
    const char *name;

    if (!fs_open_parent(directory_fd, path, &parent, &name, err))
        return false;
    if (geteuid() == 0 && fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0 && errno != EPERM &&
        errno != EINVAL)
        return err_errno(err, "set the owner");
    if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) != 0)
        return err_errno(err, "set the time");
    return true;
}

/* From the last to the first: children before their parents, whose mode may keep us out and whose mtime every
 * change below moves. */
static bool finish_metadata(const struct arrival *arrival, struct tree *tree, struct err *err)
{
    const struct place *place = arrival->place;

    for (size_t left = tree_count(tree); left > 0; left--) {
        const struct tree_entry *entry = tree_at(tree, left - 1);
        const char *path = tree_path(tree, entry);
        bool finished = true;
        if (place_leaves_alone(place, path) || is_side_file(arrival, path))
            continue;
        if (entry->kind == ENTRY_DIRECTORY)
            finished = finish_directory(place, path, entry, err);
        else if (entry->kind == ENTRY_SYMLINK)
            finished =
                place_seal_symlink(place->directory_fd, path, entry->uid, entry->gid, entry->mtime_ns, err);
        if (!finished)
            return err_wrap(err, "%s", path);
    }
    return true;
}

/* --- all of it --------------------------------------------------------------------------------------- */

static void add_database(struct arrival *arrival, const char *path)
{
    size_t size = (arrival->databases_count + 1) * sizeof(arrival->databases[0]);

    arrival->databases = xrealloc(arrival->databases, size);
    arrival->databases[arrival->databases_count++] = path;
}

/* Those among the files that the tree has a side file of. One may come twice. */
static void add_plain_databases(struct arrival *arrival, struct tree *tree)
{
    const struct place *place = arrival->place;
    int fd = place->aside ? place->staging_fd : place->directory_fd;

    for (size_t at = 0; at < tree_count(tree); at++) {
        const char *stem = scan_stem_in(tree, tree_at(tree, at));
        if (stem && !place_leaves_alone(place, stem) && scan_begins_like_database(fd, stem))
            add_database(arrival, stem);
    }
}

static void list_databases(struct arrival *arrival, struct tree *tree, const char *const *databases,
                           size_t count)
{
    for (size_t at = 0; at < count; at++)
        add_database(arrival, databases[at]);
    add_plain_databases(arrival, tree);
    if (arrival->databases_count > 1)
        qsort(arrival->databases, arrival->databases_count, sizeof(arrival->databases[0]), compare_texts);
}

bool place_finish(struct place *place, struct tree *tree, const char *const *databases,
                  size_t databases_count, size_t *ret_set_aside, struct err *err)
{
    CLEANUP(arrival_clearp) struct arrival arrival = {.place = place};
    size_t set_aside = 0;
    bool unique;

    list_databases(&arrival, tree, databases, databases_count);
    unique = tree_sort(place->kept);
    assert(unique);
    if ((place->aside && !sync_file_system(place->directory_fd, err)) || !exchange(place, &arrival, err) ||
        !finish_metadata(&arrival, tree, err))
        return false;
    if (place->aside &&
        (!fs_remove_tree(place->holdfast_fd, "staging", err) || !place_finish_aside(place, &set_aside, err)))
        return err_wrap(err, "tidy up .holdfast");
    if (!sync_file_system(place->directory_fd, err))
        return false;
    *ret_set_aside = set_aside;
    return true;
}
