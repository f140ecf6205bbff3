/* Whether this disk and the newest record differ, for where no event tells. */
#include "snapshot/shipper_internal.h"

#include <string.h>

static bool same_entry(const struct tree_entry *one, const struct tree_entry *other)
{
    return one->kind == other->kind && one->size == other->size && one->mode == other->mode &&
           one->uid == other->uid && one->gid == other->gid &&
           (one->kind == ENTRY_DIRECTORY || one->mtime_ns == other->mtime_ns);
}

bool shipper_same_databases(const struct shipper *shipper)
{
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);
    bool same = count == shipper->previous.databases_count;

    for (size_t at = 0; same && at < count; at++)
        same = strcmp(databases[at].path, shipper->previous.databases[at].path) == 0 &&
               databases[at].incarnation == shipper->previous.databases[at].incarnation;
    return same;
}

static bool same_trees(struct tree *now, struct tree *before)
{
    bool same = tree_count(now) == tree_count(before);

    for (size_t at = 0; same && at < tree_count(now); at++) {
        const struct tree_entry *entry = tree_at(now, at);
        const struct tree_entry *old = tree_find(before, tree_path(now, entry));
        same = old && same_entry(entry, old);
    }
    return same;
}

bool shipper_differs(struct shipper *shipper, bool final, bool *ret_differs, struct err *err)
{
    struct tree *before = shipper->has_previous ? shipper->previous.tree : NULL;
    struct data_attributes changed[DATABASE_FREEZE_MAX];
    struct tree *tree = NULL;
    bool steady = false;

    if (!follower_refresh(shipper->follower, FOLLOWER_WHOLE, before, &tree, &steady, err))
        return false;
    if (!final)
        shipper_hold_deletions(shipper, tree, follower_commits(shipper->follower));
    *ret_differs = !steady || !before || !shipper_same_databases(shipper) || !same_trees(tree, before) ||
                   (final && shipper_list_attributes(shipper, changed) > 0);
    tree_free(tree);
    return true;
}
