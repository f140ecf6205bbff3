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

enum { FREEZE_MS = 10000, SETTLE_ATTEMPTS = 5 };

void shipper_init(struct shipper *shipper, struct log *log, struct state *state)
{
    shipper->log = *log;
    *log = (struct log){0};
    shipper->state = *state;
    *state = (struct state){0};
    manifest_init(&shipper->previous);
    manifest_init(&shipper->pending_manifest);
    retain_init(&shipper->retain, &shipper->log.newest);
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
    retain_clear(&shipper->retain);
    deletions_clear(&shipper->deletions);
    free(shipper->pending_base.dropped);
}

void shipper_set_previous(struct shipper *shipper, struct manifest *manifest)
{
    manifest_clear(&shipper->previous);
    shipper->previous = *manifest;
    manifest_init(manifest);
    shipper->has_previous = true;
    for (size_t at = 0; at < shipper->previous.databases_count; at++)
        follower_set_incarnation(shipper->follower, shipper->previous.databases[at].path,
                                 shipper->previous.databases[at].incarnation);
}

bool shipper_save_state(struct shipper *shipper, struct err *err)
{
    shipper->state.lineage = shipper->log.newest.lineage;
    shipper->state.confirmed = shipper->log.newest;
    shipper->state.confirmed_hash = shipper->log.newest_hash;
    return state_save(shipper->directory_fd, &shipper->state, err);
}

/* Sends what is in flight, remembering first that it may land. */
static bool send_record(struct shipper *shipper, struct err *err)
{
    atomic_store(&shipper->sent_record, shipper->log.flight_header.position);
    if (!shipper_save_state(shipper, err) || !log_send(&shipper->log, err))
        return false;
    atomic_store(&shipper->confirmed_record, shipper->log.newest.position);
    return true;
}

static bool append_plain(struct shipper *shipper, const struct log_change *change, struct err *err)
{
    if (!log_in_flight(&shipper->log))
        log_freeze(&shipper->log, &shipper->owner, change);
    return send_record(shipper, err) && shipper_save_state(shipper, err);
}

/* The base record is confirmed: its base is the newest now, and what it holds is durable. */
static void commit_pending(struct shipper *shipper)
{
    state_point_clear(&shipper->state.shipped);
    shipper->state.shipped = shipper->state.sending;
    shipper->state.sending = (struct state_point){0};
    retain_add(&shipper->retain, &shipper->pending_base, shipper->pending_horizon);
    shipper->pending_base = (struct retain_base){0};
    shipper_set_previous(shipper, &shipper->pending_manifest);
    atomic_store(&shipper->durable, shipper->pending_position);
    shipper->pending = false;
}

static bool send_pending(struct shipper *shipper, struct err *err)
{
    if (!send_record(shipper, err))
        return false;
    commit_pending(shipper);
    return shipper_save_state(shipper, err);
}

/* The blobs whose last name is gone with the new tree. */
static void list_dropped(struct tree *before, struct tree *now, struct retain_base *base)
{
    struct blob_names old = blob_names_of(before);
    struct blob_names new = blob_names_of(now);

    base->dropped = xmalloc(old.count * sizeof(base->dropped[0]));
    for (size_t at = 0; at < old.count; at++)
        if (!blob_names_has(&new, &old.list[at]))
            base->dropped[base->dropped_count++] = old.list[at];
    blob_names_clear(&old);
    blob_names_clear(&new);
}

void shipper_remember_marks(struct shipper *shipper, struct state_point *point)
{
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);

    state_point_clear(point);
    point->databases = xcalloc(count, sizeof(point->databases[0]));
    for (size_t at = 0; at < count; at++) {
        point->databases[at].path = xstrdup(databases[at].path);
        database_mark(databases[at].database, &point->databases[at].mark);
    }
    point->databases_count = count;
}

