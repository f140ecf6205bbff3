/* Setting the old state aside.
 *
 * What is set aside is gathered in aside/<name>.unfinished, which a repeated attempt finds again and which
 * gets its name when all is done. So a path that is already in it was moved there by an attempt that didn't
 * finish, and what has the path in the data directory now was put there by that attempt: it came from the
 * store and may go. That bounds what a restore killed again and again leaves behind, and never touches what
 * is local.
 *
 * Directories are never renamed: they may hold paths that stay, overlayfs refuses it, and making them again
 * costs nothing. */
#include "snapshot/place_internal.h"

#include "base/buf.h"
#include "base/fs.h"
#include "base/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *const side_suffixes[] = {"-wal", "-shm", "-journal"};

/* The old tree on its way out. */
struct leaving {
    const struct place *place;
    int folder_fd;      /* aside/<name>.unfinished; -1: in place, nothing is kept */
    char **directories; /* of the old tree, parents before children */
    size_t count;
    size_t capacity;
};

static void leaving_clearp(struct leaving *leaving)
{
    close_fdp(&leaving->folder_fd);
    for (size_t at = 0; at < leaving->count; at++)
        free(leaving->directories[at]);
    free(leaving->directories);
}

/* --- renaming ---------------------------------------------------------------------------------------- */

/* renameat2() with RENAME_NOREPLACE; where the file system doesn't know that flag, a look first. Nobody else
 * is at work here, so the look is only a little weaker. */
bool place_rename(int from_fd, const char *from, int to_fd, const char *to)
{
    struct stat status;

    if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL)
        return false;
    if (fstatat(to_fd, to, &status, AT_SYMLINK_NOFOLLOW) == 0)
        errno = EEXIST;
    else if (errno == ENOENT)
        return renameat(from_fd, from, to_fd, to) == 0;
    return false;
}

/* There is no directory of that name: nothing, or something else, a symlink too. */
static bool is_no_directory(const struct err *err)
{
    return err->code == ERR_NOT_FOUND || err->code == ERR_CORRUPT || err->number == ENOTDIR;
}

/* The folder that what lies in the directory `path` goes to. *ret_fd is -1 if a former attempt has put
 * something else than a directory there: then all that is in the directory now came from the store. */
static bool open_aside(const struct leaving *leaving, const char *path, int *ret_fd, struct err *err)
{
    struct err why;

    *ret_fd = -1;
    if (!*path)
        return fs_open_directory(leaving->folder_fd, ".", ret_fd, err);
    if (fs_make_directories(leaving->folder_fd, path, 0700, &why) &&
        fs_open_directory_beneath(leaving->folder_fd, path, ret_fd, &why))
        return true;
    if (is_no_directory(&why))
        return true;
    *err = why;
    return false;
}

/* Moves one path that isn't a directory. */
static bool set_aside_name(int parent_fd, const char *name, int aside_fd, struct err *err)
{
    if (aside_fd >= 0 && (place_rename(parent_fd, name, aside_fd, name) || errno == ENOENT))
        return true;
    if (aside_fd >= 0 && errno != EEXIST)
        return err_errno(err, "set %s aside", name);
    if (unlinkat(parent_fd, name, 0) != 0 && errno != ENOENT)
        return err_errno(err, "remove %s, which an interrupted restore has left", name);
    return true;
}

/* --- setting the old aside --------------------------------------------------------------------------- */

static bool is_kept(const struct place *place, const char *path)
{
    return tree_find(place->kept, path) != NULL;
}

static void note_directory(struct leaving *leaving, const char *path)
{
    if (leaving->count == leaving->capacity) {
        leaving->capacity = leaving->capacity ? leaving->capacity * 2 : 16;
        leaving->directories =
            xrealloc(leaving->directories, leaving->capacity * sizeof(*leaving->directories));
    }
    leaving->directories[leaving->count++] = xstrdup(path);
}

