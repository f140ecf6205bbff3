/* What ships, and in which order.
 *
 * The databases are frozen first, all at one instant; the files are looked at after that. An application has
 * finished a file before it commits the row that names it, so every file that the frozen state names is among
 * what is seen. The other way round, a file that was made and committed between the look and the freeze would
 * be missing.
 *
 * A base is nothing until its record is confirmed. The record's bytes are frozen when they are first sent; a
 * failure leaves it in flight, to be sent again as it is before anything else happens. The state file is
 * written before that, so that after a crash this disk knows what may have landed. */
#include "snapshot/shipper.h"

#include "base/clock.h"
#include "snapshot/blob_names.h"

#include <assert.h>
#include <string.h>

enum {
    FREEZE_MS = 10000,
    SETTLE_ATTEMPTS = 5,
    MOVING_MAX = 5,
    DROPPED_MAX = 100000, /* in one record; what is above costs space and nothing else */
};

void shipper_init(struct shipper *shipper, struct log *log, struct state *state)
{
    shipper->log = *log;
    *log = (struct log){0};
    shipper->state = *state;
    *state = (struct state){0};
    manifest_init(&shipper->previous);
    manifest_init(&shipper->pending_manifest);
    shipper->log.store = shipper->store;
    shipper_init_pruning(shipper);
    atomic_store(&shipper->next_n, 1);
    atomic_store(&shipper->sent_record, shipper->log.newest.position);
    atomic_store(&shipper->confirmed_record, shipper->log.newest.position);
}

void shipper_clear(struct shipper *shipper)
{
    log_clear(&shipper->log);
    state_clear(&shipper->state);
    manifest_clear(&shipper->previous);
    manifest_clear(&shipper->pending_manifest);
    shipper_clear_pruning(shipper);
    deletions_clear(&shipper->deletions);
}

static void replace_previous(struct shipper *shipper, struct manifest *manifest)
{
    manifest_clear(&shipper->previous);
    shipper->previous = *manifest;
    manifest_init(manifest);
    shipper->has_previous = true;
}

void shipper_set_previous(struct shipper *shipper, struct manifest *manifest)
{
    replace_previous(shipper, manifest);
    for (size_t at = 0; at < shipper->previous.databases_count; at++)
        follower_set_incarnation(shipper->follower, shipper->previous.databases[at].path,
                                 shipper->previous.databases[at].incarnation);
}

/* Sends what is in flight, remembering first that it may land. */
static bool send_record(struct shipper *shipper, struct err *err)
{
    uint64_t begun_ms = clock_monotonic_ms();
    bool sent;

    atomic_store(&shipper->sent_record, shipper->log.flight_header.position);
    shipper_remember(shipper);
    sent = log_send(&shipper->log, err);
    yielding_note_append(&shipper->yielding, begun_ms, clock_monotonic_ms());
    if (!sent)
        return false;
    atomic_store(&shipper->confirmed_record, shipper->log.newest.position);
    return true;
}

static bool send_plain(struct shipper *shipper, struct err *err)
{
    if (!send_record(shipper, err))
        return false;
    shipper_remember(shipper);
    return true;
}

/* The base record is confirmed: its base is the newest now, and what it holds is durable. */
static void commit_pending(struct shipper *shipper)
{
    state_point_clear(&shipper->state.shipped);
    shipper->state.shipped = shipper->state.sending;
    shipper->state.sending = (struct state_point){0};
    retain_add(&shipper->retain, &shipper->pending_base, shipper->pending_horizon);
    sweep_again(&shipper->sweep);
    replace_previous(shipper, &shipper->pending_manifest);
    atomic_store(&shipper->durable, shipper->pending_position);
    shipper->pending = false;
}

static bool send_pending(struct shipper *shipper, struct err *err)
{
    if (!send_record(shipper, err))
        return false;
    commit_pending(shipper);
    shipper_remember(shipper);
    return true;
}

