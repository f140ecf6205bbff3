/* A restore is bound by one of three things: the network, the decompressor or the disk. So the work is cut
 * into units that know nothing of each other (a part of a base, a piece of a large file), and a few fetchers
 * take one after the other: fetch, verify, decode, verify again, write. What they may hold in memory together
 * is a budget in bytes, so that eight small objects travel at once where eight large ones would not fit.
 *
 * Nothing unverified reaches the disk under its final name: an object's SHA-256 is checked before it is
 * decoded, the pages' rolling hash when a database is complete. */
#include "snapshot/restore_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

enum {
    FETCHERS = 8,
    FRAME_ROOMS = 4, /* decoding is work for processors, of which there are few; and the disk has some */
    /* Of 64 MiB that a restore may take; the rest is the rooms, the records that wait (chain.c), the program,
     * stacks and zstd's tables. */
    BUDGET_BYTES = 20 << 20,
    DIRECT_FROM_BYTES = 64 << 20, /* chosen, not measured: the cache of a small container has room below it */
};

static int compare_inline(const void *left, const void *right, void *context)
{
    struct tree *tree = context;
    const struct tree_entry *one = tree_at(tree, *(const uint32_t *)left);
    const struct tree_entry *other = tree_at(tree, *(const uint32_t *)right);

    if (one->target != other->target)
        return one->target < other->target ? -1 : 1;
    return one->extra < other->extra ? -1 : one->extra > other->extra;
}

static void index_inline(struct restore *restore)
{
    struct tree *tree = restore->manifest->tree;
    size_t count = tree_count(tree);

    restore->inline_entries = xmalloc(count * sizeof(restore->inline_entries[0]));
    for (size_t at = 0; at < count; at++)
        if (tree_at(tree, at)->content == CONTENT_INLINE)
            restore->inline_entries[restore->inline_count++] = (uint32_t)at;
    qsort_r(restore->inline_entries, restore->inline_count, sizeof(restore->inline_entries[0]),
            compare_inline, tree);
}

/* A part is skipped when all that it holds is kept. */
static bool part_is_wanted(const struct restore *restore, const struct manifest_part *part)
{
    for (uint32_t at = 0; at < part->frames; at++) {
        size_t database = restore_database_of_frame(restore->manifest, part->first_frame + at);
        if (database == restore->manifest->databases_count || !restore_keeps_database(restore, database))
            return true;
    }
    return false;
}

static uint64_t sum_bytes(const struct restore *restore)
{
    const struct manifest *manifest = restore->manifest;
    uint64_t bytes = 0;

    for (size_t at = 0; at < manifest->databases_count; at++)
        if (!restore_keeps_database(restore, at))
            bytes += manifest->databases[at].pages * manifest->databases[at].page_size;
    for (size_t at = 0; at < tree_count(manifest->tree); at++)
        if (!restore_keeps_entry(restore, at) && tree_at(manifest->tree, at)->kind == ENTRY_FILE)
            bytes += tree_at(manifest->tree, at)->size;
    return bytes;
}

/* The next file with pieces. Files without content were made by restore_release(); small ones come with their
 * frames. */
static struct file_job *next_file(struct restore *restore)
{
    struct tree *tree = restore->manifest->tree;

    for (; restore->next_entry < tree_count(tree); restore->next_entry++) {
        const struct tree_entry *entry = tree_at(tree, restore->next_entry);
        struct file_job *job;
        if (entry->content != CONTENT_PIECES || restore_keeps_entry(restore, restore->next_entry))
            continue;
        job = xmalloc(sizeof(*job));
        *job = (struct file_job){.entry = restore->next_entry++, .left = entry->extra, .fd = -1};
        return job;
    }
    return NULL;
}

static struct unit next_unit(struct restore *restore)
{
    struct unit unit = {UNIT_NONE, 0, NULL, 0};

    MUTEX_GUARD(&restore->mutex);
    if (restore->stopped || group_failed(&restore->group))
        return unit;
    for (; restore->next_part < restore->manifest->parts_count; restore->next_part++) {
        if (part_is_wanted(restore, &restore->manifest->parts[restore->next_part])) {
            unit.kind = UNIT_PART;
            unit.part = restore->next_part++;
            return unit;
        }
    }
    if (!restore->file)
        restore->file = next_file(restore);
    if (!restore->file)
        return unit;
    unit.kind = UNIT_PIECE;
    unit.job = restore->file;
    unit.piece = restore->file->next_piece++;
    if (unit.job->next_piece == tree_at(restore->manifest->tree, unit.job->entry)->extra)
        restore->file = NULL;
    return unit;
}

