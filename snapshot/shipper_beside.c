/* A base that is cut while records go on.
 *
 * It repeats what the log says: the databases are frozen, a record is shipped that ends at exactly that
 * moment, and the state after it is what the base holds. From then on the application's commits are collected
 * from its log as ever, and shipped, while a thread of its own reads the frozen files (base_job.c). When all
 * of it is stored, a record announces the base, which stands at a position some records ago; a restore takes
 * it and the records above that position.
 *
 * Nothing waits for it. What is in its way (a database that comes or goes, a log that grows too long under a
 * frozen file, the store, a drain) ends it, and what it has stored is nobody's. It removes that itself if
 * there is time; positions at or above our own open are not swept by us but by the next owner, so parts that
 * are still being stored are never taken for garbage. It uploads no blobs: those that the tree names are
 * there. */
#include "snapshot/shipper_internal.h"

#include "base/clock.h"
#include "base/fs.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
    FREEZE_MS = 2000, /* records wait for it */
    LOG_MAX_BYTES = 64 << 20,
    LOG_SHARE = 8, /* of the databases' bytes, if that is more; doubled each time that it was not enough */
    LOG_SHARE_OF_FREE = 4, /* but never more of what is free on the disk */
    DOUBLED_MAX = 16,
    RETRY_FIRST_MS = 500, /* or as long as the attempt took; doubled with each failure in a row */
    RETRY_DOUBLED_MAX = 8,
    WARN_FROM = 3, /* failures in a row, where later may do */
};

static void note_failure(struct shipper *shipper, const struct err *why)
{
    struct beside *beside = &shipper->beside;
    uint64_t now_ms = clock_monotonic_ms(), took_ms = now_ms - beside->begun_ms;
    unsigned doubled = beside->failures < RETRY_DOUBLED_MAX ? beside->failures : RETRY_DOUBLED_MAX;
    bool passes = why->code == ERR_TRANSIENT || why->code == ERR_CANCELED;
    struct err said = *why;

    beside->retry_ms = now_ms + ((took_ms > RETRY_FIRST_MS ? took_ms : RETRY_FIRST_MS) << doubled);
    beside->failures++;
    if (beside->warned || (passes && beside->failures < WARN_FROM))
        return;
    beside->warned = true;
    err_prefix(&said, "a new base is due and can't be cut; records go on, and it is tried again");
    shipper->warn(shipper->warn_context, said.text);
}

/* --- beginning --------------------------------------------------------------------------------------- */

bool shipper_may_begin_beside(const struct shipper *shipper)
{
    const struct beside *beside = &shipper->beside;

    return !beside->job && !beside->ended && clock_monotonic_ms() >= beside->retry_ms;
}

static uint64_t log_max_bytes(const struct shipper *shipper)
{
    unsigned doubled = shipper->beside.outgrown < DOUBLED_MAX ? shipper->beside.outgrown : DOUBLED_MAX;
    uint64_t bytes = 0, most = 0, free_bytes = 0;
    struct err unknown = {0};

    for (size_t at = 0; at < shipper->previous.databases_count; at++)
        bytes += shipper->previous.databases[at].pages * shipper->previous.databases[at].page_size;
    most = bytes / LOG_SHARE > LOG_MAX_BYTES ? bytes / LOG_SHARE : LOG_MAX_BYTES;
    if (shipper->config->frozen_log_bytes > 0)
        most = shipper->config->frozen_log_bytes;
    most <<= doubled;
    if (fs_free_bytes(shipper->directory_fd, &free_bytes, &unknown) && most > free_bytes / LOG_SHARE_OF_FREE)
        most = free_bytes / LOG_SHARE_OF_FREE;
    return most;
}

/* Everything up to the moment of the freeze is in the newest record, and nothing else. */
static bool stands_at_newest(const struct shipper *shipper)
{
    return !log_in_flight(&shipper->log) && shipper->cuts.count == 0 && !shipper->lost_continuity &&
           outbox_begin(shipper->outbox) == outbox_end(shipper->outbox) && shipper_same_databases(shipper);
}