static void freeze_base_record(struct shipper *shipper, struct base_result *result, uint64_t position)
{
    const struct record_header *newest = &shipper->log.newest;
    struct retain_base *base = &shipper->pending_base;
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(RECORD_SIZE_MAX / 2);
    struct log_change change;
    struct base_body fields;

    *base = (struct retain_base){
        .record = newest->position + 1,
        .lowest_position = result->manifest.lowest_position,
        .position = result->manifest.position,
        .time_ns = store_unix_ns(shipper->store),
        .manifest = result->reference.key,
    };
    if (shipper->has_previous)
        list_dropped(shipper->previous.tree, result->manifest.tree, base);
    shipper->pending_horizon =
        retain_horizon(&shipper->retain, base->record, base->time_ns, shipper->config->retention_ms);
    fields = (struct base_body){
        .flags = BASE_RESTARTS,
        .lowest_position = base->lowest_position,
        .position = base->position,
        .manifest = result->reference.manifest,
        .key = result->reference.key,
        .manifest_bytes = result->manifest_bytes,
        .previous_base = newest->base.announced,
        .horizon = shipper->pending_horizon,
        .state_bytes = manifest_state_bytes(&result->manifest),
        .dropped = base->dropped,
        .dropped_count = base->dropped_count,
    };
    base_body_encode(&fields, &body);
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
static bool take_state(struct shipper *shipper, struct tree **ret_tree, uint64_t *ret_position,
                       struct err *err)
{
    struct tree *before = shipper->has_previous ? shipper->previous.tree : NULL;

    for (int attempt = 0; attempt < SETTLE_ATTEMPTS; attempt++) {
        struct tree *tree = NULL;
        bool steady = false;
        follower_thaw(shipper->follower);
        if (!follower_refresh(shipper->follower, false, before, NULL, &steady, err) ||
            !follower_freeze(shipper->follower, clock_monotonic_ms() + FREEZE_MS, ret_position, err))
            return false;
        if (!follower_refresh(shipper->follower, true, before, &tree, &steady, err)) {
            follower_thaw(shipper->follower);
            return false;
        }
        if (steady) {
            *ret_tree = tree;
            return true;
        }
        tree_free(tree);
    }
    return err_set(err, ERR_TRANSIENT, "databases keep coming and going");
}

static bool cut(struct shipper *shipper, bool final, struct err *err)
{
    struct base_request request = {
        .store = shipper->store,
        .pool = shipper->pool,
        .canceled = shipper->canceled,
        .directory_fd = shipper->directory_fd,
        .log = &shipper->log,
        .owner = &shipper->owner,
        .next_n = &shipper->next_n,
        .previous = shipper->has_previous ? &shipper->previous : NULL,
    };
    struct base_result result;
    uint64_t position = 0;
    bool done;

    if (!take_state(shipper, &request.tree, &position, err))
        return false;
    if (request.previous && !final)
        deletions_hold(&shipper->deletions, shipper->previous.tree, request.tree, clock_monotonic_ms(),
                       follower_commits(shipper->follower));
    begin_incarnations(shipper);
    shipper_remember_marks(shipper, &shipper->state.sending);
    request.databases = follower_databases(shipper->follower, &request.databases_count);
    done = base_cut(&request, &result, err);
    tree_free(request.tree);
    /* What was cut stays frozen: as long as the files are the base, their hash proves after a crash that this
     * disk holds it. */
    if (done)
        freeze_base_record(shipper, &result, position);
    else
        follower_thaw(shipper->follower);
    return done;
}

bool shipper_ship(struct shipper *shipper, bool final, struct err *err)
{
    if (shipper->pending && !send_pending(shipper, err))
        return false;
    if (log_in_flight(&shipper->log) && (!send_record(shipper, err) || !shipper_save_state(shipper, err)))
        return false;
    return cut(shipper, final, err) && send_pending(shipper, err);
}

static bool same_entry(const struct tree_entry *one, const struct tree_entry *other)
{
    return one->kind == other->kind && one->size == other->size && one->mode == other->mode &&
           one->uid == other->uid && one->gid == other->gid &&
           (one->kind == ENTRY_DIRECTORY || one->mtime_ns == other->mtime_ns);
}

bool shipper_differs(struct shipper *shipper, bool *ret_differs, struct err *err)
{
    struct tree *tree = NULL;
    bool steady = false;
    size_t count = 0;

    if (!follower_refresh(shipper->follower, true, shipper->has_previous ? shipper->previous.tree : NULL,
                          &tree, &steady, err))
        return false;
    (void)follower_databases(shipper->follower, &count);
    *ret_differs = !steady || !shipper->has_previous || count != shipper->previous.databases_count ||
                   tree_count(tree) != tree_count(shipper->previous.tree);
    for (size_t at = 0; !*ret_differs && at < tree_count(tree); at++) {
        const struct tree_entry *now = tree_at(tree, at);
        const struct tree_entry *before = tree_find(shipper->previous.tree, tree_path(tree, now));
        *ret_differs = !before || !same_entry(now, before);
    }
    tree_free(tree);
    return true;
}

bool shipper_follow_logs(struct shipper *shipper, struct err *err)
{
    bool moved = false;
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);

    for (size_t at = 0; at < count; at++) {
        struct database_mark *kept = state_mark_of(&shipper->state.shipped, databases[at].path);
        struct database_mark now;
        database_mark(databases[at].database, &now);
        if (!kept || now.inode != kept->inode ||
            memcmp(kept->tail_salt, now.tail_salt, sizeof(now.tail_salt)) == 0)
            continue;
        memcpy(kept->tail_salt, now.tail_salt, sizeof(now.tail_salt));
        moved = true;
    }
    return !moved || shipper_save_state(shipper, err);
}

bool shipper_drain(struct shipper *shipper, uint64_t budget_ms, struct err *err)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(64);
    uint64_t until_ns = store_unix_ns(shipper->store) + budget_ms * NS_PER_MS;
    struct log_change change = {.kind = RECORD_DRAIN, .draining_until_ns = until_ns};

    if (shipper->pending && !send_pending(shipper, err))
        return false;
    drain_body_encode(until_ns, &body);
    change.body = body.bytes;
    change.body_size = body.size;
    return append_plain(shipper, &change, err);
}

bool shipper_close(struct shipper *shipper, struct err *err)
{
    struct log_change change = {.kind = RECORD_CLOSE};

    if (shipper->pending && !send_pending(shipper, err))
        return false;
    if (log_in_flight(&shipper->log) && !send_record(shipper, err))
        return false;
    return append_plain(shipper, &change, err);
}

bool shipper_prune(struct shipper *shipper, struct err *err)
{
    const struct id *lineage = &shipper->log.newest.lineage;

    if (!retain_learn(&shipper->retain, shipper->store, lineage, err))
        return false;
    return retain_prune(&shipper->retain, shipper->store, lineage, shipper->log.newest.position, err);
}
