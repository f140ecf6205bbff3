/* A base that restarts the state, and what goes into it.
 *
 * The databases are frozen first, all at one instant; the files are looked at after that. An application has
 * finished a file before it commits the row that names it, so every file that the frozen state names is among
 * what is seen. The other way round, a file that was made and committed between the look and the freeze would
 * be missing. */
#include "snapshot/shipper_internal.h"

#include "base/clock.h"
#include "snapshot/blob_names.h"

#include <assert.h>
#include <string.h>

enum {
    FREEZE_MS = 10000,
    SETTLE_ATTEMPTS = 5,
    DROPPED_MAX = 100000, /* in one record; what is above costs space and nothing else */
};

/* The blobs whose last name is gone with the new tree. */
static void list_dropped(struct tree *before, struct tree *now, struct base_body *body)
{
    struct blob_names old = blob_names_of(before);
    struct blob_names new = blob_names_of(now);

    body->dropped = xcalloc(old.count, sizeof(body->dropped[0]));
    for (size_t at = 0; at < old.count && body->dropped_count < DROPPED_MAX; at++)
        if (!blob_names_has(&new, &old.list[at]))
            body->dropped[body->dropped_count++] = old.list[at];
    blob_names_clear(&old);
    blob_names_clear(&new);
}

static void encode_base(struct shipper *shipper, const struct base_result *result, bool restarts,
                        struct buf *ret_body)
{
    struct base_body body = {
        .flags = restarts ? BASE_RESTARTS : 0,
        .lowest_position = result->manifest.lowest_position,
        .position = result->manifest.position,
        .manifest = result->reference.manifest,
        .key = result->reference.key,
        .manifest_bytes = result->manifest_bytes,
        .previous_base = shipper->log.newest.base.announced,
        .horizon = shipper->shipment.horizon,
        .state_bytes = manifest_state_bytes(&result->manifest),
        .taken_from = shipper->roll_back ? shipper->roll_back->taken_from : 0,
    };

    if (restarts && shipper->has_previous)
        list_dropped(shipper->previous.tree, result->manifest.tree, &body);
    base_body_encode(&body, ret_body);
    base_body_clear(&body);
}

void shipper_freeze_base(struct shipper *shipper, struct base_result *result, bool restarts)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(RECORD_SIZE_MAX / 2);
    struct log_change change;

    shipper->shipment.base = (struct retain_base){.record = shipper->log.newest.position + 1,
                                                  .time_ns = store_unix_ns(shipper->store)};
    shipper->shipment.horizon = retain_horizon(&shipper->retain, shipper->shipment.base.record,
                                               shipper->shipment.base.time_ns, shipper->config->retention_ms);
    encode_base(shipper, result, restarts, &body);
    change = (struct log_change){.kind = RECORD_BASE,
                                 .body = body.bytes,
                                 .body_size = body.size,
                                 .changes_data = restarts,
                                 .base = &result->reference,
                                 .horizon = shipper->shipment.horizon,
                                 .roll_back = shipper->roll_back ? &shipper->roll_back->point : NULL};
    log_freeze(&shipper->log, &shipper->owner, &change);
    manifest_clear(&shipper->shipment.manifest);
    shipper->shipment.manifest = result->manifest;
    manifest_init(&result->manifest);
}

static void freeze_base_record(struct shipper *shipper, struct base_result *result, uint64_t position)
{
    shipper_freeze_base(shipper, result, true);
    shipper->state.sending.position = shipper->log.flight_header.position;
    shipper->state.sending.hash = shipper->log.flight_hash;
    tree_free(MOVE(shipper->shipment.tree));
    shipper->shipment.position = position;
    shipper->shipment.lacks_ms = follower_left_out_since_ms(shipper->follower);
    shipper->shipment.kind = SHIPMENT_BASE;
}

/* A database that has no incarnation yet begins one with the record that is about to carry it. */
static void begin_incarnations(struct shipper *shipper)
{
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);

    for (size_t at = 0; at < count; at++)
        if (databases[at].incarnation == 0)
            follower_set_incarnation(shipper->follower, databases[at].path, shipper->log.newest.position + 1);
}