static void take_budget(struct restore *restore, uint64_t bytes)
{
    MUTEX_GUARD(&restore->mutex);
    while (restore->budget < bytes)
        pthread_cond_wait(&restore->changed, &restore->mutex);
    restore->budget -= bytes;
}

static void give_budget(struct restore *restore, uint64_t bytes)
{
    MUTEX_GUARD(&restore->mutex);
    restore->budget += bytes;
    pthread_cond_broadcast(&restore->changed);
}

struct frame_room *restore_take_room(struct restore *restore)
{
    struct frame_room *room;

    MUTEX_GUARD(&restore->mutex);
    while (!restore->rooms)
        pthread_cond_wait(&restore->changed, &restore->mutex);
    room = restore->rooms;
    restore->rooms = room->next;
    return room;
}

void restore_give_room(struct restore *restore, struct frame_room *room)
{
    MUTEX_GUARD(&restore->mutex);
    room->next = restore->rooms;
    restore->rooms = room;
    pthread_cond_broadcast(&restore->changed);
}

static void make_rooms(struct restore *restore)
{
    for (int count = 0; count < FRAME_ROOMS; count++)
        restore_give_room(restore, xaligned(PLACE_DIRECT_ALIGNMENT, sizeof(struct frame_room)));
}

static void free_rooms(struct restore *restore)
{
    while (restore->rooms) {
        struct frame_room *room = restore->rooms;
        restore->rooms = room->next;
        free(room);
    }
}

bool restore_forgive(struct restore *restore, const struct err *err)
{
    const char *reason = strstr(err->text, ": ");
    char key[STORE_KEY_MAX + 1];

    if (!restore->damage || (err->code != ERR_CORRUPT && err->code != ERR_NOT_FOUND))
        return false;
    (void)snprintf(key, sizeof(key), "%.*s", reason ? (int)(reason - err->text) : 0, err->text);
    MUTEX_GUARD(&restore->mutex);
    restore->damaged = true;
    restore->damage->report(restore->damage->context, key, reason ? reason + 2 : err->text);
    return true;
}

/* The most that the unit holds in memory at once, rooms aside: the object, and what a piece decodes to. */
static uint64_t unit_bytes(const struct restore *restore, const struct unit *unit)
{
    const struct manifest *manifest = restore->manifest;
    const struct tree_entry *entry;

    if (unit->kind == UNIT_PART)
        return manifest->parts[unit->part].bytes;
    entry = tree_at(manifest->tree, unit->job->entry);
    return 2 * (uint64_t)tree_pieces(manifest->tree, entry)[unit->piece].raw_bytes;
}

static bool restore_unit(struct restore *restore, const struct unit *unit, struct codec *codec,
                         struct err *err)
{
    uint64_t bytes = unit_bytes(restore, unit);
    size_t entry = unit->kind == UNIT_PIECE ? unit->job->entry : 0; /* the job ends with its last piece */
    bool done;

    take_budget(restore, bytes);
    if (unit->kind == UNIT_PART)
        done = restore_part(restore, unit->part, codec, err);
    else
        done = restore_piece(restore, unit, codec, err);
    give_budget(restore, bytes);
    if (!done && err->code == ERR_NOT_FOUND && !restore->damage) {
        if (unit->kind == UNIT_PIECE)
            return restore_note_missing(restore, entry, err);
        err->code = ERR_CORRUPT;
    }
    return done || restore_forgive(restore, err);
}

static bool fetch_units(void *context, struct err *err)
{
    struct restore *restore = context;
    CLEANUP(codec_freep) struct codec *codec = codec_new();

    for (;;) {
        struct unit unit = next_unit(restore);
        if (unit.kind == UNIT_NONE)
            return true;
        if (!restore_unit(restore, &unit, codec, err))
            return false;
        if (restore->canceled && atomic_load(restore->canceled))
            return err_set(err, ERR_CANCELED, "the restore was stopped");
    }
}

bool restore_open(struct store *store, const struct manifest *manifest, const struct restore_kept *kept,
                  const struct restore_damage *damage, const atomic_bool *canceled,
                  struct restore **ret_restore, struct err *err)
{
    struct restore *restore = xcalloc(1, sizeof(*restore));

