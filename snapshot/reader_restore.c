/* A copy of the state at any record from the horizon on: the newest base that reaches no further, and the
 * records behind it.
 *
 * An owner proves what it read by its own open; a reader has nothing like that, and the owner may prune under
 * its hands. So a plan (one listing, one head, one base) is only believed when it still holds at the end: the
 * newest base record's horizon must not have passed the base that was used. An object that is missing or
 * damaged is reported only if a plan that was listed after the failure still needs it, and it fails again
 * (protocol.md: H7, P6, P7, P8). */
#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/chain.h"
#include "snapshot/reader_internal.h"
#include "snapshot/room.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* --- one copy ---------------------------------------------------------------------------------------- */

struct copy {
    struct store *store;
    int directory_fd;
    const struct reader_copying *how;
    struct reader_plan plan;
    struct manifest manifest;
    struct chain *chain;  /* NULL: the base is all */
    bool has_begun;       /* to write */
    uint64_t reported_ms; /* when progress was told last */
    struct reader_result result;
};

static void report(const struct copy *copy, uint64_t done, uint64_t total)
{
    const struct reader_progress *progress = copy->how->progress;

    if (progress)
        progress->report(progress->context, done, total);
}

bool reader_run(struct restore *restore, const struct reader_progress *progress, uint64_t done_before,
                uint64_t more, struct err *err)
{
    uint64_t done = 0, own_total = 0;
    bool over;

    do {
        over = restore_wait_for(restore, READER_REPORT_EVERY_MS);
        restore_progress(restore, &done, &own_total);
        if (progress)
            progress->report(progress->context, done_before + done, done_before + own_total + more);
    } while (!over);
    return restore_wait(restore, err);
}

/* A record was applied. */
static bool note_record(void *context, const struct chain *chain, const struct record *record,
                        struct err *err)
{
    struct copy *copy = context;
    uint64_t done, total;

    (void)err;
    if (record->header.data_position == record->header.position) {
        copy->result.record = record->header.position;
        copy->result.time_ns = record->header.time_ns;
    }
    if (clock_monotonic_ms() - copy->reported_ms < READER_REPORT_EVERY_MS)
        return true;
    copy->reported_ms = clock_monotonic_ms();
    chain_progress(chain, &done, &total);
    report(copy, copy->result.bytes + done, copy->result.bytes + total);
    return true;
}

/* The base, and nothing behind it. */
static bool write_base(struct copy *copy, struct place *place, struct restore **ret_restore, struct err *err)
{
    uint64_t done, more = 0;

    if (copy->chain)
        chain_progress(copy->chain, &done, &more);
    if (!restore_open(copy->store, &copy->manifest, NULL, NULL, copy->how->canceled, ret_restore, err) ||
        !restore_release(*ret_restore, place, err))
        return false;
    if (copy->chain)
        restore_expect_more(*ret_restore);
    if (!reader_run(*ret_restore, copy->how->progress, 0, more, err))
        return false;
    copy->result.objects += restore_objects(*ret_restore);
    copy->result.bytes = manifest_state_bytes(&copy->manifest);
    return true;
}

static bool write_state(struct copy *copy, struct place *place, struct err *err)
{
    CLEANUP(restore_freep) struct restore *restore = NULL;
    CLEANUP(replay_freep) struct replay *replay = NULL;
    struct replay_config config = {.store = copy->store,
                                   .manifest = &copy->manifest,
                                   .restarted = copy->plan.restarts ? copy->plan.base.header.position : 0,
                                   .place = place,
                                   .canceled = copy->how->canceled};
    struct reader_replaying how = {copy->how->canceled, note_record, copy};

    if (!write_base(copy, place, &restore, err))
        return false;
    if (!copy->chain)
        return true;
    config.restore = restore;
    replay = replay_open(&config);
    restore_free(MOVE(restore));
    if (!reader_replay(copy->chain, replay, &how, err) || !replay_finish(replay, err))
        return false;
    replay_take(replay);
    copy->result.objects += replay_objects(replay);
    return true;
}

static bool write_copy(struct copy *copy, struct err *err)
{
    CLEANUP(place_freep) struct place *place = NULL;
    CLEANUP(freep) const char **databases = NULL;
    const struct manifest *manifest = &copy->manifest;
    size_t set_aside = 0;

    if (!place_begin(copy->directory_fd, NULL, "", &place, err) || !write_state(copy, place, err))
        return false;
    databases = xcalloc(manifest->databases_count, sizeof(databases[0]));
    for (size_t at = 0; at < manifest->databases_count; at++)
        databases[at] = manifest->databases[at].path;
    if (!place_finish(place, manifest->tree, databases, manifest->databases_count, &set_aside, err) ||
        !fs_remove_tree(copy->directory_fd, ".holdfast", err)) /* a copy is nobody's data directory yet */
        return false;
    reader_count(manifest, &copy->result);
    return true;
}

static bool announce(struct copy *copy, struct err *err)
{
    struct reader_need need = {.base_bytes = manifest_disk_bytes(&copy->manifest, NULL, NULL)};
    uint64_t done;

    if (copy->chain)
        chain_progress(copy->chain, &done, &need.records_bytes);
    copy->has_begun = copy->how->begin(copy->how->context, &need, err);
    return copy->has_begun;
}