/* What a failure left in flight goes first, as it is. */
static bool send_left_over(struct shipper *shipper, struct err *err)
{
    if (shipper->pending)
        return send_pending(shipper, err);
    return !log_in_flight(&shipper->log) || send_plain(shipper, err);
}

bool shipper_check_head(struct shipper *shipper, uint64_t traffic, bool *ret_landed, struct err *err)
{
    bool landed = false;

    *ret_landed = false;
    if (!head_check_is_due(&shipper->head_check, shipper->log.newest.position, traffic, clock_monotonic_ms()))
        return true;
    if (!head_check_look(&shipper->log, &landed, err) || (landed && !send_left_over(shipper, err)))
        return false;
    *ret_landed = landed;
    return true;
}

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

static void encode_base(struct shipper *shipper, const struct base_result *result, struct buf *ret_body)
{
    struct base_body body = {
        .flags = BASE_RESTARTS,
        .lowest_position = result->manifest.lowest_position,
        .position = result->manifest.position,
        .manifest = result->reference.manifest,
        .key = result->reference.key,
        .manifest_bytes = result->manifest_bytes,
        .previous_base = shipper->log.newest.base.announced,
        .horizon = shipper->pending_horizon,
        .state_bytes = manifest_state_bytes(&result->manifest),
    };

    if (shipper->has_previous)
        list_dropped(shipper->previous.tree, result->manifest.tree, &body);
    base_body_encode(&body, ret_body);
    base_body_clear(&body);
}

