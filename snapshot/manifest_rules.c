/* What a manifest must be, beyond its bytes being readable.
 *
 * A restore does with these paths, ranges and sizes what they say: it makes directories, writes at offsets
 * and fetches frames. So nothing is left for it to check: paths stay inside and are unique over databases and
 * files together, nothing lies below a file or a symlink, nothing takes the place of a database's -wal,
 * ranges lie where they say and sizes add up. The writer holds itself to the same list, for a base that was
 * announced and can't be read is worse than one that failed. */
#include "snapshot/manifest_rules.h"

#include "snapshot/entry.h"
#include "snapshot/manifest_layout.h"
#include "snapshot/pagehash.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { SUFFIX_MAX = 8 };

/* Names the path that breaks a rule; the literal false stands at the call (base/err.h). */
#define broken(err, path, rule) err_set((err), ERR_CORRUPT, "manifest: %.400s: %s", (path), (rule))

static bool check_part(const struct manifest *manifest, const struct manifest_part *part, struct err *err)
{
    size_t end = part->first_frame + (size_t)part->frames;
    uint64_t bytes = PART_OVERHEAD;

    if (part->frames == 0 || end > manifest->frames_count)
        return err_set(err, ERR_CORRUPT, "manifest: part %" PRIu64 " has no frames or not so many", part->n);
    for (size_t at = part->first_frame; at < end; at++) {
        const struct manifest_frame *frame = &manifest->frames[at];
        if (frame->raw_bytes == 0 || frame->raw_bytes > FRAME_RAW_BYTES || frame->stored_bytes == 0 ||
            frame->stored_bytes > FRAME_STORED_MAX)
            return err_set(err, ERR_CORRUPT, "manifest: frame %zu has %u bytes, %u stored", at,
                           frame->raw_bytes, frame->stored_bytes);
        bytes += frame->stored_bytes;
    }
    if (bytes != part->bytes || bytes > PART_SIZE_MAX)
        return err_set(err, ERR_CORRUPT,
                       "manifest: part %" PRIu64 " of %" PRIu64 " bytes has frames of %" PRIu64, part->n,
                       part->bytes, bytes);
    return true;
}

static bool check_parts(const struct manifest *manifest, struct err *err)
{
    size_t frames = 0;

    for (size_t at = 0; at < manifest->parts_count; at++) {
        const struct manifest_part *part = &manifest->parts[at];
        if (part->first_frame != frames)
            return err_set(err, ERR_CORRUPT,
                           "manifest: part %" PRIu64 " does not go on where the one before ended", part->n);
        if (!check_part(manifest, part, err))
            return false;
        frames += part->frames;
    }
    if (frames != manifest->frames_count)
        return err_set(err, ERR_CORRUPT, "manifest: %zu frames, of which %zu are in parts",
                       manifest->frames_count, frames);
    return true;
}

/* The frames of a database hold its pages exactly and belong to nobody else. */
static bool check_database_frames(const struct manifest *manifest, const struct manifest_database *database,
                                  bool *taken, struct err *err)
{
    uint64_t left = database->pages * database->page_size;
    size_t first = database->first_frame, count = database->frames;

    if (first > manifest->frames_count || count > manifest->frames_count - first)
        return broken(err, database->path, "its frames are beyond the last one");
    for (size_t at = first; at < first + count; at++) {
        uint64_t due = left < FRAME_RAW_BYTES ? left : FRAME_RAW_BYTES;
        if (taken[at])
            return broken(err, database->path, "a frame of its belongs to another database");
        if (due == 0 || manifest->frames[at].raw_bytes != due)
            return broken(err, database->path, "its frames do not hold its pages");
        taken[at] = true;
        left -= due;
    }
    return left == 0 ? true : broken(err, database->path, "its frames do not hold all of its pages");
}

static bool check_database(const struct manifest *manifest, const struct manifest_database *database,
                           bool *taken, struct err *err)
{
    if (!tree_path_is_safe(database->path, strlen(database->path)))
        return broken(err, database->path, "not a path inside the data directory");
    if (!pagehash_is_page_size(database->page_size))
        return broken(err, database->path, "its page size is no power of two from 512 to 65536");
    if (database->pages > PAGEHASH_PAGES_MAX)
        return broken(err, database->path, "it has more pages than a database can have");
    if (database->pages == 0 && database->rolling_hash != 0)
        return broken(err, database->path, "it has a hash but no pages");
    if (database->position < manifest->lowest_position || database->position > manifest->position)
        return broken(err, database->path, "its position is not among those of the base");
    if (database->mode > ENTRY_MODE_MAX)
        return broken(err, database->path, "its mode has unknown bits");
    return check_database_frames(manifest, database, taken, err);
}

static bool check_databases(const struct manifest *manifest, bool *taken, struct err *err)
{
    const struct manifest_database *databases = manifest->databases;

    for (size_t at = 0; at < manifest->databases_count; at++) {
        if (!check_database(manifest, &databases[at], taken, err))
            return false;
        if (at > 0 && strcmp(databases[at - 1].path, databases[at].path) >= 0)
            return broken(err, databases[at].path, "databases are not in ascending order, each once");
    }
    return true;
}

