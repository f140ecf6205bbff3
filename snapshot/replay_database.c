/* Runs of pages, each to its database.
 *
 * What the base knows of a database and what a record says of it may overlap, since a base is cut while
 * records go on. A run is for us exactly if its record is above the position at which the database's pages
 * stand. A database that the base doesn't list, and that is named at or below the base's own position, was
 * gone by then. */
#include "snapshot/replay_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { NEW_DATABASE_MODE = 0600 }; /* until the record says another */

/* The first database whose path is not below this one. */
static size_t database_index(const struct replay *replay, const char *path)
{
    size_t low = 0, high = replay->databases_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(replay->databases[middle].state.path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct replay_database *find_database(struct replay *replay, const char *path)
{
    size_t at = database_index(replay, path);
    bool found = at < replay->databases_count && strcmp(replay->databases[at].state.path, path) == 0;

    return found ? &replay->databases[at] : NULL;
}

struct replay_database *replay_live_database(struct replay *replay, const char *path)
{
    struct replay_database *database = find_database(replay, path);

    return database && !database->gone ? database : NULL;
}

static struct replay_database *add_database(struct replay *replay, const char *path)
{
    size_t at = database_index(replay, path), left = replay->databases_count - at;

    replay->databases =
        xrealloc(replay->databases, (replay->databases_count + 1) * sizeof(replay->databases[0]));
    memmove(&replay->databases[at + 1], &replay->databases[at], left * sizeof(replay->databases[0]));
    replay->databases_count++;
    replay->databases[at] = (struct replay_database){.state = {.path = xstrdup(path)}, .target.fd = -1};
    replay->databases[at].gone = true; /* until its first run */
    return &replay->databases[at];
}

bool replay_drop_database(struct replay *replay, struct replay_database *database, struct err *err)
{
    database->gone = true;
    database->touched = true;
    if (replay->advice)
        page_advice_settle(replay->advice);
    apply_forget(replay->apply, &database->target);
    close_fdp(&database->target.fd);
    database->target.fd = -1;
    database->target.is_unproved = false;
    database->target.hashes = NULL;
    page_hashes_free(database->state.hashes);
    database->state.hashes = NULL;
    free(database->asked);
    database->asked = NULL;
    return replay_unplace(replay, database->state.path, err);
}

/* A file without pages, for a database that appears, or appears anew. */
static bool begin_incarnation(struct replay *replay, struct replay_database *database,
                              const struct data_run *run, struct err *err)
{
    struct manifest_database *state = &database->state;
    int fd = -1;

    if (run->incarnation > replay->record->position)
        return err_set(err, ERR_CORRUPT, "%.200s: it begins in a later record than this one", run->path);
    if (!database->gone && !replay_drop_database(replay, database, err))
        return false;
    if (!replay_clear_way(replay, run->path, err) || !replay_clear_path(replay, run->path, err))
        return false;
    if (replay->config.place && !place_file(replay->config.place, run->path, 0, &fd, err))
        return false;
    state->incarnation = run->incarnation;
    state->page_size = run->page_size;
    state->pages = 0;
    state->rolling_hash = 0;
    state->mode = NEW_DATABASE_MODE;
    state->uid = geteuid();
    state->gid = getegid();
    state->first_frame = 0;
    state->frames = 0;
    database->gone = false;
    database->target = (struct apply_target){.fd = fd, .page_size = run->page_size};
    return true;
}

/* --- bulk -------------------------------------------------------------------------------------------- */

static bool fetch_bulk(struct replay *replay, size_t index, struct err *err)
{
    const struct data_bulk *bulk = &replay->bulk.list[index];
    struct key key = key_part(replay->record->position, &replay->record->owner, bulk->n);
    struct digest hash;

    if (replay->bulk.bytes.size > 0 && replay->bulk.here == index)
        return true;
    buf_clear(&replay->bulk.bytes);
    replay->bulk.bytes = (struct buf)BUF_INIT(bulk->size);
    if (!store_get(replay->config.store, key.text, &replay->bulk.bytes, err))
        return err_wrap(err, "%s", key.text);
    hash = digest_of(replay->bulk.bytes.bytes, replay->bulk.bytes.size);
    if (replay->bulk.bytes.size != bulk->size || !digest_equal(&hash, &bulk->hash)) {
        buf_clear(&replay->bulk.bytes);
        return err_set(err, ERR_CORRUPT, "%s: it is damaged: its hash is not the one in the record",
                       key.text);
    }
    replay->bulk.here = index;
    replay->objects++;
    return true;
}

static bool find_frame(struct replay *replay, const struct data_run *run, const uint8_t **ret_frame,
                       size_t *ret_size, struct err *err)
{
    if (run->frame) {
        *ret_frame = run->frame;
        *ret_size = run->frame_size;
        return true;
    }
    assert(run->bulk_section < replay->bulk.count); /* data_next() has seen to it */
    if (!fetch_bulk(replay, run->bulk_section, err))
        return false;
    assert((uint64_t)run->bulk_offset + run->bulk_size <= replay->bulk.bytes.size);
    *ret_frame = replay->bulk.bytes.bytes + run->bulk_offset;
    *ret_size = run->bulk_size;
    return true;
}

/* --- runs -------------------------------------------------------------------------------------------- */

static bool prove_all(struct replay *replay, struct err *err)
{
    for (size_t at = 0; at < replay->databases_count; at++)
        if (!apply_prove(replay->apply, &replay->databases[at].target, err))
            return err_wrap(err, "%.200s", replay->databases[at].state.path);
    return true;
}

static bool write_run(struct replay *replay, struct replay_database *database, const struct data_run *run,
                      struct err *err)
{
    const uint8_t *frame = NULL;
    size_t frame_size = 0;

    if (!replay->config.place)
        return true;
    return find_frame(replay, run, &frame, &frame_size, err) &&
           (database->target.is_unproved || prove_all(replay, err)) &&
           apply_run(replay->apply, &database->target, run, frame, frame_size, err);
}

static bool apply_to(struct replay *replay, struct replay_database *database, const struct data_run *run,
                     struct err *err)
{
    struct manifest_database *state = &database->state;

    if (database->gone || run->incarnation > state->incarnation) {
        if (run->incarnation <= state->incarnation)
            return err_set(err, ERR_CORRUPT, "%.200s is gone, and a run goes on with it", run->path);
        if (!begin_incarnation(replay, database, run, err))
            return false;
    }
    if (run->incarnation < state->incarnation)
        return err_set(err, ERR_CORRUPT, "%.200s: a run of an earlier incarnation", run->path);
    if (!write_run(replay, database, run, err))
        return false;
    database->touched = true;
    if (run->is_last) {
        state->page_size = run->page_size;
        state->pages = run->pages_after;
        state->rolling_hash = run->rolling_hash;
        state->mtime_ns = (int64_t)replay->record->time_ns;
    }
    return true;
}

bool replay_run(struct replay *replay, const struct data_run *run, struct err *err)
{
    struct replay_database *database = find_database(replay, run->path);
    uint64_t position = replay->record->position;

    if (position <= (database ? database->state.position : replay->files_at))
        return true;
    if (!database)
        database = add_database(replay, run->path);
    return apply_to(replay, database, run, err);
}

bool replay_database_gone(struct replay *replay, const struct data_database_gone *gone, struct err *err)
{
    struct replay_database *database = replay_live_database(replay, gone->path);

    if (!database || replay->record->position <= database->state.position)
        return true;
    if (database->state.incarnation != gone->incarnation)
        return err_set(err, ERR_CORRUPT, "%.200s: another incarnation than the one that is gone", gone->path);
    return replay_drop_database(replay, database, err);
}

/* What the base knows of it may be newer. */
bool replay_attributes(struct replay *replay, const struct data_attributes *attributes, struct err *err)
{
    struct replay_database *database = replay_live_database(replay, attributes->path);

    if (replay->record->position <= (database ? database->state.position : replay->files_at))
        return true;
    if (!database || database->state.incarnation != attributes->incarnation)
        return err_set(err, ERR_CORRUPT, "%.200s: attributes of a database that is not there",
                       attributes->path);
    database->state.mode = attributes->mode;
    database->state.uid = attributes->uid;
    database->state.gid = attributes->gid;
    database->touched = true;
    return true;
}

bool replay_end_databases(struct replay *replay, struct err *err)
{
    if (!prove_all(replay, err))
        return false;
    for (size_t at = 0; at < replay->databases_count; at++) {
        struct replay_database *database = &replay->databases[at];
        if (database->touched)
            database->state.position = replay->record->position;
        database->touched = false;
    }
    return true;
}