static bool start_job(struct shipper *shipper, struct err *err)
{
    struct beside *beside = &shipper->beside;
    struct base_job_plan plan = {
        .store = shipper->config->store,
        .pool = shipper->pool,
        .directory_fd = shipper->directory_fd,
        .log = &shipper->log,
        .owner = &shipper->owner,
        .next_n = &shipper->next_n,
        .state = &shipper->previous,
        .event_fd = shipper->wake_fd,
    };

    plan.databases = follower_databases(shipper->follower, &plan.databases_count);
    if (!base_job_start(&plan, &beside->job, err))
        return false;
    beside->is_reading = true;
    beside->is_given_up = beside->is_cut = false;
    beside->log_max_bytes = log_max_bytes(shipper);
    beside->delta_bytes = shipper->delta_bytes;
    beside->delta_commits = shipper->delta_commits;
    return true;
}

bool shipper_begin_beside(struct shipper *shipper, struct err *err)
{
    struct follower_frozen frozen;
    struct err why = {0};
    bool shipped;

    shipper->beside.begun_ms = clock_monotonic_ms();
    shipper->beside.request = shipper->wanted;
    if (!follower_freeze(shipper->follower, shipper->beside.begun_ms + FREEZE_MS, &frozen, &why)) {
        note_failure(shipper, &why);
        return shipper_ship_data(shipper, false, err);
    }
    shipped = shipper_ship_moment(shipper, &frozen, err);
    if (stands_at_newest(shipper) && start_job(shipper, &why))
        return shipped;
    follower_thaw(shipper->follower);
    if (why.code != ERR_NONE)
        note_failure(shipper, &why);
    return shipped;
}

/* --- while it is under way --------------------------------------------------------------------------- */

static void stop_reading(struct shipper *shipper)
{
    struct beside *beside = &shipper->beside;

    if (!beside->is_reading)
        return;
    base_job_stop_reading(beside->job);
    follower_thaw(shipper->follower);
    beside->is_reading = false;
}

void shipper_drop_beside(struct shipper *shipper)
{
    struct beside *beside = &shipper->beside;

    if (!beside->job)
        return;
    base_job_cancel(beside->job);
    stop_reading(shipper);
    beside->is_given_up = true;
    beside->is_cut = false;
}

void shipper_leave_beside(struct shipper *shipper, const struct database *database)
{
    struct beside *beside = &shipper->beside;

    if (!beside->is_reading || !base_job_reads(beside->job, database))
        return;
    /* The others are thawed when it is tended: their owner is in the middle of something. */
    base_job_cancel(beside->job);
    beside->is_given_up = true;
}

void shipper_end_beside(struct shipper *shipper)
{
    shipper->beside.ended = true;
    if (shipper->beside.job)
        base_job_leave(shipper->beside.job);
    shipper_drop_beside(shipper);
}

void shipper_clear_beside(struct shipper *shipper)
{
    base_job_free(MOVE(shipper->beside.job));
}

bool shipper_has_base(const struct shipper *shipper)
{
    return shipper->beside.is_cut || (shipper_is_asked(shipper) && !shipper->beside.job);
}

static void check_log(struct shipper *shipper)
{
    struct beside *beside = &shipper->beside;
    uint64_t growth = follower_frozen_growth(shipper->follower);
    struct err why = {0};

    if (growth <= beside->log_max_bytes)
        return;
    (void)err_set(&why, ERR_TRANSIENT, "a database's log grew by %" PRIu64 " MiB meanwhile", growth >> 20);
    beside->outgrown++;
    shipper_drop_beside(shipper);
    note_failure(shipper, &why);
}

/* Takes notice of how it ended. */
static void end_job(struct shipper *shipper)
{
    struct beside *beside = &shipper->beside;
    struct base_result *result;
    struct err why = {0};

    beside->is_cut = !beside->is_given_up && base_job_result(beside->job, &result, &why);
    if (beside->is_cut) {
        shipper->base_ended_ms = clock_monotonic_ms();
        shipper->base_duration_ms = shipper->base_ended_ms - beside->begun_ms;
        return;
    }
    base_job_free(MOVE(beside->job));
    if (beside->is_given_up)
        return;
    note_failure(shipper, &why);
    /* What can't be repeated is begun anew. */
    shipper->lost_continuity = shipper->lost_continuity || why.code == ERR_CORRUPT;
}

