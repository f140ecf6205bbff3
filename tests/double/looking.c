#include "tests/double/looking.h"

#include "tests/double/scanning.h"

#include <inttypes.h>

enum { ATTEMPTS = 3 };

void looking_open(struct looking *looking, const char *exclude, const char *databases)
{
    struct err err;

    *looking = (struct looking){.exclude = globs(exclude), .databases = globs(databases)};
    scratch_open(&looking->disk);
    if (!watch_open(looking->disk.fd, looking->exclude, &looking->watch, &err) || !looking_look(looking))
        abort();
}

void looking_close(struct looking *looking)
{
    touched_clear(&looking->touched);
    scan_result_clear(&looking->found);
    watch_free(looking->watch);
    globs_free(looking->databases);
    globs_free(looking->exclude);
    scratch_close(&looking->disk);
}

static bool scan_whole(struct looking *looking, struct scan_result *ret_found)
{
    struct scan_options options = {
        .exclude = looking->exclude, .databases = looking->databases, .before = looking->found.tree};
    struct err err = {0};

    if (scan_directory(looking->disk.fd, &options, ret_found, &err))
        return true;
    printf("# %s\n", err.text);
    return false;
}

static bool scan_part(struct looking *looking, struct scan_result *ret_found, struct err *err)
{
    struct scan_options options = {
        .exclude = looking->exclude, .databases = looking->databases, .before = looking->found.tree};
    struct scan_known known = {looking->found.databases, looking->found.databases_count, &looking->touched};

    return scan_touched(looking->disk.fd, &options, &known, ret_found, err);
}

bool looking_look(struct looking *looking)
{
    struct scan_result found = {0};
    struct err err = {.code = ERR_TRANSIENT};
    bool done = false;

    touched_clear(&looking->touched);
    for (int attempt = 0; !done && attempt < ATTEMPTS && err.code == ERR_TRANSIENT; attempt++) {
        struct touched touched;
        (void)watch_take(looking->watch, &touched);
        touched_merge(&looking->touched, &touched, 1);
        done = !looking->touched.all && scan_part(looking, &found, &err);
    }
    if (!done && err.code != ERR_TRANSIENT)
        printf("# %s\n", err.text);
    if (!done && (err.code != ERR_TRANSIENT || !scan_whole(looking, &found)))
        return false;
    looking->wholes += !done && looking->found.tree;
    scan_result_clear(&looking->found);
    looking->found = found;
    return true;
}

static bool same_entry(struct tree *one, const struct tree_entry *left, struct tree *other,
                       const struct tree_entry *right)
{
    bool is_directory = left->kind == ENTRY_DIRECTORY;

    return left->kind == right->kind && left->content == right->content && left->mode == right->mode &&
           left->uid == right->uid && left->gid == right->gid && left->size == right->size &&
           left->inode == right->inode && left->extra == right->extra &&
           (is_directory || left->mtime_ns == right->mtime_ns) &&
           (left->kind == ENTRY_SYMLINK ? strcmp(tree_target(one, left), tree_target(other, right)) == 0
                                        : left->target == right->target);
}

/* -1: none. */
static ssize_t first_difference(struct tree *one, struct tree *other)
{
    for (size_t at = 0; at < tree_count(one) || at < tree_count(other); at++) {
        const struct tree_entry *left, *right;
        if (at >= tree_count(one) || at >= tree_count(other))
            return (ssize_t)at;
        left = tree_at(one, at);
        right = tree_at(other, at);
        if (strcmp(tree_path(one, left), tree_path(other, right)) != 0 ||
            !same_entry(one, left, other, right))
            return (ssize_t)at;
    }
    return -1;
}

static void tell(const char *whose, struct tree *tree, size_t at)
{
    const struct tree_entry *entry = at < tree_count(tree) ? tree_at(tree, at) : NULL;

    printf("# %s: %s", whose, entry ? tree_path(tree, entry) : "nothing more");
    if (entry)
        printf(", kind %d, inode %" PRIu64 ", size %" PRIu64 ", ctime %" PRId64, entry->kind, entry->inode,
               entry->size, entry->ctime_ns);
    printf("\n");
}

static bool same_databases(const struct scan_result *one, const struct scan_result *other)
{
    bool same = one->databases_count == other->databases_count;

    for (size_t at = 0; same && at < one->databases_count; at++)
        same = strcmp(one->databases[at].path, other->databases[at].path) == 0 &&
               one->databases[at].is_plain == other->databases[at].is_plain &&
               one->databases[at].inode == other->databases[at].inode;
    if (!same)
        printf("# %zu databases, a whole scan finds %zu, or others\n", one->databases_count,
               other->databases_count);
    return same;
}

bool looking_compare(struct tree *found, struct tree *there)
{
    ssize_t at = first_difference(found, there);

    if (at < 0)
        return true;
    tell("found", found, (size_t)at);
    tell("there", there, (size_t)at);
    return false;
}

bool looking_is_right(struct looking *looking)
{
    CLEANUP(scan_result_clearp) struct scan_result whole = {0};

    return scan_whole(looking, &whole) && looking_compare(looking->found.tree, whole.tree) &&
           same_databases(&looking->found, &whole);
}
