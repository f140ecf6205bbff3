/* One record's files. A put says what stands at its path from now on; a gone takes a path away with all that
 * is below it. So the sections have to be one consistent whole:
 *
 * - a directory that is gone covers what was below it, which is not said again;
 * - it can't go while a deletion below it still waits: then it stays as it was, and so it does when what took
 *   its place could not be read;
 * - what takes the place of a directory is preceded by a gone.
 *
 * Whatever is left out keeps its entry of the tree before, identity included, so that the next look finds it
 * changed again. */
#include "snapshot/changes.h"

#include "snapshot/changes_internal.h"
#include "snapshot/data_body.h"

#include <assert.h>
#include <string.h>

/* The databases in the state of the record. */
struct databases {
    const struct base_database *list;
    size_t count;
};

static struct databases databases_of(const struct changes_request *request)
{
    struct databases databases = {request->databases, request->databases_count};

    if (!request->databases && request->moment)
        databases = (struct databases){request->moment->databases, request->moment->databases_count};
    assert(databases.list || databases.count == 0);
    return databases;
}

static void forget_name(struct tree *now, const char *path, const char *suffix)
{
    CLEANUP(freep) char *name = xasprintf("%s%s", path, suffix);
    struct tree_entry *entry = tree_find(now, name);

    if (entry)
        entry->kind = 0;
}

/* One may have become a database since the scan: its names are no files any more. */
static void forget_databases(struct tree *now, const struct databases *databases)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

    for (size_t at = 0; at < databases->count; at++)
        for (size_t suffix = 0; suffix < sizeof(suffixes) / sizeof(suffixes[0]); suffix++)
            forget_name(now, databases->list[at].path, suffixes[suffix]);
    tree_compact(now);
}

/* Calls `visit` for every directory above the path, the nearest first, until it returns true. */
static bool climb(const struct changes_plan *plan, const char *path,
                  bool (*visit)(struct change *above, struct change *change), struct change *change)
{
    CLEANUP(freep) char *parent = xstrdup(path);
    char *slash;

    while ((slash = strrchr(parent, '/'))) {
        struct change *above;
        *slash = '\0';
        above = changes_plan_find(plan, parent);
        if (above && visit(above, change))
            return true;
    }
    return false;
}

static bool was_directory(const struct change *change)
{
    return change->previous && change->previous->kind == ENTRY_DIRECTORY;
}

static bool keep_above(struct change *above, struct change *change)
{
    (void)change;
    if (was_directory(above) && above->entry.kind != ENTRY_DIRECTORY)
        above->fate = FATE_STAYS;
    return false;
}

/* Directories that were above a file which has to stay, or above a database. */
static void keep_directories(struct changes_plan *plan, const struct databases *databases)
{
    struct tree *now = plan->request->now;

    for (size_t at = 0; at < tree_count(now); at++) {
        const struct tree_entry *entry = tree_at(now, at);
        if (entry->kind == ENTRY_FILE && entry->inode == 0)
            (void)climb(plan, tree_path(now, entry), keep_above, NULL);
    }
    for (size_t at = 0; at < databases->count; at++)
        (void)climb(plan, databases->list[at].path, keep_above, NULL);
}

/* What became of a directory decides over what was below it. True: it is decided. */
static bool follow_above(struct change *above, struct change *change)
{
    if (!was_directory(above))
        return false;
    if (above->kind == CHANGE_GONE) {
        if (above->fate == FATE_STAYS)
            return false; /* perhaps for the sake of something else below it */
        change->fate = FATE_COVERED;
        return true;
    }
    if (above->entry.kind == ENTRY_DIRECTORY)
        return false;
    change->fate = above->fate == FATE_STAYS ? FATE_STAYS : FATE_COVERED;
    return true;
}

/* In order of path, so that a directory is decided before what was below it. */
static void decide_gones(struct changes_plan *plan)
{
    for (size_t at = 0; at < plan->count; at++) {
        struct change *change = &plan->list[at];
        if (change->kind == CHANGE_GONE && change->fate != FATE_STAYS)
            (void)climb(plan, change->path, follow_above, change);
    }
}

static bool replaces_directory(const struct change *change)
{
    return change->kind != CHANGE_GONE && was_directory(change) && change->entry.kind != ENTRY_DIRECTORY;
}

static void write_gones(const struct changes_plan *plan, struct changes *changes)
{
    for (size_t at = 0; at < plan->count; at++) {
        const struct change *change = &plan->list[at];
        if (change->fate != FATE_APPLIED || (change->kind != CHANGE_GONE && !replaces_directory(change)))
            continue;
        data_add_gone(&changes->sections, change->path);
        changes->gones += change->kind == CHANGE_GONE;
    }
}

/* The entry as it was, but known by what the scan has found: size and times are equal. */
static void add_unchanged(struct tree *after, const struct tree *previous, const struct tree_entry *before,
                          const struct tree_entry *now)
{
    struct tree_entry *entry = tree_add_copy(after, previous, before);

    if (now && now->inode != 0) {
        entry->inode = now->inode;
        entry->ctime_ns = now->ctime_ns;
    }
}