void shipper_tend_beside(struct shipper *shipper)
{
    struct beside *beside = &shipper->beside;

    if (!beside->job || beside->is_cut)
        return;
    if (beside->is_reading && (beside->is_given_up || base_job_has_read(beside->job)))
        stop_reading(shipper);
    if (beside->is_reading)
        check_log(shipper);
    if (base_job_is_over(beside->job))
        end_job(shipper);
}

/* --- the end ----------------------------------------------------------------------------------------- */

bool shipper_announce_beside(struct shipper *shipper, struct err *err)
{
    struct beside *beside = &shipper->beside;
    struct base_result *result = NULL;
    bool cut = base_job_result(beside->job, &result, err);

    assert(beside->is_cut && cut);
    shipper_freeze_base(shipper, result, false);
    shipper->shipment.kind = SHIPMENT_BESIDE;
    shipper->shipment.request = beside->request;
    base_job_free(MOVE(beside->job));
    beside->is_cut = false;
    return shipper_send(shipper, err);
}

/* Whether a small file's content is in a record that the base does not reach, and stays there. */
static bool stays(const struct tree_entry *entry, const struct manifest *base)
{
    return entry->kind != ENTRY_FILE || entry->content != CONTENT_INLINE ||
           (entry->target == TREE_FRAME_IN_RECORD && entry->extra > (uint32_t)base->position);
}

/* Every other one is in the base, since nothing was said of it since then. Looks first, or changes. */
static bool move_contents(struct tree *tree, struct manifest *base, bool changes)
{
    size_t at = 0;

    for (size_t index = 0; index < tree_count(tree); index++) {
        struct tree_entry *entry = tree_at(tree, index);
        const struct tree_entry *moved;
        if (stays(entry, base))
            continue;
        moved = tree_seek(base->tree, &at, tree_path(tree, entry));
        if (!moved || moved->content != CONTENT_INLINE || moved->size != entry->size)
            return false;
        if (changes)
            tree_set_inline(entry, moved->target, moved->extra);
    }
    return true;
}

/* They may have come and gone since. */
static void move_databases(struct manifest *state, struct manifest *base)
{
    struct manifest_database *databases = state->databases;
    size_t count = state->databases_count;

    for (size_t at = 0; at < count; at++) {
        const struct manifest_database *in_base = manifest_find_database(base, databases[at].path);
        if (!in_base || in_base->incarnation != databases[at].incarnation)
            continue;
        databases[at].first_frame = in_base->first_frame;
        databases[at].frames = in_base->frames;
    }
    state->databases = base->databases;
    state->databases_count = base->databases_count;
    base->databases = databases;
    base->databases_count = count;
}

/* The newest state, in terms of the new base. */
static void move_state(struct shipper *shipper, struct manifest *base)
{
    struct manifest *state = &shipper->previous;

    if (!move_contents(state->tree, base, false)) {
        shipper->lost_continuity = true; /* can't be, and costs a base if it is */
        return;
    }
    (void)move_contents(state->tree, base, true);
    tree_free(base->tree);
    base->tree = MOVE(state->tree);
    move_databases(state, base);
    manifest_clear(state);
    *state = *base;
    manifest_init(base);
}

void shipper_commit_beside(struct shipper *shipper)
{
    struct shipment *shipment = &shipper->shipment;
    struct beside *beside = &shipper->beside;

    retain_add(&shipper->retain, &shipment->base, shipment->horizon);
    sweep_again(&shipper->sweep);
    shipper->base_time_ns = shipment->base.time_ns;
    shipper->delta_bytes -= beside->delta_bytes;
    shipper->delta_commits -= beside->delta_commits;
    beside->failures = beside->outgrown = 0;
    beside->warned = false;
    move_state(shipper, &shipment->manifest);
    manifest_clear(&shipment->manifest);
}
