#include "snapshot/deletions.h"

#include "base/buf.h"
#include "snapshot/scan.h"

#include <assert.h>
#include <string.h>

enum { HOLD_MS = 60 * 1000 };

static int compare_path(const void *left, const void *right)
{
    const struct deletion *one = left;
    const struct deletion *other = right;

    return strcmp(one->path, other->path);
}

static const struct deletion *find(const struct deletions *deletions, const char *path)
{
    struct deletion wanted = {.path = (char *)(uintptr_t)path};

    if (deletions->count == 0)
        return NULL;
    return bsearch(&wanted, deletions->list, deletions->count, sizeof(wanted), compare_path);
}

/* Something else stands where its folder was: it can't stay under that. */
static bool is_buried(struct tree *now, const char *path)
{
    CLEANUP(freep) char *parent = xstrdup(path);
    char *slash;

    while ((slash = strrchr(parent, '/'))) {
        const struct tree_entry *entry;
        *slash = '\0';
        entry = tree_find(now, parent);
        if (entry && entry->kind != ENTRY_DIRECTORY)
            return true;
    }
    return false;
}

/* A file that had no byte yet when it was first seen was a file like any other. */
static bool is_of_database(const struct deletion_moment *moment, const char *path)
{
    size_t stem = scan_stem_length(path);

    for (size_t at = 0; at < moment->databases_count; at++) {
        const char *database = moment->databases[at].path;
        if (strcmp(database, path) == 0 ||
            (stem > 0 && strncmp(database, path, stem) == 0 && database[stem] == '\0'))
            return true;
    }
    return false;
}

static void add(struct deletions *deletions, const char *path, uint64_t since_ms, uint64_t commits)
{
    deletions->list = xrealloc(deletions->list, (deletions->count + 1) * sizeof(deletions->list[0]));
    deletions->list[deletions->count++] = (struct deletion){xstrdup(path), since_ms, commits};
}

/* Puts the entry as it was into the fresh tree; whoever cuts the base finds its content in the one before. */
static void keep(struct tree *before, const struct tree_entry *old, struct tree *now)
{
    const char *path = tree_path(before, old);
    struct tree_entry *entry = tree_add(now, path, strlen(path), NULL, 0);

    entry->kind = ENTRY_FILE;
    entry->size = old->size;
    entry->mode = old->mode;
    entry->uid = old->uid;
    entry->gid = old->gid;
    entry->mtime_ns = old->mtime_ns;
}

void deletions_clear(struct deletions *deletions)
{
    for (size_t at = 0; at < deletions->count; at++)
        free(deletions->list[at].path);
    free(deletions->list);
    *deletions = (struct deletions){0};
}

/* The commit that un-names the file must be in the very state that no longer has it: one that came after the
 * databases were frozen is not. */
static bool may_go(const struct deletion *known, const struct deletion_moment *moment)
{
    return known && moment->now_ms - known->since_ms >= HOLD_MS &&
           (moment->databases_count == 0 || moment->commits_frozen > known->commits);
}

void deletions_hold(struct deletions *deletions, struct tree *before, struct tree *now,
                    const struct deletion_moment *moment)
{
    struct deletions kept = {0};
    CLEANUP(freep) size_t *held = xmalloc(tree_count(before) * sizeof(held[0]));
    size_t held_count = 0, seen = 0;

    for (size_t at = 0; at < tree_count(before); at++) {
        const struct tree_entry *old = tree_at(before, at);
        const char *path = tree_path(before, old);
        const struct deletion *known;
        if (old->kind != ENTRY_FILE || tree_seek(now, &seen, path) || is_buried(now, path) ||
            is_of_database(moment, path))
            continue;
        known = find(deletions, path);
        if (may_go(known, moment))
            continue;
        add(&kept, path, known ? known->since_ms : moment->now_ms,
            known ? known->commits : moment->commits_seen);
        held[held_count++] = at;
    }
    /* Added last, since tree_find() needs the order that an addition breaks. */
    for (size_t at = 0; at < held_count; at++)
        keep(before, tree_at(before, held[at]), now);
    if (held_count > 0) {
        bool unique = tree_sort(now);
        assert(unique);
    }
    deletions_clear(deletions);
    *deletions = kept;
}