/* Looks again; what no longer held is not worth an inspection. */
static bool still_holds(struct copy *copy, bool *ret_holds, struct err *err)
{
    struct reader_head after;

    if (!reader_find_head(copy->store, &after, err))
        return false;
    *ret_holds = after.header.horizon <= copy->plan.base.header.position;
    return !*ret_holds || !copy->how->inspect ||
           copy->how->inspect(copy->how->context, &copy->manifest, &copy->result, err);
}

/* One plan, carried out and looked at again. *ret_holds false: the owner pruned it meanwhile. */
static bool restore_once(struct copy *copy, bool *ret_holds, struct err *err)
{
    struct reader_plan *plan = &copy->plan;
    bool restored;

    if (!reader_make_plan(copy->store, copy->how->at, plan, err) ||
        !reader_load_manifest(copy->store, &plan->base, &copy->manifest, err))
        return false;
    copy->result.record = plan->restarts ? plan->base.header.position : copy->manifest.position;
    copy->result.time_ns = plan->restarts ? plan->base.header.time_ns : copy->manifest.time_ns;
    restored = reader_open_chain(copy->store, plan, &copy->manifest, &copy->chain, err) &&
               announce(copy, err) && write_copy(copy, err) && still_holds(copy, ret_holds, err);
    chain_free(MOVE(copy->chain));
    manifest_clear(&copy->manifest);
    return restored;
}

/* --- until a plan holds ------------------------------------------------------------------------------ */

/* What a failed attempt wrote is nobody's state. */
static void empty_again(int directory_fd)
{
    struct place *place = NULL;
    struct err ignored = {0};

    if (place_begin(directory_fd, NULL, "", &place, &ignored))
        place_free(place);
    (void)!fs_remove_tree(directory_fd, ".holdfast", &ignored);
}

bool reader_copy(struct store *store, int directory_fd, const struct reader_copying *how,
                 struct reader_result *ret_result, struct err *err)
{
    struct err before = {0};

    for (int plan = 0; plan < READER_PLANS_MAX; plan++) {
        struct copy copy = {.store = store, .directory_fd = directory_fd, .how = how};
        struct err why = {0};
        bool holds = false;
        if (restore_once(&copy, &holds, &why) && holds) {
            *ret_result = copy.result;
            return true;
        }
        if (copy.has_begun)
            empty_again(directory_fd);
        if (why.code == ERR_NOT_FOUND)
            why.code = ERR_CORRUPT;
        if (why.code != ERR_NONE && !reader_looks_again(&before, &why)) {
            *err = why;
            return false;
        }
    }
    return err_set(
        err, ERR_TRANSIENT,
        "the owner prunes faster than this can be restored; try again, or raise HOLDFAST_RETENTION");
}

/* --- somewhere else ---------------------------------------------------------------------------------- */

/* The directory that the operator named. */
struct target {
    const char *path;
    char *name; /* "--to PATH" */
    int fd;
    bool is_made;
    uint64_t free_bytes; /* before anything was written */
    uint64_t base_bytes;
};

static struct room room_of(const struct target *target)
{
    return (struct room){target->fd, target->name, READER_ROOM_REMEDY};
}

static bool check_empty(const struct target *target, struct err *err)
{
    bool empty = false;

    return place_is_empty(target->fd, "", &empty, err) &&
           (empty ||
            err_set(err, ERR_CONFIG, "--to %s is not empty; name a directory that is empty or does not exist",
                    target->path));
}

static bool open_target(struct target *target, struct err *err)
{
    target->is_made = mkdir(target->path, 0755) == 0;
    if (!target->is_made && errno != EEXIST) {
        (void)err_errno(err, "--to %s can't be created", target->path);
        err->code = ERR_CONFIG;
        return false;
    }
    target->fd = open(target->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (target->fd < 0)
        return err_set(err, ERR_CONFIG, "--to %s is not a directory", target->path);
    return check_empty(target, err);
}

static bool check_room(void *context, const struct reader_need *need, struct err *err)
{
    struct target *target = context;
    struct room room = room_of(target);

    target->base_bytes = need->base_bytes;
    return room_check(&room, need->base_bytes, err) && fs_free_bytes(target->fd, &target->free_bytes, err);
}

static bool restore_to(struct store *store, struct target *target, struct reader_copying *how,
                       struct reader_result *ret_result, struct err *err)
{
    struct room room;

    if (!open_target(target, err))
        return false;
    how->begin = check_room;
    how->context = target;
    if (reader_copy(store, target->fd, how, ret_result, err))
        return true;
    room = room_of(target);
    room_explain(&room, target->free_bytes, target->base_bytes, err);
    return err->code != ERR_CONFIG && err_wrap(err, "restore to %s", target->path);
}

bool reader_restore(struct store *store, const char *directory, uint64_t at,
                    const struct reader_progress *progress, const atomic_bool *canceled,
                    struct reader_result *ret_result, struct err *err)
{
    CLEANUP(freep) char *name = xasprintf("--to %s", directory);
    struct reader_copying how = {.at = at, .progress = progress, .canceled = canceled};
    struct target target = {.path = directory, .name = name, .fd = -1};
    bool restored = restore_to(store, &target, &how, ret_result, err);

    close_fdp(&target.fd);
    if (!restored && target.is_made)
        (void)rmdir(directory);
    return restored;
}
