/* Going through a tree of directories, one directory at a time, with one descriptor however deep it is.
 *
 *     CLEANUP(walk_clearp) struct walk walk = {0};
 *     walk_begin(&walk, top_fd);
 *     while (walk_next(&walk, err))             the top first, then what was entered
 *         walk_list(&walk, err) …               its names; walk_enter(&walk, path) for those to go into
 *     if (walk.failed) …
 *
 * Each directory is opened by its whole path beneath the top, through no symlink, so a directory that
 * somebody replaces by a symlink meanwhile leads nowhere: it counts as gone. A parent always comes before
 * what is below it. One walk belongs to one thread at a time. */
#ifndef BASE_WALK_H
#define BASE_WALK_H

#include "base/buf.h"
#include "base/err.h"

enum { WALK_PATH_MAX = 4095, WALK_NAME_MAX = 255 };

struct walk_name {
    uint32_t offset;    /* in names; use walk_name() */
    unsigned char type; /* DT_… of dirent.h, where the file system tells */
};

struct walk {
    int top_fd; /* borrowed */
    int fd;     /* the current directory; -1 before the first */
    char *path; /* of the current directory; "" is the top */
    bool begun;
    bool failed; /* walk_next() returned false because of an error, not because all was seen */
    struct buf names;
    struct walk_name *entries; /* ascending by name, each once */
    size_t count;
    size_t capacity;
    char **pending; /* directories to be visited, the next one last */
    size_t pending_count;
    size_t pending_capacity;
    char joined[WALK_PATH_MAX + 1 + WALK_NAME_MAX + 1];
};

/* top_fd is borrowed for the life of the walk. */
void walk_begin(struct walk *walk, int top_fd);
/* The same, from the directory of this path on instead of the top. */
void walk_begin_at(struct walk *walk, int top_fd, const char *path);
void walk_clear(struct walk *walk); /* zeroed memory is fine */

/* Opens the next directory. One that has gone meanwhile is passed over. False at the end, and with `failed`
 * set if one can't be opened (ERR_DENIED, …). */
bool walk_next(struct walk *walk, struct err *err) CHECKED;
/* Reads the names of the current directory. It is a call of its own so that a watch can be set on the open
 * directory before it is read. */
bool walk_list(struct walk *walk, struct err *err) CHECKED;
const char *walk_name(const struct walk *walk, size_t index);
/* Is the name in the list? O(log n). */
bool walk_has(const struct walk *walk, const char *name);
/* Instead of walk_next() and walk_list(), where it is known what to look at: makes the directory of this path
 * the current one ("" is the top), without names yet. ERR_NOT_FOUND if there is none. */
bool walk_open(struct walk *walk, const char *path, struct err *err) CHECKED;
/* Lists those of the names that are there, and no others. */
void walk_pick(struct walk *walk, char *const *names, size_t count);
/* The path of a name in the current directory; valid until the next call. It may be longer than
 * WALK_PATH_MAX: such a path can't be opened as a whole. */
const char *walk_join(struct walk *walk, const char *name);
/* Whether the entry is a directory itself (a symlink is none); false if it has gone. */
bool walk_is_directory(const struct walk *walk, size_t index);
/* Visits the directory of this path later. */
void walk_enter(struct walk *walk, const char *path);

/* Removes everything below top_fd but the paths that is_kept names (NULL: none) and what is below those. A
 * directory that holds something kept stays, and so does a mount point. */
bool walk_remove(int top_fd, bool (*is_kept)(void *context, const char *path), void *context,
                 struct err *err) CHECKED;

static inline void walk_clearp(struct walk *walk)
{
    walk_clear(walk);
}

#endif