    restore->store = store;
    restore->manifest = manifest;
    restore->damage = damage;
    restore->canceled = canceled;
    restore->budget = BUDGET_BYTES;
    restore->direct_from = DIRECT_FROM_BYTES;
    if (kept)
        restore->kept = *kept;
    restore->databases = xcalloc(manifest->databases_count, sizeof(restore->databases[0]));
    for (size_t at = 0; at < manifest->databases_count; at++) {
        restore->databases[at].fd = -1;
        pthread_mutex_init(&restore->databases[at].writing, NULL);
    }
    pthread_mutex_init(&restore->mutex, NULL);
    pthread_cond_init(&restore->changed, NULL);
    make_rooms(restore);
    index_inline(restore);
    restore->total_bytes = sum_bytes(restore);
    if (!pool_open(FETCHERS, "fetch", &restore->pool, err)) {
        restore_free(restore);
        return false;
    }
    group_init(&restore->group, restore->pool, FETCHERS);
    for (int fetcher = 0; fetcher < FETCHERS; fetcher++)
        group_submit(&restore->group, fetch_units, restore);
    *ret_restore = restore;
    return true;
}

/* Everything that has no content to wait for. Parents come before their children in the tree's order. */
static bool make_skeleton(struct restore *restore, struct err *err)
{
    struct tree *tree = restore->manifest->tree;

    for (size_t at = 0; at < tree_count(tree); at++) {
        const struct tree_entry *entry = tree_at(tree, at);
        const char *path = tree_path(tree, entry);
        CLEANUP(close_fdp) int fd = -1;
        if (restore_keeps_entry(restore, at)) {
            place_keep(restore->place, path);
        } else if (entry->kind == ENTRY_DIRECTORY) {
            if (!place_directory(restore->place, path, err))
                return false;
        } else if (entry->kind == ENTRY_SYMLINK) {
            if (!place_symlink(restore->place, path, tree_target(tree, entry), err))
                return false;
        } else if (entry->content == CONTENT_NONE) {
            if (!place_file(restore->place, path, entry->size, &fd, err) ||
                !place_seal(fd, entry->mode, entry->uid, entry->gid, entry->mtime_ns, err))
                return false;
        }
    }
    return true;
}

static bool make_database(struct restore *restore, size_t index, struct err *err)
{
    const struct manifest_database *database = &restore->manifest->databases[index];
    struct database_job *job = &restore->databases[index];
    uint64_t bytes = database->pages * database->page_size;

    if (!place_file(restore->place, database->path, bytes, &job->fd, err))
        return false;
    job->is_direct = bytes >= restore->direct_from && place_go_direct(job->fd, bytes);
    return true;
}

static bool make_databases(struct restore *restore, struct err *err)
{
    for (size_t at = 0; at < restore->manifest->databases_count; at++) {
        if (restore_keeps_database(restore, at))
            place_keep(restore->place, restore->manifest->databases[at].path);
        else if (!make_database(restore, at, err))
            return false;
    }
    return true;
}

void restore_set_direct_from(struct restore *restore, uint64_t bytes)
{
    MUTEX_GUARD(&restore->mutex);
    assert(!restore->released);
    restore->direct_from = bytes;
}

bool restore_release(struct restore *restore, struct place *place, struct err *err)
{
    MUTEX_GUARD(&restore->mutex);
    assert(!restore->released);
    restore->place = place;
    if (place && (!make_skeleton(restore, err) || !make_databases(restore, err)))
        return err_wrap(err, "write to HOLDFAST_DATA_DIR");
    restore->released = true;
    pthread_cond_broadcast(&restore->changed);
    return true;
}

bool restore_wait_for(struct restore *restore, uint64_t timeout_ms)
{
    return group_wait_for(&restore->group, timeout_ms);
}

void restore_progress(struct restore *restore, uint64_t *ret_done, uint64_t *ret_total)
{
    *ret_done = atomic_load(&restore->done_bytes);
    *ret_total = restore->total_bytes;
}

uint64_t restore_objects(const struct restore *restore)
{
    return atomic_load(&restore->objects);
}

void restore_free(struct restore *restore)
{
    if (!restore)
        return;
    mutex_locked(&restore->mutex);
    restore->stopped = true;
    pthread_cond_broadcast(&restore->changed);
    pthread_mutex_unlock(&restore->mutex);
    pool_free(restore->pool);
    for (size_t at = 0; at < restore->manifest->databases_count; at++) {
        close_fdp(&restore->databases[at].fd);
        pthread_mutex_destroy(&restore->databases[at].writing);
    }
    free_rooms(restore);
    restore_clear_missing(restore);
    free(restore->databases);
    free(restore->inline_entries);
    pthread_cond_destroy(&restore->changed);
    pthread_mutex_destroy(&restore->mutex);
    free(restore);
    memory_release();
}