static struct tree_entry *add_changed(struct tree *after, const struct changes_request *request,
                                      const struct change *change)
{
    struct tree_entry *entry = tree_add_copy(after, request->now, &change->entry);

    if (change->pieces.count > 0)
        tree_set_pieces(after, entry, change->pieces.list, change->pieces.count);
    else if (change->frame)
        tree_set_inline(entry, TREE_FRAME_IN_RECORD, (uint32_t)request->tag); /* the record's position */
    return entry;
}

static void apply(const struct changes_plan *plan, const struct change *change, struct changes *changes)
{
    const struct changes_request *request = plan->request;

    /* Without its inode: it has moved since the scan. */
    if (change->fate == FATE_STAYS || (change->kind == CHANGE_READ && change->entry.inode == 0))
        (void)touched_add(&changes->again, change->path, 0, true);
    if (change->fate == FATE_SAME) {
        add_unchanged(changes->after, request->previous, change->previous, &change->entry);
    } else if (change->fate == FATE_STAYS) {
        changes->left += change->kind != CHANGE_GONE && !change->failed;
        if (change->previous)
            add_unchanged(changes->after, request->previous, change->previous, NULL);
    } else if (change->kind != CHANGE_GONE) {
        const struct tree_entry *entry = add_changed(changes->after, request, change);
        data_add_put(&changes->sections, changes->after, entry, change->frame, change->frame_size);
        changes->puts++;
    }
}

/* Along `previous`, `now` and the list at once: what is in no change is unchanged. */
static void write_puts(const struct changes_plan *plan, struct changes *changes)
{
    struct tree *previous = plan->request->previous, *now = plan->request->now;
    size_t next = 0, old = 0, seen = 0;

    while (next < plan->count || old < tree_count(previous)) {
        const struct change *change = next < plan->count ? &plan->list[next] : NULL;
        const struct tree_entry *before = old < tree_count(previous) ? tree_at(previous, old) : NULL;
        int order = !change ? 1 : !before ? -1 : strcmp(change->path, tree_path(previous, before));
        if (order > 0)
            add_unchanged(changes->after, previous, before,
                          tree_seek(now, &seen, tree_path(previous, before)));
        else
            apply(plan, change, changes);
        next += order <= 0;
        old += order >= 0;
    }
}

static bool drops_pieces(const struct changes_plan *plan)
{
    for (size_t at = 0; at < plan->count; at++) {
        const struct change *change = &plan->list[at];
        if (change->previous && change->previous->content == CONTENT_PIECES &&
            (change->fate == FATE_APPLIED || change->fate == FATE_COVERED))
            return true;
    }
    return false;
}

/* Blobs whose last name is gone. What is above the limit costs space until it is swept, and nothing else. */
static void list_dropped(const struct changes_plan *plan, struct changes *changes)
{
    enum { DROPPED_MAX = CHANGES_DROPPED_MAX / (8 + HASH_SIZE) - 1 };
    struct blob_names after;

    if (!drops_pieces(plan))
        return;
    after = blob_names_of(changes->after);
    changes->dropped = blob_names_of(plan->request->previous);
    blob_names_subtract(&changes->dropped, &after);
    blob_names_clear(&after);
    if (changes->dropped.count > DROPPED_MAX)
        changes->dropped.count = DROPPED_MAX;
    data_add_dropped(&changes->sections, changes->dropped.list, changes->dropped.count);
}

static bool write_record(struct changes_plan *plan, struct changes *changes, struct err *err)
{
    struct databases databases = databases_of(plan->request);
    bool sorted;

    keep_directories(plan, &databases);
    decide_gones(plan);
    write_gones(plan, changes);
    write_puts(plan, changes);
    sorted = tree_sort(changes->after);
    assert(sorted);
    tree_trim(changes->after);
    list_dropped(plan, changes);
    if (!changes->sections.overflowed)
        return true;
    /* Only if files have grown by hundreds of pieces since the scan. */
    return err_set(err, ERR_CONFLICT, "the changed files are more than a record can name");
}

/* What vanished without ever having been shipped waits as if it had been. */
static void hold_deletions(const struct changes_request *request)
{
    CLEANUP(tree_freep) struct tree *before = NULL;
    struct databases databases = databases_of(request);

    forget_databases(request->now, &databases);
    pending_hold(request->pending, request->now, request->previous);
    if (request->moment) {
        before = pending_with_vanished(request->pending, request->now, request->previous);
        deletions_hold(request->deletions, before ? before : request->previous, request->now,
                       request->moment);
    }
    pending_forget(request->pending, request->now);
}

bool changes_collect(const struct changes_request *request, struct changes *ret_changes, struct err *err)
{
    CLEANUP(changes_plan_clear) struct changes_plan plan = {0};
    CLEANUP(changes_clearp) struct changes changes = {0};

    assert(request->previous && request->now && request->tag > 0);
    changes.sections = (struct buf)BUF_INIT(request->body_max + CHANGES_DROPPED_MAX);
    changes.after = tree_new();
    changes.again.most = TOUCHED_MAX;
    hold_deletions(request);
    if (!changes_plan_make(request, &plan, err) || !changes_read(&plan, &changes, err) ||
        !write_record(&plan, &changes, err))
        return err_wrap(err, "the changed files");
    *ret_changes = changes;
    changes = (struct changes){0};
    return true;
}

void changes_clear(struct changes *changes)
{
    buf_clear(&changes->sections);
    tree_free(changes->after);
    touched_clear(&changes->again);
    blob_names_clear(&changes->dropped);
    *changes = (struct changes){0};
}