static bool set_aside_current(struct leaving *leaving, struct walk *walk, struct err *err)
{
    CLEANUP(close_fdp) int aside_fd = -1;
    bool opened = false;

    for (size_t at = 0; at < walk->count; at++) {
        const char *name = walk_name(walk, at);
        const char *path = walk_join(walk, name);
        if (place_leaves_alone(leaving->place, path) || is_kept(leaving->place, path))
            continue;
        if (walk_is_directory(walk, at)) {
            note_directory(leaving, path);
            walk_enter(walk, path);
            continue;
        }
        if (!opened && !open_aside(leaving, walk->path, &aside_fd, err))
            return false;
        opened = true;
        if (!set_aside_name(walk->fd, name, aside_fd, err))
            return err_wrap(err, "in the directory %s", *walk->path ? walk->path : ".");
    }
    return true;
}

/* A directory that the new tree has too stays. Any other is made in the folder and removed here, in that
 * order, so that an empty directory isn't lost either; if it holds something that stays, so does it. */
static bool set_aside_directory(const struct leaving *leaving, const char *path, struct err *err)
{
    CLEANUP(close_fdp) int staged = -1;
    CLEANUP(close_fdp) int aside = -1;
    CLEANUP(close_fdp) int parent = -1;
    struct err ignored;
    const char *name;

    if (fs_open_directory_beneath(leaving->place->staging_fd, path, &staged, &ignored))
        return true;
    if (!open_aside(leaving, path, &aside, err) ||
        !fs_open_parent(leaving->place->directory_fd, path, &parent, &name, err))
        return false;
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return true;
    if (errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY)
        return err_errno(err, "set the directory %s aside", path);
    close_fdp(&aside);
    aside = -1;
    if (fs_open_parent(leaving->folder_fd, path, &aside, &name, &ignored))
        (void)unlinkat(aside, name, AT_REMOVEDIR); /* stays if something of it was set aside */
    return true;
}

static bool set_aside_old(struct leaving *leaving, struct err *err)
{
    CLEANUP(walk_clearp) struct walk walk = {0};

    walk_begin(&walk, leaving->place->directory_fd);
    while (walk_next(&walk, err))
        if (!walk_list(&walk, err) || !set_aside_current(leaving, &walk, err))
            return false;
    if (walk.failed)
        return false;
    for (size_t left = leaving->count; left > 0; left--)
        if (!set_aside_directory(leaving, leaving->directories[left - 1], err))
            return false;
    return true;
}

/* An old -wal beside a new database would be replayed into it: it goes, even where HOLDFAST_EXCLUDE names it.
 */
static bool set_aside_side_file(const struct leaving *leaving, const char *path, struct err *err)
{
    CLEANUP(close_fdp) int parent = -1;
    CLEANUP(close_fdp) int aside_fd = -1;
    CLEANUP(freep) char *directory = xstrdup(path);
    struct err why;
    struct stat status;
    char *slash = strrchr(directory, '/');
    const char *name;

    if (is_kept(leaving->place, path))
        return true;
    if (!fs_open_parent(leaving->place->directory_fd, path, &parent, &name, &why))
        return is_no_directory(&why) || (*err = why, false);
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(status.st_mode))
        return true;
    directory[slash ? slash - directory : 0] = '\0';
    if (leaving->folder_fd >= 0 && !open_aside(leaving, directory, &aside_fd, err))
        return false;
    return set_aside_name(parent, name, aside_fd, err) || err_wrap(err, "%s", path);
}

static bool set_aside_side_files(const struct leaving *leaving, const char *const *databases, size_t count,
                                 struct err *err)
{
    for (size_t at = 0; at < count; at++) {
        if (place_leaves_alone(leaving->place, databases[at]))
            continue; /* what is here stays, with its own */
        for (size_t side = 0; side < sizeof(side_suffixes) / sizeof(side_suffixes[0]); side++) {
            CLEANUP(freep) char *path = xasprintf("%s%s", databases[at], side_suffixes[side]);
            if (!set_aside_side_file(leaving, path, err))
                return false;
        }
    }
    return true;
}

