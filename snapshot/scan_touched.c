/* Looking only at what was touched, with the result of looking at everything.
 *
 * The tree before is copied, and what was touched is cut out and made anew. Four rules make that the same as
 * a whole scan:
 *
 * - What a name is may depend on its neighbours: "x-wal" is no file while "x" is a database. So a name is
 *   looked at with its family, all that a chain of such suffixes leads to, and the family is shown to the
 *   same code that otherwise sees a whole listing (scan_current()).
 * - A directory is taken over with all below it only if it is the very inode of before and nothing says that
 *   what is below is unknown: one that was made, or moved here, is walked.
 * - An event tells the one name by which a file was changed. Its other names show the change too, so every
 *   entry of before that shares an inode with what was looked at, or with what has gone, is looked at as
 * well.
 * - A rename is visible a moment before the kernel tells of it. An event below the new place then bears the
 *   old name. That is noticed by the directory: it has to be the inode in which the thing happened, and the
 *   one of before. If not, whoever asked has to look for newer events, or at everything (ERR_TRANSIENT). */
#include "base/buf.h"
#include "snapshot/scan_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct opened {
    char *path;
    struct stat status;
};

struct scan_part {
    struct scan scan;
    const struct scan_known *known;
    struct tree *before;
    /* Whose entries are made anew; `below`: with all that was below. look: in which step. */
    struct touched seen;
    uint64_t step;
    bool walks;            /* whole directories are being walked */
    bool is_open;          /* the walk is at the last of these: */
    struct opened *opened; /* directories in which something was looked at */
    size_t opened_count;
    uint64_t *inodes; /* that may have another name */
    size_t inodes_count;
    size_t inodes_capacity;
    struct tree_range *gone; /* of `before`, ascending */
    size_t gone_count;
};

static void part_clearp(struct scan_part *part)
{
    scan_clear(&part->scan);
    touched_clear(&part->seen);
    for (size_t at = 0; at < part->opened_count; at++)
        free(part->opened[at].path);
    free(part->opened);
    free(part->inodes);
    free(part->gone);
}

/* --- what scan.c asks -------------------------------------------------------------------------------- */

bool scan_part_wants(struct scan_part *part, const char *path)
{
    const struct touched_path *seen = touched_find(&part->seen, path);

    return seen ? seen->look == part->step : part->walks;
}

bool scan_part_knows(struct scan_part *part, const char *path, const struct stat *status)
{
    const struct touched_path *told = touched_find(part->known->touched, path);
    const struct tree_entry *old = tree_find(part->before, path);

    if (part->walks || (told && told->below) || !old || old->kind != ENTRY_DIRECTORY ||
        old->inode != status->st_ino)
        return false;
    ((struct touched_path *)(uintptr_t)touched_find(&part->seen, path))->below = false;
    return true;
}

static void note_inode(struct scan_part *part, uint64_t inode)
{
    if (part->inodes_count == part->inodes_capacity) {
        part->inodes_capacity = part->inodes_capacity ? 2 * part->inodes_capacity : 16;
        part->inodes = xrealloc(part->inodes, part->inodes_capacity * sizeof(part->inodes[0]));
    }
    part->inodes[part->inodes_count++] = inode;
}

void scan_part_note(struct scan_part *part, const struct stat *status)
{
    if (!S_ISDIR(status->st_mode) && status->st_nlink > 1)
        note_inode(part, status->st_ino);
}

/* --- one name and its family ------------------------------------------------------------------------- */

struct family {
    char **names;
    size_t count;
};

static void family_clearp(struct family *family)
{
    for (size_t at = 0; at < family->count; at++)
        free(family->names[at]);
    free(family->names);
}

static char *join(const char *directory, const char *name)
{
    return xasprintf("%s%s%s", directory, *directory ? "/" : "", name);
}

