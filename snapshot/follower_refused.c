/* Files that begin like a SQLite database and are none: damaged, cut off, of a newer format.
 *
 * SQLite refuses them, so nobody writes to them through it, and they are protected like any other file. That
 * holds for the file as it was looked at: when it has changed, or something lies in a log or a journal beside
 * it, SQLite is asked again, and what it takes for a database by then is followed as one. A file that SQLite
 * opens, but whose schema it can't read, is no such file: a newer version may be writing to it, and a copy
 * taken meanwhile would be torn. */
#include "snapshot/follower_internal.h"

#include "base/buf.h"
#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int compare_path(const void *path, const void *refused)
{
    return strcmp(path, ((const struct refused *)refused)->path);
}

static struct refused *find(const struct follower *follower, const char *path)
{
    if (follower->refused_count == 0)
        return NULL;
    return bsearch(path, follower->refused, follower->refused_count, sizeof(follower->refused[0]),
                   compare_path);
}

static struct refused *add(struct follower *follower, const char *path)
{
    size_t at = follower->refused_count++;

    follower->refused = xrealloc(follower->refused, follower->refused_count * sizeof(follower->refused[0]));
    for (; at > 0 && strcmp(path, follower->refused[at - 1].path) < 0; at--)
        follower->refused[at] = follower->refused[at - 1];
    follower->refused[at] = (struct refused){.path = xstrdup(path)};
    return &follower->refused[at];
}

static void forget(struct follower *follower, struct refused *refused)
{
    size_t at = (size_t)(refused - follower->refused);

    assert(at < follower->refused_count);
    free(refused->path);
    memmove(refused, refused + 1, (--follower->refused_count - at) * sizeof(*refused));
}

void follower_refuse(struct follower *follower, const char *path, const struct stat *status)
{
    struct avoided *avoided = follower_find_avoided(follower, path);
    struct refused *refused = find(follower, path);

    if (!refused) {
        refused = add(follower, path);
        follower_warn(
            follower,
            "%.90s begins like a SQLite database and is none that SQLite can read: it is kept as a plain "
            "file; name it in HOLDFAST_EXCLUDE, or leave it out of HOLDFAST_DATABASES",
            path);
    }
    refused->device = status->st_dev;
    refused->inode = status->st_ino;
    refused->size = (uint64_t)status->st_size;
    refused->mtime_ns = clock_ns_of(status->st_mtim);
    follower->refusals++;
    follower_touch(follower, path);
    if (avoided)
        follower_forget_avoided(follower, avoided);
}

bool follower_is_refused(void *context, const char *path, const struct stat *status)
{
    const struct refused *refused = find(context, path);

    return refused && refused->device == status->st_dev && refused->inode == status->st_ino &&
           refused->size == (uint64_t)status->st_size && refused->mtime_ns == clock_ns_of(status->st_mtim);
}

bool follower_accept(struct follower *follower, const char *path)
{
    struct refused *refused = find(follower, path);

    if (!refused)
        return false;
    forget(follower, refused);
    return true;
}

static bool is_there(const struct scan_result *scan, const char *path)
{
    bool found = tree_find(scan->tree, path) != NULL;

    for (size_t at = 0; !found && at < scan->databases_count; at++)
        found = strcmp(scan->databases[at].path, path) == 0;
    return found;
}

void follower_forget_refused(struct follower *follower, const struct scan_result *scan)
{
    for (size_t at = follower->refused_count; at > 0; at--)
        if (!is_there(scan, follower->refused[at - 1].path))
            forget(follower, &follower->refused[at - 1]);
}

void follower_clear_refused(struct follower *follower)
{
    while (follower->refused_count > 0)
        forget(follower, &follower->refused[follower->refused_count - 1]);
    free(MOVE(follower->refused));
}