/* Freezes, then looks at the files; again if that look found a database that isn't among the frozen ones. */
static bool take_state(struct shipper *shipper, struct tree **ret_tree, struct follower_frozen *ret_frozen,
                       struct err *err)
{
    struct follower *follower = shipper->follower;
    const struct manifest *previous = shipper->has_previous ? &shipper->previous : NULL;
    struct tree *before = previous ? previous->tree : NULL;

    for (int attempt = 0; attempt < SETTLE_ATTEMPTS; attempt++) {
        struct tree *tree = NULL;
        bool steady = false;
        follower_thaw(follower);
        if (!follower_refresh(follower, FOLLOWER_IF_DUE, before, NULL, &steady, err) ||
            !follower_freeze(follower, clock_monotonic_ms() + FREEZE_MS, ret_frozen, err))
            return false;
        if (!follower_refresh(follower, FOLLOWER_WHOLE, before, &tree, &steady, err) ||
            !follower_is_complete(follower, previous, err)) {
            follower_thaw(follower);
            tree_free(tree);
            return false;
        }
        if (steady) {
            *ret_tree = tree;
            return true;
        }
        tree_free(tree);
    }
    follower_thaw(follower);
    return err_set(err, ERR_TRANSIENT, "databases keep coming and going");
}

void shipper_hold_deletions(struct shipper *shipper, struct tree *tree, uint64_t commits)
{
    struct deletion_moment moment = shipper_deletion_moment(shipper, commits);

    if (shipper->has_previous)
        deletions_hold(&shipper->deletions, shipper->previous.tree, tree, &moment);
}

static void warn_of_lost(struct shipper *shipper, const struct base_result *result)
{
    struct err why = result->lost_why;

    if (!result->lost[0])
        return;
    err_prefix(&why, "%s was shipped and can't be read back", result->lost);
    shipper->warn(shipper->warn_context, why.text);
}

static void follow_all(struct shipper *shipper, const struct manifest *state)
{
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);

    assert(count == state->databases_count);
    for (size_t at = 0; at < count; at++) {
        assert(strcmp(databases[at].path, state->databases[at].path) == 0);
        outbox_follow(shipper->outbox, &databases[at], state->databases[at].rolling_hash);
    }
}

/* The base holds all that waits, so from here on the outbox takes what comes after it. */
static void follow_base(struct shipper *shipper)
{
    outbox_clear(shipper->outbox);
    cuts_clear(&shipper->cuts);
    shipper->lost_continuity = false;
    follow_all(shipper, &shipper->shipment.manifest);
    follower_thaw(shipper->follower);
}

bool shipper_cut_base(struct shipper *shipper, bool final, struct err *err)
{
    struct base_request request = {
        .store = shipper->store,
        .pool = shipper->pool,
        .canceled = shipper->interrupted,
        .directory_fd = shipper->directory_fd,
        .database_names = follower_database_names(shipper->follower),
        .log = &shipper->log,
        .owner = &shipper->owner,
        .next_n = &shipper->next_n,
        .previous = shipper->has_previous ? &shipper->previous : NULL,
    };
    uint64_t begun_ms = clock_monotonic_ms(), file_changes = follower_file_changes(shipper->follower);
    struct base_result result;
    struct follower_frozen frozen;
    bool done;

    shipper->shipment.request = shipper->wanted;
    shipper_drop_beside(shipper);
    if (!take_state(shipper, &request.tree, &frozen, err))
        return false;
    shipper->shipment.look = follower_looked(shipper->follower);
    if (!final)
        shipper_hold_deletions(shipper, request.tree, frozen.commits);
    begin_incarnations(shipper);
    shipper_remember_marks(shipper, &shipper->state.sending);
    request.databases = follower_databases(shipper->follower, &request.databases_count);
    done = base_cut(&request, &result, err);
    tree_free(request.tree);
    if (!done) {
        follower_thaw(shipper->follower);
        return false;
    }
    warn_of_lost(shipper, &result);
    shipper->shipment.file_changes = file_changes;
    freeze_base_record(shipper, &result,
                       shipper_waits_for_files(shipper, result.moved) ? atomic_load(&shipper->shipped)
                                                                      : frozen.position);
    follow_base(shipper);
    shipper->base_ended_ms = clock_monotonic_ms();
    shipper->base_duration_ms = shipper->base_ended_ms - begun_ms;
    return true;
}
