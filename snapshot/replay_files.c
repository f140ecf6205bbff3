/* Files, as the records change them.
 *
 * The newest word about a path counts, so only small files, whose content is in the record at hand, are
 * written as they come. Everything else waits for the end: a large file may be put ten times and be fetched
 * once, and the blobs of the nine before may be gone from the store. What a change takes away is removed at
 * once, so that nothing stands in the way of what comes. */
#include "snapshot/replay_internal.h"

#include <assert.h>
#include <string.h>

static const struct tree_entry *find_file(struct replay *replay, const char *path)
{
    const struct tree *tree;

    return overlay_find(replay->files, path, &tree);
}

/* --- making room ------------------------------------------------------------------------------------- */

/* A parent that nothing lists came into being with what lay in it, and goes with the last of it. */
static bool remove_unlisted_parents(struct replay *replay, const char *path, struct err *err)
{
    CLEANUP(freep) char *parent = xstrdup(path);

    for (char *slash; (slash = strrchr(parent, '/'));) {
        *slash = '\0';
        if (find_file(replay, parent))
            return true;
        if (!place_remove(replay->config.place, parent, err))
            return false;
    }
    return true;
}

bool replay_unplace(struct replay *replay, const char *path, struct err *err)
{
    if (!replay->config.place)
        return true;
    return place_remove(replay->config.place, path, err) &&
           (!replay->has_unlisted_parents || remove_unlisted_parents(replay, path, err));
}

static bool remove_path(struct replay *replay, const char *path, struct err *err)
{
    overlay_remove(replay->files, path);
    return replay_unplace(replay, path, err);
}

static void free_paths(char **paths, size_t count)
{
    for (size_t at = 0; at < count; at++)
        free(paths[at]);
    free(paths);
}

/* From the last to the first: children before their parents. */
static bool remove_below(struct replay *replay, const char *path, struct err *err)
{
    size_t count = 0;
    char **paths = overlay_below(replay->files, path, &count);
    bool removed = true;

    for (size_t left = count; removed && left > 0; left--)
        removed = remove_path(replay, paths[left - 1], err);
    free_paths(paths, count);
    return removed;
}

static const char *live_database_below(const struct replay *replay, const char *path)
{
    size_t size = strlen(path);

    for (size_t at = 0; at < replay->databases_count; at++) {
        const struct replay_database *database = &replay->databases[at];
        if (!database->gone && strncmp(database->state.path, path, size) == 0 &&
            database->state.path[size] == '/')
            return database->state.path;
    }
    return NULL;
}

bool replay_clear_path(struct replay *replay, const char *path, struct err *err)
{
    const struct tree_entry *entry = find_file(replay, path);
    const char *below = live_database_below(replay, path);
    bool holds = entry ? entry->kind == ENTRY_DIRECTORY : replay->has_unlisted_parents;

    if (below)
        return err_set(err, ERR_CORRUPT, "%.200s lies below what is to be no directory", below);
    if (holds && !remove_below(replay, path, err))
        return false;
    return (!entry && !holds) || remove_path(replay, path, err);
}

/* What is above the path, from the top: visits each until it is told to stop. */
static bool visit_parents(struct replay *replay, const char *path,
                          bool (*visit)(struct replay *replay, const char *parent, struct err *err),
                          struct err *err)
{
    char parent[TREE_PATH_MAX + 1];

    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t size = (size_t)(slash - path);
        assert(size < sizeof(parent));
        memcpy(parent, path, size);
        parent[size] = '\0';
        if (replay_live_database(replay, parent))
            return err_set(err, ERR_CORRUPT, "%.200s lies below a database", path);
        if (!visit(replay, parent, err))
            return err_wrap(err, "%.200s", path);
    }
    return true;
}

static bool clear_parent(struct replay *replay, const char *parent, struct err *err)
{
    const struct tree_entry *entry = find_file(replay, parent);

    replay->has_unlisted_parents = replay->has_unlisted_parents || !entry;
    return !entry || entry->kind == ENTRY_DIRECTORY || replay_clear_path(replay, parent, err);
}

bool replay_clear_way(struct replay *replay, const char *path, struct err *err)
{
    return visit_parents(replay, path, clear_parent, err);
}

static bool check_parent(struct replay *replay, const char *parent, struct err *err)
{
    const struct tree_entry *entry = find_file(replay, parent);

    replay->has_unlisted_parents = replay->has_unlisted_parents || !entry;
    return !entry || entry->kind == ENTRY_DIRECTORY ||
           err_set(err, ERR_CORRUPT, "what it lies in is no directory");
}

/* --- sections ---------------------------------------------------------------------------------------- */