static bool check_inline(const struct manifest *manifest, const struct tree_entry *entry, const bool *taken,
                         struct err *err)
{
    const char *path = tree_path(manifest->tree, entry);
    uint32_t frame = entry->target, offset = entry->extra;

    if (frame >= manifest->frames_count)
        return broken(err, path, "its frame is beyond the last one");
    if (taken[frame])
        return broken(err, path, "its frame belongs to a database");
    if (offset + entry->size > manifest->frames[frame].raw_bytes)
        return broken(err, path, "it lies beyond the end of its frame");
    return true;
}

static bool check_entry(const struct manifest *manifest, const struct tree_entry *entry, const bool *taken,
                        struct err *err)
{
    if (!entry_check(manifest->tree, entry, err))
        return err_wrap(err, "manifest");
    return entry->kind != ENTRY_FILE || entry->content != CONTENT_INLINE ||
           check_inline(manifest, entry, taken, err);
}

static bool check_entries(const struct manifest *manifest, const bool *taken, struct err *err)
{
    size_t count = manifest->tree ? tree_count(manifest->tree) : 0;
    const char *previous = "";

    for (size_t at = 0; at < count; at++) {
        const struct tree_entry *entry = tree_at(manifest->tree, at);
        const char *path = tree_path(manifest->tree, entry);
        if (strcmp(previous, path) >= 0)
            return broken(err, path, "entries are not in ascending order, each once");
        if (!check_entry(manifest, entry, taken, err))
            return false;
        previous = path;
    }
    return true;
}

static bool has_entry(const struct manifest *manifest, const char *path)
{
    return manifest->tree && tree_find(manifest->tree, path);
}

/* Each prefix of the path that ends before a slash is a directory or not listed at all. */
static bool check_ancestors(const struct manifest *manifest, const char *path, struct err *err)
{
    char ancestor[TREE_PATH_MAX + 1];

    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t size = (size_t)(slash - path);
        const struct tree_entry *entry;
        assert(size < sizeof(ancestor));
        memcpy(ancestor, path, size);
        ancestor[size] = '\0';
        entry = manifest->tree ? tree_find(manifest->tree, ancestor) : NULL;
        if ((entry && entry->kind != ENTRY_DIRECTORY) || manifest_find_database(manifest, ancestor))
            return broken(err, path, "it lies below something that is no directory");
    }
    return true;
}

static bool has_same_parent(const char *one, const char *other)
{
    const char *slash = strrchr(one, '/');
    size_t size = slash ? (size_t)(slash - one) + 1 : 0;

    return strncmp(one, other, size) == 0 && !strchr(other + size, '/');
}

/* Neighbours mostly share their parent, which need not be looked up for each. */
static bool check_entry_ancestors(const struct manifest *manifest, struct err *err)
{
    size_t count = manifest->tree ? tree_count(manifest->tree) : 0;
    const char *previous = "";

    for (size_t at = 0; at < count; at++) {
        const char *path = tree_path(manifest->tree, tree_at(manifest->tree, at));
        if (!has_same_parent(previous, path) && !check_ancestors(manifest, path, err))
            return false;
        previous = path;
    }
    return true;
}

/* What SQLite would take for part of a database must not come from a store: a -wal is replayed. */
static bool check_beside_database(const struct manifest *manifest, const char *path, struct err *err)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char beside[TREE_PATH_MAX + SUFFIX_MAX + 1];

    for (size_t at = 0; at < sizeof(suffixes) / sizeof(suffixes[0]); at++) {
        int size = snprintf(beside, sizeof(beside), "%s%s", path, suffixes[at]);
        assert(size > 0 && (size_t)size < sizeof(beside));
        if (has_entry(manifest, beside) || (at > 0 && manifest_find_database(manifest, beside)))
            return broken(err, beside, "it is both a database, or beside one, and something else");
    }
    return true;
}

static bool check_database_paths(const struct manifest *manifest, struct err *err)
{
    for (size_t at = 0; at < manifest->databases_count; at++) {
        const char *path = manifest->databases[at].path;
        if (!check_beside_database(manifest, path, err) || !check_ancestors(manifest, path, err))
            return false;
    }
    return true;
}

bool manifest_check(const struct manifest *manifest, struct err *err)
{
    CLEANUP(freep) bool *taken = xcalloc(manifest->frames_count, sizeof(*taken));

    if (manifest->lowest_position == 0 || manifest->lowest_position > manifest->position)
        return err_set(err, ERR_CORRUPT, "manifest: its lowest position is 0 or above its position");
    return check_parts(manifest, err) && check_databases(manifest, taken, err) &&
           check_entries(manifest, taken, err) && check_database_paths(manifest, err) &&
           check_entry_ancestors(manifest, err);
}
