/* From one state of the copy to a later one.
 *
 * The records are applied as in any restore (replay.h), but beside the copy: what is new is written to a
 * directory of its own, and pages go to overlays. So every rolling hash is proved, and whatever can be wrong
 * with a record has been found, before the first byte of the copy changes. */
#include "base/fs.h"
#include "base/walk.h"
#include "snapshot/room.h"
#include "snapshot/standby_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* A step holds its images on the disk twice for a moment; many small records are worth one sync together. */
enum { RECORDS_MAX = 64 };
#define BODY_BYTES_MAX UINT64_C(0x4000000)     /* 64 MiB */
#define OVERLAY_BYTES_MAX UINT64_C(0x10000000) /* 256 MiB */

static void copy_place_in_log(struct manifest *to, const struct manifest *from)
{
    to->lineage = from->lineage;
    to->owner = from->owner;
    to->epoch = from->epoch;
    to->position = from->position;
    to->time_ns = from->time_ns;
    to->record = from->record;
}

static struct manifest copy_of(const struct manifest *state)
{
    struct manifest copy;

    manifest_init(&copy);
    copy_place_in_log(&copy, state);
    for (size_t at = 0; at < state->databases_count; at++) {
        struct manifest_database *database = manifest_add_database(&copy, state->databases[at].path);
        char *path = database->path;
        *database = state->databases[at];
        database->path = path;
    }
    copy.tree = tree_new();
    for (size_t at = 0; at < tree_count(state->tree); at++)
        (void)tree_add_copy(copy.tree, state->tree, tree_at(state->tree, at));
    return copy;
}

void standby_step_init(struct standby_step *step, struct standby *standby)
{
    *step = (struct standby_step){.standby = standby, .staging_fd = -1};
    manifest_init(&step->after);
    copy_place_in_log(&step->after, &standby->now);
}

void standby_step_clear(struct standby_step *step)
{
    replay_free(step->replay);
    restore_free(step->restore);
    place_free(step->place);
    close_fdp(&step->staging_fd);
    for (size_t at = 0; at < step->databases_count; at++) {
        free(step->databases[at].path);
        page_overlay_clear(&step->databases[at].overlay);
        close_fdp(&step->databases[at].fd);
    }
    free(step->databases);
    manifest_clear(&step->after);
}

/* --- beside the copy --------------------------------------------------------------------------------- */

static bool clean_up(const struct standby *standby, struct err *err)
{
    return fs_remove_tree(standby->directory_fd, STANDBY_STAGING, err) &&
           fs_remove_tree(standby->directory_fd, STANDBY_PAGES, err);
}

static bool make_room(struct standby_step *step, struct err *err)
{
    int directory_fd = step->standby->directory_fd;

    return clean_up(step->standby, err) && fs_make_directories(directory_fd, STANDBY_STAGING, 0700, err) &&
           fs_make_directories(directory_fd, STANDBY_PAGES, 0700, err) &&
           fs_open_directory_beneath(directory_fd, STANDBY_STAGING, &step->staging_fd, err) &&
           place_begin(step->staging_fd, NULL, "", &step->place, err);
}

/* The database as the copy has it, changed through an overlay. */
static bool open_overlay(struct standby_step *step, size_t at, struct apply_target *target, struct err *err)
{
    const struct manifest_database *state = &step->after.databases[at];
    struct standby_database *database = &step->databases[at];
    char name[64];

    (void)snprintf(name, sizeof(name), STANDBY_PAGES "/%zu", at);
    if (!fs_open_beneath(step->standby->directory_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600, &database->fd,
                         err) ||
        !fs_open_beneath(step->standby->directory_fd, state->path, O_RDONLY, 0, &target->fd, err))
        return false;
    page_overlay_begin(&database->overlay, database->fd, state->page_size);
    target->beside = &database->overlay;
    return true;
}

static void close_targets(struct apply_target *targets, size_t count)
{
    for (size_t at = 0; at < count; at++)
        close_fdp(&targets[at].fd);
}

/* kept: which of a base's databases the copy has already; NULL: all of them. */
static bool open_replay(struct standby_step *step, const bool *kept, struct err *err)
{
    size_t count = step->after.databases_count;
    CLEANUP(freep) struct apply_target *targets = xcalloc(count, sizeof(targets[0]));
    struct replay_config config = {.store = step->standby->config.store,
                                   .manifest = &step->after,
                                   .restarted = step->restarted,
                                   .place = step->place,
                                   .restore = step->restore,
                                   .targets = targets,
                                   .canceled = step->standby->config.canceled};

    step->databases = xcalloc(count, sizeof(step->databases[0]));
    for (size_t at = 0; at < count; at++) {
        const struct manifest_database *state = &step->after.databases[at];
        targets[at] = (struct apply_target){.fd = -1,
                                            .page_size = state->page_size,
                                            .pages = state->pages,
                                            .rolling_hash = state->rolling_hash};
        step->databases[step->databases_count++] =
            (struct standby_database){xstrdup(state->path), state->incarnation, -1, {.fd = -1}};
        if (kept && !kept[at]) {
            targets[at].fd = restore_take_database(step->restore, at);
        } else if (!open_overlay(step, at, &targets[at], err)) {
            close_targets(targets, at + 1);
            return false;
        }
    }
    step->replay = replay_open(&config);
    restore_free(MOVE(step->restore));
    return true;
}