static char *unfinished_name(const struct place *place)
{
    return xasprintf("%s.unfinished", place->aside);
}

static bool open_unfinished(const struct place *place, int *ret_fd, struct err *err)
{
    CLEANUP(freep) char *name = unfinished_name(place);
    CLEANUP(freep) char *path = xasprintf("aside/%s", name);

    return fs_make_directories(place->holdfast_fd, path, 0700, err) &&
           fs_open_directory_beneath(place->holdfast_fd, path, ret_fd, err);
}

bool place_set_aside(const struct place *place, const char *const *databases, size_t databases_count,
                     struct err *err)
{
    CLEANUP(leaving_clearp) struct leaving leaving = {.place = place, .folder_fd = -1};

    if (place->aside && !open_unfinished(place, &leaving.folder_fd, err))
        return false;
    if (!set_aside_side_files(&leaving, databases, databases_count, err))
        return false;
    return !place->aside || set_aside_old(&leaving, err);
}

/* --- the folder, afterwards -------------------------------------------------------------------------- */

/* What was set aside: everything but the directories that only lead to it. */
static bool count_paths(int folder_fd, size_t *ret_count, struct err *err)
{
    CLEANUP(walk_clearp) struct walk walk = {0};
    size_t count = 0;

    walk_begin(&walk, folder_fd);
    while (walk_next(&walk, err)) {
        if (!walk_list(&walk, err))
            return false;
        count += walk.count == 0 && *walk.path != '\0';
        for (size_t at = 0; at < walk.count; at++) {
            if (walk_is_directory(&walk, at))
                walk_enter(&walk, walk_join(&walk, walk_name(&walk, at)));
            else
                count++;
        }
    }
    *ret_count = count;
    return !walk.failed;
}

/* A restore that finished under the same name (its caller was killed before it could note that) keeps its
 * folder. */
static bool give_name(int aside_fd, const char *unfinished, const char *wanted, char **ret_name,
                      struct err *err)
{
    CLEANUP(freep) char *name = xstrdup(wanted);

    for (int number = 2; !place_rename(aside_fd, unfinished, aside_fd, name); number++) {
        if (errno != EEXIST)
            return err_errno(err, "rename aside/%s", unfinished);
        free(name);
        name = xasprintf("%s-%d", wanted, number);
    }
    *ret_name = MOVE(name);
    return true;
}

/* Names are times, so the greatest are the newest; the one just made stays whatever the clock says. */
static bool remove_oldest(int aside_fd, const char *newest, struct err *err)
{
    CLEANUP(walk_clearp) struct walk walk = {0};
    size_t kept = 1;

    walk_begin(&walk, aside_fd);
    if (!walk_next(&walk, err) || !walk_list(&walk, err))
        return false;
    for (size_t left = walk.count; left > 0; left--) {
        const char *name = walk_name(&walk, left - 1);
        if (strcmp(name, newest) == 0 || kept++ < PLACE_ASIDE_KEPT)
            continue;
        if (!fs_remove_tree(aside_fd, name, err))
            return err_wrap(err, "remove what was set aside long ago");
    }
    return true;
}

bool place_finish_aside(const struct place *place, size_t *ret_set_aside, struct err *err)
{
    CLEANUP(close_fdp) int aside_fd = -1;
    CLEANUP(close_fdp) int folder_fd = -1;
    CLEANUP(freep) char *unfinished = unfinished_name(place);
    CLEANUP(freep) char *name = NULL;
    size_t count = 0;

    if (!fs_open_directory_beneath(place->holdfast_fd, "aside", &aside_fd, err) ||
        !open_unfinished(place, &folder_fd, err) || !count_paths(folder_fd, &count, err))
        return false;
    if (count == 0 && !fs_remove_tree(aside_fd, unfinished, err))
        return false;
    if (count > 0 &&
        (!give_name(aside_fd, unfinished, place->aside, &name, err) || !remove_oldest(aside_fd, name, err)))
        return false;
    *ret_set_aside = count;
    return true;
}