/* Whether the name is there, or was, or leads to the one that was told. */
static bool matters(const struct scan_part *part, const char *name, const char *told)
{
    CLEANUP(freep) char *path = NULL;
    struct stat status;

    if (strlen(name) > WALK_NAME_MAX)
        return false;
    if (strncmp(told, name, strlen(name)) == 0 ||
        fstatat(part->scan.walk.fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    path = join(part->scan.walk.path, name);
    return tree_find(part->before, path) != NULL;
}

/* The name and, as far as they matter, those of its side files, and of theirs. */
static void collect(struct scan_part *part, struct family *family, const char *name, const char *told)
{
    family->names = xrealloc(family->names, (family->count + 1) * sizeof(family->names[0]));
    family->names[family->count++] = xstrdup(name);
    for (size_t at = 0; at < SCAN_SUFFIXES; at++) {
        CLEANUP(freep) char *side = xasprintf("%s%s", name, scan_suffixes[at]);
        if (matters(part, side, told))
            collect(part, family, side, told);
    }
}

static bool look_at_family(struct scan_part *part, const char *name, struct err *err)
{
    CLEANUP(family_clearp) struct family family = {0};
    CLEANUP(freep) char *root = xstrdup(name);

    for (size_t length; (length = scan_stem_length(root)) > 0;)
        root[length] = '\0';
    collect(part, &family, root, name);
    part->step++;
    for (size_t at = 0; at < family.count; at++) {
        CLEANUP(freep) char *path = join(part->scan.walk.path, family.names[at]);
        if (!touched_find(&part->seen, path))
            touched_add(&part->seen, path, 0, true)->look = part->step;
    }
    walk_pick(&part->scan.walk, family.names, family.count);
    return scan_current(&part->scan, err);
}

/* --- one directory ----------------------------------------------------------------------------------- */

static void note_opened(struct scan_part *part, const char *path, const struct stat *status)
{
    part->opened = xrealloc(part->opened, (part->opened_count + 1) * sizeof(part->opened[0]));
    part->opened[part->opened_count++] = (struct opened){xstrdup(path), *status};
    part->is_open = true;
}

static bool moves(struct err *err, const char *path)
{
    return err_set(err, ERR_TRANSIENT, "the directory %s is being moved", path);
}

/* Makes it the walk's current one, if it is where it was. */
static bool open_directory(struct scan_part *part, const char *path, struct err *err)
{
    const struct tree_entry *old = *path ? tree_find(part->before, path) : NULL;
    struct stat status;

    part->is_open = false;
    if (!walk_open(&part->scan.walk, path, err))
        return err->code == ERR_NOT_FOUND ? moves(err, path) : false;
    if (fstat(part->scan.walk.fd, &status) != 0)
        return err_errno(err, "stat %s", path);
    if (*path && (!old || old->kind != ENTRY_DIRECTORY || old->inode != status.st_ino))
        return moves(err, path);
    note_opened(part, path, &status);
    return true;
}

/* directory_inode: where it was told of; 0: anywhere. */
static bool look_at(struct scan_part *part, const char *path, uint64_t directory_inode, struct err *err)
{
    CLEANUP(freep) char *directory = xstrdup(path);
    char *slash = strrchr(directory, '/');
    const char *name = slash ? path + (slash - directory) + 1 : path;

    if (scan_is_reserved(path) || touched_covers(&part->seen, path, true))
        return true;
    *(slash ? slash : directory) = '\0';
    if (*directory && globs_match(part->scan.options->exclude, directory))
        return true;
    if ((!part->is_open || strcmp(part->scan.walk.path, directory) != 0) &&
        !open_directory(part, directory, err))
        return false;
    if (slash && directory_inode != 0 &&
        directory_inode != part->opened[part->opened_count - 1].status.st_ino)
        return moves(err, directory);
    return look_at_family(part, name, err);
}

/* Walks the directories that are new. */
static bool walk_whole(struct scan_part *part, struct err *err)
{
    bool walked;

    part->walks = true;
    part->is_open = false;
    part->step++;
    walked = scan_rest(&part->scan, err);
    part->walks = false;
    return walked;
}

/* --- other names ------------------------------------------------------------------------------------- */

static void note_gone_inodes(struct scan_part *part)
{
    for (size_t range = 0; range < part->gone_count; range++) {
        for (size_t at = part->gone[range].begin; at < part->gone[range].end; at++) {
            const struct tree_entry *entry = tree_at(part->before, at);
            if (entry->kind != ENTRY_DIRECTORY && entry->inode != 0)
                note_inode(part, entry->inode);
        }
    }
    for (size_t at = 0; at < part->known->databases_count; at++)
        if (touched_covers(&part->seen, part->known->databases[at].path, true))
            note_inode(part, part->known->databases[at].inode);
}

static bool is_among(const struct tree_entry *entry, const uint64_t *inodes, size_t count)
{
    return entry->kind != ENTRY_DIRECTORY && entry->inode != 0 &&
           bsearch(&entry->inode, inodes, count, sizeof(inodes[0]), tree_compare_inodes);
}

static bool look_at_sharers(struct scan_part *part, const uint64_t *inodes, size_t count, struct err *err)
{
    size_t range = 0;

    for (size_t at = 0; at < tree_count(part->before); at++) {
        const struct tree_entry *entry = tree_at(part->before, at);
        while (range < part->gone_count && part->gone[range].end <= at)
            range++;
        if ((range < part->gone_count && part->gone[range].begin <= at) || !is_among(entry, inodes, count))
            continue;
        if (!look_at(part, tree_path(part->before, entry), 0, err))
            return false;
    }
    return walk_whole(part, err);
}

static bool look_at_other_names(struct scan_part *part, struct err *err)
{
    CLEANUP(freep) uint64_t *inodes = NULL;
    size_t count;

    part->gone = touched_ranges(&part->seen, part->before, &part->gone_count);
    note_gone_inodes(part);
    inodes = MOVE(part->inodes);
    count = part->inodes_count;
    part->inodes_count = part->inodes_capacity = 0;
    if (count == 0)
        return true;
    qsort(inodes, count, sizeof(inodes[0]), tree_compare_inodes);
    return look_at_sharers(part, inodes, count, err);
}

/* --- putting it together ----------------------------------------------------------------------------- */

/* A directory changes with its entries. */
static bool renew_opened(struct scan_part *part, struct err *err)
{
    for (size_t at = 0; at < part->opened_count; at++) {
        const struct opened *opened = &part->opened[at];
        const struct touched_path *seen = touched_find(&part->seen, opened->path);
        if (!*opened->path || (seen && !seen->below))
            continue;
        if (touched_covers(&part->seen, opened->path, true))
            return moves(err, opened->path); /* since it was opened */
        (void)touched_add(&part->seen, opened->path, 0, false);
        scan_add_entry(&part->scan, ENTRY_DIRECTORY, opened->path, &opened->status, NULL);
    }
    return true;
}

static void keep_databases(struct scan_part *part)
{
    const struct scan_known *known = part->known;
    struct scan_result *result = &part->scan.result;
    size_t count = result->databases_count;

    result->databases =
        xrealloc(result->databases, (count + known->databases_count + 1) * sizeof(result->databases[0]));
    for (size_t at = 0; at < known->databases_count; at++) {
        struct scan_database database = known->databases[at];
        if (touched_covers(&part->seen, database.path, true))
            continue;
        database.path = xstrdup(database.path);
        result->databases[count++] = database;
    }
    result->databases_count = count;
}

static void finish(struct scan_part *part, struct scan_result *ret_result)
{
    CLEANUP(tree_freep) struct tree *fresh = NULL;

    keep_databases(part);
    free(part->gone);
    part->gone = touched_ranges(&part->seen, part->before, &part->gone_count);
    scan_take_result(&part->scan, ret_result);
    fresh = ret_result->tree;
    ret_result->tree = tree_patch(part->before, part->gone, part->gone_count, fresh);
}

bool scan_touched(int directory_fd, const struct scan_options *options, const struct scan_known *known,
                  struct scan_result *ret_result, struct err *err)
{
    CLEANUP(part_clearp)
    struct scan_part part = {.scan = {.options = options}, .known = known, .before = options->before};

    assert(part.before && !known->touched->all);
    part.scan.part = &part;
    part.scan.result.tree = tree_new();
    walk_begin(&part.scan.walk, directory_fd);
    if (!walk_open(&part.scan.walk, "", err))
        return false;
    for (size_t at = 0; at < known->touched->count; at++)
        if (!look_at(&part, known->touched->list[at].path, known->touched->list[at].directory_inode, err))
            return false;
    if (!walk_whole(&part, err) || !look_at_other_names(&part, err) || !renew_opened(&part, err))
        return false;
    finish(&part, ret_result);
    return true;
}
