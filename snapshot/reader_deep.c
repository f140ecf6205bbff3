/* Points, restored for good into a scratch directory and looked at with the eyes of an application.
 *
 * reader_verify() proves that what lies in the store is what was shipped. It can't see a database that was
 * malformed when it was shipped, nor a fault of the restore itself; so here SQLite judges every database and
 * the file system every file. A directory is removed before the next point is restored: there is never more
 * than one copy on the disk. */
#include "base/fs.h"
#include "snapshot/reader_internal.h"
#include "snapshot/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

struct scratch_place {
    const struct reader_trial *trial;
    const atomic_bool *canceled;
    char *path; /* absolute, of the directory of this point */
    int fd;
    size_t faults;
};

/* --- what is there ----------------------------------------------------------------------------------- */

static void report_fault(struct scratch_place *scratch, const char *key, uint64_t record, const char *reason)
{
    const struct reader_damage *damage = scratch->trial->damage;
    CLEANUP(freep)
    char *text =
        record > 0 ? xasprintf("restored at record %" PRIu64 ": %s", record, reason) : xstrdup(reason);

    damage->report(damage->context, key, text);
    scratch->faults++;
}

/* NULL: an entry of that kind and, of a file, of that size is there. */
static const char *find_fault(int directory_fd, const char *path, mode_t kind, uint64_t size)
{
    struct stat status;

    if (fstatat(directory_fd, path, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return "it is missing";
    if ((status.st_mode & S_IFMT) != kind)
        return "it is of another kind";
    if (kind == S_IFREG && (uint64_t)status.st_size != size)
        return "its size is another";
    return NULL;
}

static mode_t kind_of(const struct tree_entry *entry)
{
    return entry->kind == ENTRY_DIRECTORY ? S_IFDIR : entry->kind == ENTRY_SYMLINK ? S_IFLNK : S_IFREG;
}

static void check_files(struct scratch_place *scratch, struct tree *tree, uint64_t record)
{
    for (size_t at = 0; at < tree_count(tree); at++) {
        const struct tree_entry *entry = tree_at(tree, at);
        const char *path = tree_path(tree, entry);
        const char *fault = find_fault(scratch->fd, path, kind_of(entry), entry->size);
        if (fault)
            report_fault(scratch, path, record, fault);
    }
}

static bool check_pages(struct scratch_place *scratch, const char *name, struct err *err)
{
    CLEANUP(freep) char *path = xasprintf("%s/%s", scratch->path, name);
    CLEANUP(sqlite_closep) struct sqlite *sqlite = NULL;

    return sqlite_open(path, &sqlite, err) && sqlite_check(sqlite, scratch->canceled, err);
}

static bool check_database(struct scratch_place *scratch, const struct manifest_database *database,
                           uint64_t record, struct err *err)
{
    uint64_t size = database->pages * database->page_size;
    const char *fault = find_fault(scratch->fd, database->path, S_IFREG, size);
    struct err why = {0};

    if (fault) {
        report_fault(scratch, database->path, record, fault);
        return true;
    }
    if (check_pages(scratch, database->path, &why))
        return true;
    if (why.code == ERR_CORRUPT) {
        report_fault(scratch, database->path, record, why.text);
        return true;
    }
    *err = why;
    if (err->code == ERR_NOT_FOUND) /* it is there, but can't be opened: no fault of the store */
        err->code = ERR_SYSTEM;
    return err_wrap(err, "check the database %s", database->path);
}

static bool inspect(void *context, struct manifest *manifest, const struct reader_result *result,
                    struct err *err)
{
    struct scratch_place *scratch = context;

    check_files(scratch, manifest->tree, result->record);
    for (size_t at = 0; at < manifest->databases_count; at++)
        if (!check_database(scratch, &manifest->databases[at], result->record, err))
            return false;
    return true;
}

/* --- where ------------------------------------------------------------------------------------------- */

static uint64_t in_mib(uint64_t bytes)
{
    return (bytes >> 20) + ((bytes & ((1 << 20) - 1)) > 0);
}

/* Where somebody else needs the room too, the records count as if they only added to the base. */
static bool check_room(void *context, const struct reader_need *need, struct err *err)
{
    const struct scratch_place *scratch = context;
    uint64_t bytes = need->base_bytes + (scratch->trial->fits_twice ? need->records_bytes : 0), room = 0;

    if (!fs_free_bytes(scratch->fd, &room, err))
        return false;
    return room / (scratch->trial->fits_twice ? 2 : 1) >= bytes ||
           err_set(err, ERR_CONFIG,
                   "%s has %" PRIu64 " MiB free and a restored copy takes %" PRIu64 " MiB%s: %s",
                   scratch->trial->directory, room >> 20, in_mib(bytes),
                   scratch->trial->fits_twice ? ", which have to fit twice" : "", scratch->trial->remedy);
}

static bool make_directory(struct scratch_place *scratch, struct err *err)
{
    CLEANUP(freep) char *parent = realpath(scratch->trial->directory, NULL);
    CLEANUP(freep) char *path = parent ? xasprintf("%s/holdfast-verify-XXXXXX", parent) : NULL;

    if (!path || !mkdtemp(path)) {
        (void)err_errno(err, "%s can't take a scratch directory (%s)", scratch->trial->directory,
                        scratch->trial->remedy);
        err->code = ERR_CONFIG;
        return false;
    }
    if (!fs_open_directory(AT_FDCWD, path, &scratch->fd, err)) {
        (void)rmdir(path);
        return false;
    }
    scratch->path = MOVE(path);
    return true;
}

/* Whatever happened before, which is what is told if there is something to tell. */
static bool remove_directory(struct scratch_place *scratch, struct err *err)
{
    bool removed = fs_remove_tree(AT_FDCWD, scratch->path, err);

    (void)close(scratch->fd);
    free(scratch->path);
    return removed;
}

/* --- points ------------------------------------------------------------------------------------------ */

/* "KEY: reason", as a restore puts it. */
static void report_restore(struct scratch_place *scratch, const struct err *why)
{
    const char *colon = strstr(why->text, ": ");
    CLEANUP(freep)
    char *key = colon ? xasprintf("%.*s", (int)(colon - why->text), why->text) : xstrdup("log/");

    report_fault(scratch, key, 0, colon ? colon + 2 : why->text);
}

/* Judges what a restore failed of: a damaged object is a finding, no room is the operator's. */
static bool explain(struct scratch_place *scratch, const struct err *why, struct err *err)
{
    if (why->code == ERR_CORRUPT) {
        report_restore(scratch, why);
        return true;
    }
    *err = *why;
    if (why->number != ENOSPC && why->number != EDQUOT)
        return false;
    return err_set(err, ERR_CONFIG, "%s became full while a point was restored: %s",
                   scratch->trial->directory, scratch->trial->remedy);
}

static bool try_point(struct store *store, struct scratch_place *scratch, struct reader_copying *how,
                      struct reader_points *points, struct err *err)
{
    struct err why = {0}, left = {0};
    bool restored;

    if (!make_directory(scratch, err))
        return false;
    how->context = scratch;
    restored = reader_copy(store, scratch->fd, how, &points->list[points->count], &why);
    points->count += restored;
    if (!remove_directory(scratch, &left) && restored) {
        *err = left;
        return err_wrap(err, "remove the scratch directory");
    }
    return restored || explain(scratch, &why, err);
}

bool reader_try(struct store *store, const struct reader_trial *trial, const struct reader_progress *progress,
                const atomic_bool *canceled, struct reader_points *ret_points, struct err *err)
{
    struct scratch_place scratch = {.trial = trial, .canceled = canceled};
    struct reader_copying how = {.at = READER_LATEST,
                                 .progress = progress,
                                 .canceled = canceled,
                                 .begin = check_room,
                                 .inspect = inspect};
    struct reader_points points = {.count = 0};
    struct reader_head head;

    if (!reader_find_head(store, &head, err) || !try_point(store, &scratch, &how, &points, err))
        return false;
    how.at = READER_OLDEST;
    /* Nothing changed behind the oldest base: the newest state is the oldest one too. */
    if ((points.count == 0 || points.list[0].record > head.header.horizon) &&
        !try_point(store, &scratch, &how, &points, err))
        return false;
    *ret_points = points;
    return scratch.faults == 0 ||
           err_set(err, ERR_CORRUPT, "%zu faults in what was restored from HOLDFAST_STORE", scratch.faults);
}
