#include "snapshot/replay.h"

#include "snapshot/replay_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* Of images, in the room that the base's frames had. Behind a base of 1 GiB, 50,000 commits find most of
 * their pages in it. */
enum { KEPT_BYTES = 32 << 20 };

/* --- beginning and end ------------------------------------------------------------------------------- */

static void take_databases(struct replay *replay)
{
    const struct replay_config *config = &replay->config;
    const struct manifest *manifest = config->manifest;

    replay->databases = xcalloc(manifest->databases_count, sizeof(replay->databases[0]));
    replay->databases_count = manifest->databases_count;
    for (size_t at = 0; at < manifest->databases_count; at++) {
        struct replay_database *database = &replay->databases[at];
        database->state = manifest->databases[at];
        database->state.path = xstrdup(manifest->databases[at].path);
        manifest->databases[at].hashes = NULL; /* moved */
        if (config->restarted > 0)
            database->state.position = config->restarted;
        if (config->targets) {
            database->target = config->targets[at];
            continue;
        }
        database->target = (struct apply_target){
            .fd = config->place ? restore_take_database(config->restore, at) : -1,
            .page_size = database->state.page_size,
            .pages = database->state.pages,
            .rolling_hash = database->state.rolling_hash,
            .hashes = database->state.hashes,
        };
    }
}

static void take_missing(struct replay *replay)
{
    const struct restore *restore = replay->config.restore;
    const char *path, *why = NULL;
    size_t at = 0;

    while (restore && (path = restore_next_missing(restore, &at, &why))) {
        replay->missing = xrealloc(replay->missing, at * sizeof(replay->missing[0]));
        replay->missing[at - 1].path = xstrdup(path);
        replay->missing[at - 1].why = xstrdup(why);
        replay->missing_count = at;
    }
}

struct replay *replay_open(const struct replay_config *config)
{
    struct replay *replay = xcalloc(1, sizeof(*replay));

    assert(config->place ? config->restore || config->targets : !config->restore && !config->targets);
    replay->config = *config;
    replay->files_at = config->restarted > 0 ? config->restarted : config->manifest->position;
    replay->files = overlay_new(config->manifest->tree);
    replay->apply = apply_new();
    if (config->place) { /* each has threads, and without a place no page is touched */
        apply_keep(replay->apply, KEPT_BYTES);
        replay->advice = page_advice_new();
    }
    replay->codec = codec_new();
    take_databases(replay);
    take_missing(replay);
    replay->has_unlisted_parents = replay_find_unlisted_parents(replay);
    replay->config.restore = NULL;
    replay->config.targets = NULL;
    return replay;
}

void replay_free(struct replay *replay)
{
    if (!replay)
        return;
    page_advice_free(replay->advice); /* these two may be using the targets */
    apply_free(replay->apply);
    for (size_t at = 0; at < replay->databases_count; at++) {
        free(replay->databases[at].state.path);
        page_hashes_free(replay->databases[at].state.hashes);
        free(replay->databases[at].asked);
        close_fdp(&replay->databases[at].target.fd);
    }
    for (size_t at = 0; at < replay->missing_count; at++) {
        free(replay->missing[at].path);
        free(replay->missing[at].why);
    }
    free(replay->missing);
    free(replay->databases);
    overlay_free(replay->files);
    codec_free(replay->codec);
    free(replay->bulk.list);
    buf_clear(&replay->bulk.bytes);
    free(replay);
}

uint64_t replay_objects(const struct replay *replay)
{
    return replay->objects;
}

/* --- one record -------------------------------------------------------------------------------------- */

static void note_bulk(struct replay *replay, const struct data_bulk *bulk)
{
    struct replay_bulk *all = &replay->bulk;

    all->list = xrealloc(all->list, (all->count + 1) * sizeof(all->list[0]));
    all->list[all->count++] = *bulk;
}

static bool replay_section(struct replay *replay, const struct data_section *section, struct err *err)
{
    switch (section->kind) {
    case DATA_RUN:
        replay_read_more(replay);
        return replay_run(replay, &section->run, err);
    case DATA_PUT:
        return replay_put(replay, &section->put, err);
    case DATA_GONE:
        return replay_gone(replay, section->gone, err);
    case DATA_BULK:
        note_bulk(replay, &section->bulk);
        return true;
    case DATA_DROPPED:
        return true; /* blobs: of interest to whoever deletes them */
    case DATA_DATABASE_GONE:
        return replay_database_gone(replay, &section->database_gone, err);
    case DATA_ATTRIBUTES:
        return replay_attributes(replay, &section->attributes, err);
    }
    return err_set(err, ERR_CORRUPT, "a section of an unknown kind");
}