/* --- a base ------------------------------------------------------------------------------------------ */

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Where nobody remembers the pieces of a large file (the follower was started anew), the file tells. */
static bool has_pieces(const struct standby *standby, const char *path, const struct tree_piece *pieces,
                       uint32_t count)
{
    CLEANUP(freep) uint8_t *bytes = xmalloc(TREE_PIECE_SIZE);
    CLEANUP(close_fdp) int fd = -1;
    struct err ignored;
    uint64_t offset = 0;

    if (!fs_open_beneath(standby->directory_fd, path, O_RDONLY | O_NONBLOCK, 0, &fd, &ignored))
        return false;
    for (uint32_t at = 0; at < count; offset += pieces[at++].raw_bytes) {
        struct digest content;
        assert(pieces[at].raw_bytes > 0 && pieces[at].raw_bytes <= TREE_PIECE_SIZE);
        if (!fs_read_at(fd, bytes, pieces[at].raw_bytes, offset, &ignored))
            return false;
        content = digest_of(bytes, pieces[at].raw_bytes);
        if (pieces[at].tag == 0 ? !is_zero(bytes, pieces[at].raw_bytes)
                                : !digest_equal(&content, &pieces[at].content))
            return false;
    }
    return true;
}

static bool same_pieces(const struct tree_piece *one, const struct tree_piece *other, uint32_t count)
{
    for (uint32_t at = 0; at < count; at++)
        if (one[at].raw_bytes != other[at].raw_bytes || (one[at].tag == 0) != (other[at].tag == 0) ||
            (one[at].tag != 0 && !digest_equal(&one[at].content, &other[at].content)))
            return false;
    return true;
}

/* Only what is proved stays. A small file can't prove anything: a manifest has no hash of it. */
static bool keeps_file(const struct standby *standby, const struct tree_entry *old, struct tree *new_tree,
                       const struct tree_entry *new)
{
    const struct tree_piece *pieces;

    if (old->size != new->size || new->content != CONTENT_PIECES)
        return old->size == 0 && new->size == 0;
    pieces = tree_pieces(new_tree, new);
    if (old->content == CONTENT_PIECES)
        return old->extra ==
               new->extra &&same_pieces(tree_pieces(standby->now.tree, old), pieces, new->extra);
    return has_pieces(standby, tree_path(new_tree, new), pieces, new->extra);
}

static bool keeps_entry(const struct standby *standby, struct tree *new_tree, const struct tree_entry *new)
{
    const struct tree_entry *old = tree_find(standby->now.tree, tree_path(new_tree, new));

    if (!old || old->kind != new->kind)
        return false;
    if (new->kind == ENTRY_FILE)
        return keeps_file(standby, old, new_tree, new);
    if (!standby_same_attributes(old, new))
        return false;
    return new->kind == ENTRY_DIRECTORY ||
           strcmp(tree_target(standby->now.tree, old), tree_target(new_tree, new)) == 0;
}

static bool keeps_database(const struct standby *standby, const struct manifest_database *new)
{
    const struct manifest_database *old = manifest_find_database(&standby->now, new->path);

    return old && old->page_size == new->page_size && old->pages == new->pages &&
           old->rolling_hash == new->rolling_hash;
}

/* What comes with the base lies beside what it replaces for a while. */
static bool check_room(const struct standby_step *step, const struct restore_kept *kept, struct err *err)
{
    const struct standby *standby = step->standby;
    struct room room = {standby->directory_fd, standby->name, READER_ROOM_REMEDY};

    return room_check(&room, manifest_disk_bytes(&step->after, kept->entries, kept->databases), err);
}

/* What differs, into staging. */
static bool fetch_base(struct standby_step *step, const struct restore_kept *kept, struct err *err)
{
    const struct standby_config *config = &step->standby->config;

    if (!check_room(step, kept, err) ||
        !restore_open(config->store, &step->after, kept, NULL, config->canceled, &step->restore, err) ||
        !restore_release(step->restore, step->place, err))
        return false;
    restore_expect_more(step->restore);
    return reader_run(step->restore, config->progress, 0, 0, err) && open_replay(step, kept->databases, err);
}

