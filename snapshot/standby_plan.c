/* What has to happen on the disk so that it holds another state: found by comparing two manifests, and by
 * what lies in staging. The result is a list that may be carried out again and again (standby_redo.h). */
#include "base/fs.h"
#include "base/walk.h"
#include "snapshot/scan.h"
#include "snapshot/standby_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The comparison under way. */
struct plan {
    const struct standby_change *change;
    struct standby_redo *redo;
    bool *touched;      /* by index in the tree after: something in the directory changes, or itself */
    char **directories; /* of staging, parents before children */
    size_t directories_count;
};

static void plan_clearp(struct plan *plan)
{
    for (size_t at = 0; at < plan->directories_count; at++)
        free(plan->directories[at]);
    free(plan->directories);
    free(plan->touched);
}

bool standby_same_attributes(const struct tree_entry *one, const struct tree_entry *other)
{
    return one->mode == other->mode && one->uid == other->uid && one->gid == other->gid &&
           one->mtime_ns == other->mtime_ns;
}

static void touch(struct plan *plan, const char *path)
{
    struct tree *tree = plan->change->after->tree;
    const struct tree_entry *entry = tree_find(tree, path);

    if (entry && entry->kind == ENTRY_DIRECTORY)
        plan->touched[entry - tree_at(tree, 0)] = true;
}

static void touch_parent(struct plan *plan, const char *path)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(freep) char *parent = slash ? strndup(path, (size_t)(slash - path)) : NULL;

    if (parent)
        touch(plan, parent);
}

/* --- staging ----------------------------------------------------------------------------------------- */

/* What was written for a record and replaced by a later one of the step under another kind, or lies beside a
 * database where SQLite would take it for a part of it, is not of the state after. */
static bool keep_staged(struct plan *plan, const char *path, struct err *err)
{
    const struct standby_change *change = plan->change;
    const struct tree_entry *entry = tree_find(change->after->tree, path);
    bool wanted =
        entry ? entry->kind != ENTRY_DIRECTORY : manifest_find_database(change->after, path) != NULL;
    CLEANUP(close_fdp) int parent = -1;
    const char *name;

    if (wanted) {
        touch_parent(plan, path);
        return !entry || entry->kind != ENTRY_SYMLINK ||
               place_seal_symlink(change->staging_fd, path, entry->uid, entry->gid, entry->mtime_ns, err);
    }
    if (!fs_open_parent(change->staging_fd, path, &parent, &name, err))
        return false;
    return unlinkat(parent, name, 0) == 0 || err_errno(err, "remove %s from staging", path);
}

static void note_directory(struct plan *plan, const char *path)
{
    size_t count = plan->directories_count;

    if ((count & (count - 1)) == 0)
        plan->directories =
            xrealloc(plan->directories, (count > 0 ? 2 * count : 1) * sizeof(plan->directories[0]));
    plan->directories[plan->directories_count++] = xstrdup(path);
}

static bool look_into_current(struct plan *plan, struct walk *walk, struct err *err)
{
    for (size_t at = 0; at < walk->count; at++) {
        const char *path = walk_join(walk, walk_name(walk, at));
        if (strcmp(path, ".holdfast") == 0)
            continue;
        if (!walk_is_directory(walk, at)) {
            if (!keep_staged(plan, path, err))
                return false;
            continue;
        }
        note_directory(plan, path);
        walk_enter(walk, path);
    }
    return true;
}

/* A directory that nothing lists and nothing lies in was only passed through. */
static bool drop_empty_directories(const struct plan *plan, struct err *err)
{
    const struct standby_change *change = plan->change;

    for (size_t left = plan->directories_count; left > 0; left--) {
        const char *path = plan->directories[left - 1], *name;
        CLEANUP(close_fdp) int parent = -1;
        if (tree_find(change->after->tree, path))
            continue;
        if (!fs_open_parent(change->staging_fd, path, &parent, &name, err))
            return false;
        if (unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY && errno != EEXIST)
            return err_errno(err, "remove %s from staging", path);
    }
    return true;
}

static bool look_into_staging(struct plan *plan, struct err *err)
{
    CLEANUP(walk_clearp) struct walk walk = {0};

    walk_begin(&walk, plan->change->staging_fd);
    while (walk_next(&walk, err))
        if (!walk_list(&walk, err) || !look_into_current(plan, &walk, err))
            return false;
    if (walk.failed || !drop_empty_directories(plan, err))
        return false;
    for (size_t at = 0; at < plan->directories_count; at++)
        touch(plan, plan->directories[at]);
    return true;
}