static bool replay_data(struct replay *replay, const struct record *record, struct err *err)
{
    CLEANUP(data_reader_freep)
    struct data_reader *reader = data_reader_new(record->body, record->body_size);
    struct data_section section;
    bool end = false;

    if (replay->config.place)
        replay_read_ahead(replay, record);
    buf_clear(&replay->bulk.bytes);
    replay->bulk.count = 0;
    for (;;) {
        if (!data_next(reader, &section, &end, err))
            return false;
        if (end)
            break;
        if (!replay_section(replay, &section, err))
            return false;
    }
    return replay_end_databases(replay, err);
}

/* What restarts the state cuts off all that was before it. */
static bool check_restart(const struct replay *replay, const struct record *record, struct err *err)
{
    uint64_t position = record->header.position;
    bool above = position > replay->files_at;

    if (record->header.data_position != position)
        return true; /* it repeats what the log says already */
    for (size_t at = 0; at < replay->databases_count; at++)
        above = above || position > replay->databases[at].state.position;
    return !above || err_set(err, ERR_CORRUPT, "the state restarts there, above the base that was taken");
}

static bool replay_kind(struct replay *replay, const struct record *record, struct err *err)
{
    switch (record->header.kind) {
    case RECORD_DATA:
        return replay_data(replay, record, err);
    case RECORD_BASE:
        return check_restart(replay, record, err);
    case RECORD_OPEN:
    case RECORD_DRAIN:
    case RECORD_CLOSE:
    case RECORD_PIN:
        return true;
    }
    return err_set(err, ERR_CORRUPT, "a record of an unknown kind");
}

/* Faults of the disk and of other objects say so themselves. */
static bool names_an_object(const struct err *err)
{
    return (err->code != ERR_CORRUPT && err->code != ERR_NOT_FOUND) || strncmp(err->text, "part/", 5) == 0;
}

bool replay_record(struct replay *replay, const struct record *record, struct err *err)
{
    struct key key = key_log(record->header.position);
    bool replayed;

    replay->record = &record->header;
    replay->objects++;
    replayed = replay_kind(replay, record, err);
    replay_end_ahead(&replay->ahead);
    replay->record = NULL;
    if (!replayed && !names_an_object(err))
        return err_wrap(err, "%s", key.text);
    return replayed;
}

/* --- the end ----------------------------------------------------------------------------------------- */

static bool check_missing(const struct replay *replay, struct err *err)
{
    for (size_t at = 0; at < replay->missing_count; at++)
        if (overlay_is_untouched(replay->files, replay->missing[at].path))
            return err_set(err, ERR_CORRUPT, "%s", replay->missing[at].why);
    return true;
}

static bool seal_databases(struct replay *replay, struct err *err)
{
    for (size_t at = 0; at < replay->databases_count; at++) {
        const struct manifest_database *state = &replay->databases[at].state;
        const struct apply_target *target = &replay->databases[at].target;
        int fd = target->beside ? -1 : target->fd;
        if (fd >= 0 && !apply_flush(replay->apply, &replay->databases[at].target, err))
            return err_wrap(err, "%s", state->path);
        if (fd >= 0 && !place_seal(fd, state->mode, state->uid, state->gid, state->mtime_ns, err))
            return err_wrap(err, "%s", state->path);
    }
    return true;
}

bool replay_finish(struct replay *replay, struct err *err)
{
    return !replay->config.place ||
           (check_missing(replay, err) && replay_write_files(replay, err) && seal_databases(replay, err));
}

/* What was shipped as a file before there was a database of that name: SQLite would take it for a part of
 * the database, and place_finish() leaves it out. */
static void drop_side_files(struct replay *replay, const char *path)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-journal"};
    const struct tree *tree;

    for (size_t at = 0; at < sizeof(suffixes) / sizeof(suffixes[0]); at++) {
        CLEANUP(freep) char *beside = xasprintf("%s%s", path, suffixes[at]);
        if (overlay_find(replay->files, beside, &tree))
            overlay_remove(replay->files, beside);
    }
}

static void take_tree(struct replay *replay)
{
    struct manifest *manifest = replay->config.manifest;
    struct tree *tree;

    for (size_t at = 0; at < replay->databases_count; at++)
        if (!replay->databases[at].gone)
            drop_side_files(replay, replay->databases[at].state.path);
    tree = overlay_merge(replay->files);
    overlay_free(replay->files);
    replay->files = NULL;
    tree_free(manifest->tree);
    manifest->tree = tree;
}

void replay_take(struct replay *replay)
{
    struct manifest *manifest = replay->config.manifest;

    assert(replay->files);
    take_tree(replay);
    for (size_t at = 0; at < manifest->databases_count; at++)
        free(manifest->databases[at].path);
    free(manifest->databases);
    manifest->databases = NULL;
    manifest->databases_count = 0;
    for (size_t at = 0; at < replay->databases_count; at++) {
        struct manifest_database *state = &replay->databases[at].state, *taken;
        if (replay->databases[at].gone)
            continue;
        taken = manifest_add_database(manifest, state->path);
        free(taken->path);
        *taken = *state;
        taken->path = xstrdup(state->path);
        state->hashes = NULL; /* moved */
    }
}