static void stand_at(struct standby_step *step, const struct record_header *header, const struct digest *hash)
{
    step->after.position = header->position;
    step->after.time_ns = header->time_ns;
    step->after.record = *hash;
}

bool standby_step_base(struct standby_step *step, const struct reader_base *base, struct err *err)
{
    const struct standby *standby = step->standby;
    CLEANUP(freep) bool *databases = NULL;
    CLEANUP(freep) bool *entries = NULL;
    bool fetched;

    assert(!step->place && step->records == 0);
    manifest_clear(&step->after);
    manifest_init(&step->after);
    if (!make_room(step, err) || !reader_load_manifest(standby->config.store, base, &step->after, err))
        return false;
    databases = xcalloc(step->after.databases_count, sizeof(databases[0]));
    entries = xcalloc(tree_count(step->after.tree), sizeof(entries[0]));
    for (size_t at = 0; at < step->after.databases_count; at++)
        databases[at] = !standby->distrusts && keeps_database(standby, &step->after.databases[at]);
    for (size_t at = 0; at < tree_count(step->after.tree); at++)
        entries[at] =
            !standby->distrusts && keeps_entry(standby, step->after.tree, tree_at(step->after.tree, at));
    if (base->body.flags & BASE_RESTARTS)
        step->restarted = base->header.position;
    fetched = fetch_base(step, &(struct restore_kept){entries, databases}, err);
    restore_free(MOVE(step->restore)); /* what it keeps is borrowed */
    if (step->restarted > 0)           /* only now: the keys of its parts have the position of the manifest */
        stand_at(step, &base->header, &base->hash);
    return fetched;
}

/* --- records ----------------------------------------------------------------------------------------- */

static bool begin_records(struct standby_step *step, struct err *err)
{
    manifest_clear(&step->after);
    step->after = copy_of(&step->standby->now);
    return make_room(step, err) && open_replay(step, NULL, err);
}

bool standby_step_record(struct standby_step *step, const struct record *record, struct err *err)
{
    const atomic_bool *canceled = step->standby->config.canceled;

    if (canceled && atomic_load(canceled))
        return err_set(err, ERR_CANCELED, "the follower was stopped");
    if (!step->replay && record->header.kind == RECORD_DATA && !begin_records(step, err))
        return false;
    if (step->replay && !replay_record(step->replay, record, err))
        return false;
    stand_at(step, &record->header, &record->hash);
    step->records++;
    step->bytes += record->body_size;
    return true;
}

bool standby_step_is_full(const struct standby_step *step)
{
    uint64_t bytes = 0;

    for (size_t at = 0; at < step->databases_count; at++)
        bytes += step->databases[at].overlay.count * step->databases[at].overlay.page_size;
    return step->records >= RECORDS_MAX || step->bytes >= BODY_BYTES_MAX || bytes >= OVERLAY_BYTES_MAX;
}

/* --- the act ----------------------------------------------------------------------------------------- */

static bool write_down(struct standby_step *step, struct err *err)
{
    struct standby *standby = step->standby;
    CLEANUP(standby_redo_clearp) struct standby_redo redo;
    struct standby_change change = {.directory_fd = standby->directory_fd,
                                    .staging_fd = step->staging_fd,
                                    .before = &standby->now,
                                    .after = &step->after,
                                    .databases = step->databases,
                                    .databases_count = step->databases_count};

    standby_redo_init(&redo);
    if (!standby_plan(&change, &redo, err))
        return false;
    if (syncfs(standby->directory_fd) != 0)
        return err_errno(err, "make durable what is new");
    return standby_redo_save(standby->directory_fd, &redo, &step->after, err);
}

static bool take_step(struct standby_step *step, struct err *err)
{
    if (!replay_finish(step->replay, err))
        return false;
    replay_take(step->replay);
    replay_free(MOVE(step->replay));
    return write_down(step, err) && standby_redo_carry_out(step->standby->directory_fd, err) &&
           clean_up(step->standby, err);
}

/* Parts and frames are of no use once their content is on the disk. */
static void take_state(struct standby *standby, struct manifest *after)
{
    manifest_clear(&standby->now);
    manifest_init(&standby->now);
    copy_place_in_log(&standby->now, after);
    standby->now.databases = MOVE(after->databases);
    standby->now.databases_count = after->databases_count;
    after->databases_count = 0;
    standby->now.tree = MOVE(after->tree);
}

bool standby_step_commit(struct standby_step *step, struct err *err)
{
    struct standby *standby = step->standby;

    if (step->replay) {
        if (!take_step(step, err))
            return false;
        take_state(standby, &step->after);
        return true;
    }
    copy_place_in_log(&standby->now, &step->after);
    return standby_state_save(standby->directory_fd, &standby->now, err);
}
