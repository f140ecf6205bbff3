/* Where two trees differ: both are in order of path, so one walk along them finds it.
 *
 * A file is unchanged if its inode, size, mtime and ctime are: the ctime can't be set, so nothing was written
 * in between. A directory's mtime says no more than its entries do and doesn't count. */
#include "snapshot/changes_internal.h"

#include <string.h>

enum {
    SECTION_BYTES = 96, /* more than a section has beside path, target, content and pieces */
    PIECE_BYTES = 45,
};

static bool same_owner(const struct tree_entry *one, const struct tree_entry *other)
{
    return one->mode == other->mode && one->uid == other->uid && one->gid == other->gid;
}

static bool is_unchanged(const struct changes_request *request, const struct tree_entry *entry,
                         const struct tree_entry *previous)
{
    if (entry->kind != previous->kind || !same_owner(entry, previous))
        return false;
    if (entry->kind == ENTRY_DIRECTORY)
        return true;
    if (entry->kind == ENTRY_SYMLINK)
        return entry->mtime_ns == previous->mtime_ns &&
               strcmp(tree_target(request->now, entry), tree_target(request->previous, previous)) == 0;
    return previous->inode != 0 && entry->inode == previous->inode && entry->size == previous->size &&
           entry->mtime_ns == previous->mtime_ns && entry->ctime_ns == previous->ctime_ns;
}

/* One that vanished and has to stay is what `previous` has, unless it was seen since then and kept. */
static bool is_kept(const struct changes_request *request, const struct tree_entry *entry, const char *path)
{
    return entry->kind == ENTRY_FILE && entry->inode == 0 && !pending_has(request->pending, path);
}

static void add(struct changes_plan *plan, const struct change *change)
{
    uint64_t pieces = (change->entry.size + TREE_PIECE_SIZE - 1) / TREE_PIECE_SIZE;

    if (plan->count == plan->capacity) {
        plan->capacity = plan->capacity ? 2 * plan->capacity : 16;
        plan->list = xrealloc(plan->list, plan->capacity * sizeof(plan->list[0]));
    }
    plan->list[plan->count++] = *change;
    plan->body_bytes += SECTION_BYTES + strlen(change->path);
    if (change->previous) /* perhaps one to say that it is gone */
        plan->body_bytes += SECTION_BYTES + strlen(change->path);
    if (change->kind == CHANGE_PUT && change->entry.kind == ENTRY_SYMLINK)
        plan->body_bytes += (size_t)change->entry.size;
    if (change->kind == CHANGE_READ)
        plan->body_bytes += (size_t)pieces * PIECE_BYTES;
}

static void compare(struct changes_plan *plan, const struct tree_entry *entry,
                    const struct tree_entry *previous)
{
    const struct changes_request *request = plan->request;
    const char *path = tree_path(request->now, entry);

    if (is_kept(request, entry, path) || (previous && is_unchanged(request, entry, previous)))
        return;
    add(plan, &(struct change){.path = path,
                               .entry = *entry,
                               .previous = previous,
                               .kind = entry->kind == ENTRY_FILE ? CHANGE_READ : CHANGE_PUT,
                               .large = entry->kind == ENTRY_FILE && entry->size > TREE_INLINE_MAX});
}

static void walk_both(struct changes_plan *plan)
{
    struct tree *now = plan->request->now, *previous = plan->request->previous;
    size_t at = 0, old = 0;

    while (at < tree_count(now) || old < tree_count(previous)) {
        const struct tree_entry *entry = at < tree_count(now) ? tree_at(now, at) : NULL;
        const struct tree_entry *before = old < tree_count(previous) ? tree_at(previous, old) : NULL;
        int order = !entry ? 1 : !before ? -1 : strcmp(tree_path(now, entry), tree_path(previous, before));
        if (order > 0)
            add(plan, &(struct change){
                          .path = tree_path(previous, before), .previous = before, .kind = CHANGE_GONE});
        else
            compare(plan, entry, order == 0 ? before : NULL);
        at += order <= 0;
        old += order >= 0;
    }
}

/* Naming a content that is in the store costs a look at all that the tree before names: only where there is
 * something to find. */
static bool may_find_names(const struct changes_plan *plan)
{
    uint64_t small = 0;

    for (size_t at = 0; at < plan->count; at++) {
        const struct change *change = &plan->list[at];
        if (change->kind != CHANGE_READ)
            continue;
        if (change->large)
            return true;
        small += change->entry.size;
    }
    return plan->body_bytes + small > plan->request->body_max;
}

bool changes_plan_make(const struct changes_request *request, struct changes_plan *ret_plan, struct err *err)
{
    struct changes_plan plan = {.request = request};

    walk_both(&plan);
    if (plan.body_bytes > request->body_max) {
        size_t count = plan.count;
        changes_plan_clear(&plan);
        return err_set(err, ERR_CONFLICT, "%zu changed files are more than a record can name", count);
    }
    plan.wants_names = may_find_names(&plan);
    *ret_plan = plan;
    return true;
}

void changes_plan_clear(struct changes_plan *plan)
{
    for (size_t at = 0; at < plan->count; at++) {
        free(plan->list[at].frame);
        free(plan->list[at].pieces.list);
    }
    free(plan->list);
    *plan = (struct changes_plan){0};
}

static int compare_path(const void *left, const void *right)
{
    const struct change *one = left;
    const struct change *other = right;

    return strcmp(one->path, other->path);
}

struct change *changes_plan_find(const struct changes_plan *plan, const char *path)
{
    struct change wanted = {.path = path};

    if (plan->count == 0)
        return NULL;
    return bsearch(&wanted, plan->list, plan->count, sizeof(wanted), compare_path);
}