static bool is_staged(const struct standby_change *change, const char *path)
{
    CLEANUP(close_fdp) int parent = -1;
    struct err ignored;
    const char *name;

    return fs_open_parent(change->staging_fd, path, &parent, &name, &ignored) &&
           faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* As in any restore (place_finish.c): beside a plain file that SQLite would open lies nothing that it would
 * take for a part of it. */
static void drop_side_files(const struct standby_change *change)
{
    struct tree *tree = change->after->tree;

    for (size_t at = 0; at < tree_count(tree); at++) {
        struct tree_entry *entry = tree_at(tree, at);
        const char *stem = entry->kind != ENTRY_DIRECTORY ? scan_stem_in(tree, entry) : NULL;
        if (stem && scan_begins_like_database(
                        is_staged(change, stem) ? change->staging_fd : change->directory_fd, stem))
            entry->kind = 0;
    }
    tree_compact(tree);
}

/* --- what goes --------------------------------------------------------------------------------------- */

/* A parent that nothing lists came into being with what lay in it, and goes with the last of it. */
static void remove_unlisted_parents(struct plan *plan, const char *path)
{
    CLEANUP(freep) char *parent = xstrdup(path);

    for (char *slash; (slash = strrchr(parent, '/'));) {
        *slash = '\0';
        if (tree_find(plan->change->before->tree, parent) || tree_find(plan->change->after->tree, parent))
            return;
        standby_redo_remove(plan->redo, parent, true);
    }
}

/* Renaming replaces a file by a file; everything else has to make room. */
static void remove_unless_replaced(struct plan *plan, const char *path, bool is_directory)
{
    const struct tree_entry *entry = tree_find(plan->change->after->tree, path);
    bool to_directory = entry && entry->kind == ENTRY_DIRECTORY;
    bool to_file = entry ? !to_directory : manifest_find_database(plan->change->after, path) != NULL;

    if (is_directory ? to_directory : to_file)
        return;
    standby_redo_remove(plan->redo, path, is_directory);
    touch_parent(plan, path);
    remove_unlisted_parents(plan, path);
}

/* Databases lie in directories, and directories come before what is in them: from the last to the first. */
static void remove_old(struct plan *plan)
{
    const struct manifest *before = plan->change->before;

    for (size_t at = 0; at < before->databases_count; at++)
        remove_unless_replaced(plan, before->databases[at].path, false);
    for (size_t left = tree_count(before->tree); left > 0; left--) {
        const struct tree_entry *entry = tree_at(before->tree, left - 1);
        remove_unless_replaced(plan, tree_path(before->tree, entry), entry->kind == ENTRY_DIRECTORY);
    }
}

/* --- what changes in place --------------------------------------------------------------------------- */

static void seal_entry(struct plan *plan, const struct tree_entry *entry)
{
    struct standby_attributes attributes = {entry->mode, entry->uid, entry->gid, entry->mtime_ns};

    standby_redo_seal(plan->redo, tree_path(plan->change->after->tree, entry), &attributes);
}

/* Files that are where they were, and directories in which something changes. */
static void seal_entries(struct plan *plan)
{
    struct tree *before = plan->change->before->tree, *after = plan->change->after->tree;

    for (size_t left = tree_count(after); left > 0; left--) {
        const struct tree_entry *entry = tree_at(after, left - 1), *old;
        const char *path = tree_path(after, entry);
        if (entry->kind == ENTRY_DIRECTORY) {
            if (plan->touched[left - 1])
                seal_entry(plan, entry);
            continue;
        }
        old = entry->kind == ENTRY_FILE ? tree_find(before, path) : NULL;
        if (old && old->kind == ENTRY_FILE && !standby_same_attributes(old, entry) &&
            !is_staged(plan->change, path))
            seal_entry(plan, entry);
    }
}

/* Whether the database was, or is to be, the file that the overlay was made for. */
static const struct standby_database *overlay_of(const struct plan *plan,
                                                 const struct manifest_database *database)
{
    for (size_t at = 0; at < plan->change->databases_count; at++) {
        const struct standby_database *patched = &plan->change->databases[at];
        if (patched->fd >= 0 && patched->incarnation == database->incarnation &&
            strcmp(patched->path, database->path) == 0)
            return patched;
    }
    return NULL;
}

static void change_database(struct plan *plan, const struct manifest_database *database)
{
    const struct manifest_database *old = manifest_find_database(plan->change->before, database->path);
    const struct standby_database *patched = overlay_of(plan, database);
    struct standby_attributes attributes = {database->mode, database->uid, database->gid, database->mtime_ns};
    bool patches = patched && (patched->overlay.count > 0 || !old || old->pages != database->pages);

    if (is_staged(plan->change, database->path))
        return;
    assert(old);
    if (patches)
        standby_redo_patch(plan->redo, database->path, (uint32_t)(patched - plan->change->databases),
                           database->pages, &patched->overlay);
    if (patches || old->mode != database->mode || old->uid != database->uid || old->gid != database->gid ||
        old->mtime_ns != database->mtime_ns)
        standby_redo_seal(plan->redo, database->path, &attributes);
}

bool standby_plan(const struct standby_change *change, struct standby_redo *redo, struct err *err)
{
    CLEANUP(plan_clearp) struct plan plan = {.change = change, .redo = redo};

    drop_side_files(change);
    plan.touched = xcalloc(tree_count(change->after->tree), sizeof(plan.touched[0]));
    if (!look_into_staging(&plan, err))
        return false;
    remove_old(&plan);
    for (size_t at = 0; at < change->after->databases_count; at++)
        change_database(&plan, &change->after->databases[at]);
    seal_entries(&plan);
    return true;
}