static void freeze_base_record(struct shipper *shipper, struct base_result *result, uint64_t position)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(RECORD_SIZE_MAX / 2);
    struct log_change change;

    shipper->pending_base = (struct retain_base){.record = shipper->log.newest.position + 1,
                                                 .time_ns = store_unix_ns(shipper->store)};
    shipper->pending_horizon = retain_horizon(&shipper->retain, shipper->pending_base.record,
                                              shipper->pending_base.time_ns, shipper->config->retention_ms);
    encode_base(shipper, result, &body);
    change = (struct log_change){.kind = RECORD_BASE,
                                 .body = body.bytes,
                                 .body_size = body.size,
                                 .changes_data = true,
                                 .base = &result->reference,
                                 .horizon = shipper->pending_horizon};
    log_freeze(&shipper->log, &shipper->owner, &change);
    shipper->state.sending.position = shipper->log.flight_header.position;
    shipper->state.sending.hash = shipper->log.flight_hash;
    manifest_clear(&shipper->pending_manifest);
    shipper->pending_manifest = result->manifest;
    shipper->pending_position = position;
    shipper->pending = true;
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
        if (!follower_refresh(follower, false, before, NULL, &steady, err) ||
            !follower_freeze(follower, clock_monotonic_ms() + FREEZE_MS, ret_frozen, err))
            return false;
        if (!follower_refresh(follower, true, before, &tree, &steady, err) ||
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

static void hold_deletions(struct shipper *shipper, struct tree *tree, uint64_t commits_frozen)
{
    struct deletion_moment moment = {
        .now_ms = clock_monotonic_ms(),
        .commits_frozen = commits_frozen,
        .commits_seen = follower_commits(shipper->follower),
    };

    moment.databases = follower_databases(shipper->follower, &moment.databases_count);
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

/* The position that is durable with this base. A file that was being rewritten went in as it was before, so
 * what had been seen of it is not; but one that never stands still can't hold up everything else for ever. */
static uint64_t position_of(struct shipper *shipper, const struct base_result *result, uint64_t frozen)
{
    shipper->moving = result->moved ? shipper->moving + 1 : 0;
    if (shipper->moving == 0 || shipper->moving > MOVING_MAX)
        return frozen;
    return atomic_load(&shipper->durable);
}

static bool cut(struct shipper *shipper, bool final, struct err *err)
{
    struct base_request request = {
        .store = shipper->store,
        .pool = shipper->pool,
        .canceled = shipper->interrupted,
        .directory_fd = shipper->directory_fd,
        .log = &shipper->log,
        .owner = &shipper->owner,
        .next_n = &shipper->next_n,
        .previous = shipper->has_previous ? &shipper->previous : NULL,
    };
    struct base_result result;
    struct follower_frozen frozen;
    bool done;

    if (!take_state(shipper, &request.tree, &frozen, err))
        return false;
    if (!final)
        hold_deletions(shipper, request.tree, frozen.commits);
    begin_incarnations(shipper);
    shipper_remember_marks(shipper, &shipper->state.sending);
    request.databases = follower_databases(shipper->follower, &request.databases_count);
    done = base_cut(&request, &result, err);
    tree_free(request.tree);
    if (!done) {
        follower_thaw(shipper->follower);
        return false;
    }
    /* What was cut stays frozen: as long as the files are the base, their hash proves after a crash that this
     * disk holds it. */
    warn_of_lost(shipper, &result);
    freeze_base_record(shipper, &result, position_of(shipper, &result, frozen.position));
    return true;
}

bool shipper_ship(struct shipper *shipper, bool final, struct err *err)
{
    return send_left_over(shipper, err) && cut(shipper, final, err) && send_pending(shipper, err);
}

static bool same_entry(const struct tree_entry *one, const struct tree_entry *other)
{
    return one->kind == other->kind && one->size == other->size && one->mode == other->mode &&
           one->uid == other->uid && one->gid == other->gid &&
           (one->kind == ENTRY_DIRECTORY || one->mtime_ns == other->mtime_ns);
}

static bool same_databases(const struct shipper *shipper)
{
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);
    bool same = count == shipper->previous.databases_count;

    for (size_t at = 0; same && at < count; at++)
        same = strcmp(databases[at].path, shipper->previous.databases[at].path) == 0 &&
               databases[at].incarnation == shipper->previous.databases[at].incarnation;
    return same;
}

static bool same_trees(struct tree *now, struct tree *before)
{
    bool same = tree_count(now) == tree_count(before);

    for (size_t at = 0; same && at < tree_count(now); at++) {
        const struct tree_entry *entry = tree_at(now, at);
        const struct tree_entry *old = tree_find(before, tree_path(now, entry));
        same = old && same_entry(entry, old);
    }
    return same;
}

bool shipper_differs(struct shipper *shipper, bool final, bool *ret_differs, struct err *err)
{
    struct tree *before = shipper->has_previous ? shipper->previous.tree : NULL;
    struct tree *tree = NULL;
    bool steady = false;

    if (!follower_refresh(shipper->follower, true, before, &tree, &steady, err))
        return false;
    if (!final)
        hold_deletions(shipper, tree, follower_commits(shipper->follower));
    *ret_differs = !steady || !before || !same_databases(shipper) || !same_trees(tree, before);
    tree_free(tree);
    return true;
}

bool shipper_drain(struct shipper *shipper, uint64_t budget_ms, struct err *err)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(64);
    uint64_t until_ns = store_unix_ns(shipper->store) + budget_ms * NS_PER_MS;
    struct log_change change = {.kind = RECORD_DRAIN, .draining_until_ns = until_ns};

    if (!send_left_over(shipper, err))
        return false;
    drain_body_encode(until_ns, &body);
    change.body = body.bytes;
    change.body_size = body.size;
    log_freeze(&shipper->log, &shipper->owner, &change);
    return send_plain(shipper, err);
}

bool shipper_close(struct shipper *shipper, struct err *err)
{
    struct log_change change = {.kind = RECORD_CLOSE};

    if (!send_left_over(shipper, err))
        return false;
    if (shipper->log.newest.kind == RECORD_CLOSE)
        return true; /* it was what had been left over */
    log_freeze(&shipper->log, &shipper->owner, &change);
    return send_plain(shipper, err);
}
