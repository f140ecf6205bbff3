#include "tests/double/placing.h"

#include "base/walk.h"
#include "tests/double/scratch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

void (*placing_on_sync)(void);

/* Stands before libc's. Nothing here outlives the machine, and the disk is busy with other tests. */
int syncfs(int fd)
{
    (void)fd;
    if (placing_on_sync)
        placing_on_sync();
    return 0;
}

static void add_to_tree(struct tree *tree, const struct placed *placed)
{
    const char *target = placed->kind == 'l' ? placed->content : NULL;
    struct tree_entry *entry =
        tree_add(tree, placed->path, strlen(placed->path), target, target ? strlen(target) : 0);

    entry->kind = placed->kind == 'd' ? ENTRY_DIRECTORY : placed->kind == 'l' ? ENTRY_SYMLINK : ENTRY_FILE;
    entry->mode = (uint16_t)placed->mode;
    entry->uid = geteuid();
    entry->gid = getegid();
    entry->mtime_ns = placed->mtime_ns;
    entry->size = placed->content ? strlen(placed->content) : 0;
}

static bool place_content(struct place *place, const struct placed *placed, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;
    size_t size = strlen(placed->content) + (placed->kind == 's');

    return place_file(place, placed->path, size, &fd, err) &&
           place_write(fd, placed->content, size, 0, err) &&
           place_seal(fd, placed->mode, geteuid(), getegid(), placed->mtime_ns, err);
}

static bool place_one(struct place *place, const struct placed *placed, struct err *err)
{
    switch (placed->kind) {
    case 'd':
        return place_directory(place, placed->path, err);
    case 'l':
        return place_symlink(place, placed->path, placed->content, err);
    case 'k':
        place_keep(place, placed->path);
        return true;
    default:
        return place_content(place, placed, err);
    }
}

bool placing_restore(int directory_fd, const char *aside, const char *exclude, const struct placed *placed,
                     size_t count, size_t *ret_set_aside, struct err *err)
{
    CLEANUP(place_freep) struct place *place = NULL;
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    const char *databases[PLACED_MAX];
    size_t databases_count = 0;

    if (count > PLACED_MAX)
        abort();
    for (size_t at = 0; at < count; at++) {
        if (placed[at].kind == 'b')
            databases[databases_count++] = placed[at].path;
        else
            add_to_tree(tree, &placed[at]);
    }
    if (!tree_sort(tree))
        abort();
    if (!place_begin(directory_fd, aside, exclude, &place, err))
        return false;
    for (size_t at = 0; at < count; at++)
        if (!place_one(place, &placed[at], err))
            return false;
    return place_finish(place, tree, databases, databases_count, ret_set_aside, err);
}

static void list_one(struct walk *walk, size_t index, struct buf *text)
{
    const char *name = walk_name(walk, index);
    const char *path = walk_join(walk, name);
    struct stat status = scratch_stat(walk->fd, name);

    if (S_ISDIR(status.st_mode)) {
        buf_printf(text, "%s/\n", path);
        walk_enter(walk, path);
    } else if (S_ISLNK(status.st_mode)) {
        char target[4096] = "";
        if (readlinkat(walk->fd, name, target, sizeof(target) - 1) < 0)
            abort();
        buf_printf(text, "%s -> %s\n", path, target);
    } else {
        CLEANUP(freep) char *content = scratch_read(walk->fd, name);
        buf_printf(text, "%s = %s\n", path, content ? content : "(unreadable)");
    }
}

void placing_list(int directory_fd, struct buf *text)
{
    CLEANUP(walk_clearp) struct walk walk = {0};
    struct err err;

    walk_begin(&walk, directory_fd);
    while (walk_next(&walk, &err)) {
        if (!walk_list(&walk, &err))
            abort();
        for (size_t at = 0; at < walk.count; at++)
            if (*walk.path || strcmp(walk_name(&walk, at), ".holdfast") != 0)
                list_one(&walk, at, text);
    }
    if (walk.failed)
        abort();
}