static bool write_small_file(struct replay *replay, const struct data_put *put, const char *path,
                             struct err *err)
{
    const struct tree_entry *entry = put->entry;
    uint8_t content[TREE_INLINE_MAX];
    CLEANUP(close_fdp) int fd = -1;

    assert(entry->size <= sizeof(content));
    return codec_decompress(replay->codec, put->frame, put->frame_size, content, entry->size, err) &&
           place_file(replay->config.place, path, entry->size, &fd, err) &&
           place_write(fd, content, entry->size, 0, err) &&
           place_seal(fd, entry->mode, entry->uid, entry->gid, entry->mtime_ns, err);
}

/* Whatever stood there makes room, but a directory that stays one. */
static bool make_room(struct replay *replay, const struct tree_entry *entry, const char *path,
                      struct err *err)
{
    const struct tree_entry *old = find_file(replay, path);
    struct replay_database *database = replay_live_database(replay, path);

    if (database && !replay_drop_database(replay, database, err))
        return false;
    if (entry->kind == ENTRY_DIRECTORY && (!old || old->kind == ENTRY_DIRECTORY))
        return true;
    return replay_clear_path(replay, path, err);
}

bool replay_put(struct replay *replay, const struct data_put *put, struct err *err)
{
    const char *path = tree_path(put->tree, put->entry);
    struct tree_entry *entry;

    if (replay->record->position <= replay->files_at)
        return true;
    if (!visit_parents(replay, path, check_parent, err) || !make_room(replay, put->entry, path, err))
        return false;
    if (replay->config.place && put->entry->content == CONTENT_INLINE &&
        !write_small_file(replay, put, path, err))
        return err_wrap(err, "%.200s", path);
    entry = overlay_put(replay->files, put->tree, put->entry);
    if (entry->content == CONTENT_INLINE)
        tree_set_inline(entry, TREE_FRAME_IN_RECORD, (uint32_t)replay->record->position);
    return true;
}

/* A database below stays, and its directory with it, unlisted. */
bool replay_gone(struct replay *replay, const char *path, struct err *err)
{
    const struct tree_entry *entry = find_file(replay, path);

    if (replay->record->position <= replay->files_at || !entry)
        return true;
    if (entry->kind == ENTRY_DIRECTORY && live_database_below(replay, path))
        replay->has_unlisted_parents = true;
    if (entry->kind == ENTRY_DIRECTORY && !remove_below(replay, path, err))
        return false;
    return remove_path(replay, path, err);
}

static bool is_listed(struct replay *replay, const char *parent, struct err *err)
{
    (void)err;
    return find_file(replay, parent) != NULL;
}

/* Neighbours mostly share their parent. */
static bool has_same_parent(const char *one, const char *other)
{
    const char *slash = strrchr(one, '/');
    size_t size = slash ? (size_t)(slash - one) + 1 : 0;

    return strncmp(one, other, size) == 0 && !strchr(other + size, '/');
}

bool replay_find_unlisted_parents(struct replay *replay)
{
    struct tree *tree = replay->config.manifest->tree;
    const char *previous = "";
    struct err ignored = {0};

    for (size_t at = 0; at < tree_count(tree); at++) {
        const char *path = tree_path(tree, tree_at(tree, at));
        if (!has_same_parent(previous, path) && !visit_parents(replay, path, is_listed, &ignored))
            return true;
        previous = path;
    }
    for (size_t at = 0; at < replay->databases_count; at++)
        if (!visit_parents(replay, replay->databases[at].state.path, is_listed, &ignored))
            return true;
    return false;
}

/* --- the rest, at the end ---------------------------------------------------------------------------- */

/* What was put, without the small files: those are there. */
static struct tree *unwritten(struct replay *replay)
{
    struct tree *tree = overlay_puts(replay->files);

    for (size_t at = 0; at < tree_count(tree); at++)
        if (tree_at(tree, at)->content == CONTENT_INLINE)
            tree_at(tree, at)->kind = 0;
    tree_compact(tree);
    return tree;
}

/* The same as restoring a base that holds these files and nothing else. */
bool replay_write_files(struct replay *replay, struct err *err)
{
    CLEANUP(tree_freep) struct tree *tree = unwritten(replay);
    struct manifest manifest;
    CLEANUP(restore_freep) struct restore *restore = NULL; /* the last: its threads read the two */
    bool written;

    if (tree_count(tree) == 0)
        return true;
    manifest_init(&manifest);
    manifest.tree = tree;
    written =
        restore_open(replay->config.store, &manifest, NULL, NULL, replay->config.canceled, &restore, err) &&
        restore_release(restore, replay->config.place, err) && restore_wait(restore, err);
    if (written)
        replay->objects += restore_objects(restore);
    return written;
}
