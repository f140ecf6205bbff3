/* What is sent, and what follows from its confirmation.
 *
 * Nothing that a record holds counts before it is confirmed. Its bytes are frozen when they are first sent; a
 * failure leaves it in flight, to be sent again as it is before anything else happens. The state file is
 * written before that, so that after a crash this disk knows what may have landed. */
#include "snapshot/shipper_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <string.h>

enum {
    MOVING_MAX = 5,      /* records in a row that wait for a file */
    RECORD_ATTEMPTS = 3, /* while databases come and go under it */
    KEEP_LOGS_MS = 5,
};

static void forget_database(void *context, const struct database *database)
{
    struct shipper *shipper = context;

    shipper_note_gone(shipper, database);
    outbox_forget(shipper->outbox, database);
    shipper_leave_beside(shipper, database);
}

/* It moves on what waits to be shipped, and never what is just being shipped: that ends at an offset of the
 * outbox, and the outbox only grows. */
static void keep_logs_short(void *context)
{
    struct shipper *shipper = context;

    shipper_follow_gone_meanwhile(shipper, follower_keep_logs_short(shipper->follower));
}

static bool open_parts(struct shipper *shipper, struct err *err)
{
    return pending_open(shipper->directory_fd, &shipper->pending, err) &&
           outbox_open(shipper->directory_fd, shipper->config->spool_max_bytes, &shipper->outbox, err) &&
           pool_open(1, "append", &shipper->sender, err);
}

static void free_parts(struct shipper *shipper)
{
    pool_free(MOVE(shipper->sender));
    outbox_free(MOVE(shipper->outbox));
    pending_free(MOVE(shipper->pending));
}

bool shipper_init(struct shipper *shipper, struct log *log, struct state *state, struct err *err)
{
    if (!open_parts(shipper, err)) {
        free_parts(shipper);
        return false;
    }
    shipper->meanwhile = (struct meanwhile){keep_logs_short, shipper, KEEP_LOGS_MS};
    follower_on_leave(shipper->follower, forget_database, shipper);
    shipper->log = *log;
    *log = (struct log){0};
    shipper->state = *state;
    *state = (struct state){0};
    manifest_init(&shipper->previous);
    manifest_init(&shipper->shipment.manifest);
    page_tables_init(&shipper->tables, shipper->directory_fd, shipper->warn, shipper->warn_context);
    shipper->log.store = shipper->store;
    shipper_init_pruning(shipper);
    atomic_store(&shipper->next_n, 1);
    atomic_store(&shipper->sent_record, shipper->log.newest.position);
    atomic_store(&shipper->confirmed_record, shipper->log.newest.position);
    return true;
}

void shipper_clear(struct shipper *shipper)
{
    follower_on_leave(shipper->follower, NULL, NULL);
    shipper_clear_beside(shipper);
    outbox_clear(shipper->outbox);
    free_parts(shipper);
    cuts_clear(&shipper->cuts);
    shipper_clear_departed(shipper);
    page_tables_clear(&shipper->tables);
    tree_free(shipper->shipment.tree);
    touched_clear(&shipper->shipment.again);
    log_clear(&shipper->log);
    state_clear(&shipper->state);
    manifest_clear(&shipper->previous);
    manifest_clear(&shipper->shipment.manifest);
    shipper_clear_pruning(shipper);
    deletions_clear(&shipper->deletions);
}

void shipper_replace_previous(struct shipper *shipper, struct manifest *manifest)
{
    manifest_clear(&shipper->previous);
    shipper->previous = *manifest;
    manifest_init(manifest);
    shipper->has_previous = true;
    follower_unsettle(shipper->follower);
}

void shipper_set_previous(struct shipper *shipper, struct manifest *manifest)
{
    shipper_replace_previous(shipper, manifest);
    shipper->base_time_ns = shipper->previous.time_ns;
    for (size_t at = 0; at < shipper->previous.databases_count; at++) {
        const struct manifest_database *database = &shipper->previous.databases[at];
        /* What stands where one is gone is another, which has yet to begin. */
        if (!gone_has(&shipper->state.gone, database->path, database->incarnation))
            follower_set_incarnation(shipper->follower, database->path, database->incarnation);
    }
}

static bool send_flight(void *context, struct err *err)
{
    return log_send(context, err);
}

/* Sends what is in flight, remembering first that it may land. */
static bool send_record(struct shipper *shipper, struct err *err)
{
    uint64_t begun_ms = clock_monotonic_ms();
    bool sent;

    atomic_store(&shipper->sent_record, shipper->log.flight_header.position);
    shipper_remember(shipper);
    sent = pool_run(shipper->sender, &shipper->meanwhile, send_flight, &shipper->log, err);
    yielding_note_append(&shipper->yielding, begun_ms, clock_monotonic_ms());
    if (!sent)
        return false;
    atomic_store(&shipper->confirmed_record, shipper->log.newest.position);
    return true;
}

/* A base that was begun before anybody asked answers nobody. */
static void answer_requests(struct shipper *shipper, uint64_t request)
{
    const struct record_header *record = &shipper->log.newest;

    if (request > shipper->given.request)
        shipper->given =
            (struct shipper_given){request, record->position, record->base.position, record->time_ns};
}

static void commit_base(struct shipper *shipper)
{
    struct shipment *shipment = &shipper->shipment;

    answer_requests(shipper, shipment->request);
    retain_add(&shipper->retain, &shipment->base, shipment->horizon);
    sweep_again(&shipper->sweep);
    shipper->base_time_ns = shipment->base.time_ns;
    shipper->delta_bytes = shipper->delta_commits = 0;
    page_tables_replace(&shipper->tables, &shipment->manifest);
    shipper_end_departed(shipper);
    shipper_replace_previous(shipper, &shipment->manifest);
    follower_settle_written(shipper->follower, shipment->look);
}

static void commit_data(struct shipper *shipper)
{
    struct shipment *shipment = &shipper->shipment;
    struct manifest *state = &shipper->previous;

    for (size_t at = 0; at < shipment->updates.count; at++) {
        const struct data_update *update = &shipment->updates.list[at];
        state->databases[update->database].page_size = update->page_size;
        state->databases[update->database].pages = update->pages;
        state->databases[update->database].rolling_hash = update->rolling_hash;
    }
    shipper_take_attributes(shipper);
    page_tables_commit(&shipper->tables);
    shipper_end_departed(shipper);
    shipper->delta_bytes += shipment->updates.bytes;
    shipper->delta_commits += shipment->updates.commits;
    outbox_release(shipper->outbox, shipment->outbox_end);
    cuts_release(&shipper->cuts, shipment->outbox_end);
}

struct deletion_moment shipper_deletion_moment(struct shipper *shipper, uint64_t commits)
{
    struct deletion_moment moment = {
        .now_ms = clock_monotonic_ms(),
        .commits_frozen = commits,
        .commits_seen = follower_commits(shipper->follower),
    };

    moment.databases = follower_databases(shipper->follower, &moment.databases_count);
    return moment;
}

bool shipper_waits_for_files(struct shipper *shipper, bool moved)
{
    shipper->moving = moved ? shipper->moving + 1 : 0;
    return shipper->moving > 0 && shipper->moving <= MOVING_MAX;
}

/* Nobody can tell what was committed in a database that is left out. So the position stops counting as
 * durable, however much else is shipped, until a record holds all of them again. */
void shipper_note_shipped(struct shipper *shipper, uint64_t position, uint64_t lacks_ms)
{
    atomic_store(&shipper->shipped, position);
    shipper->lacks_ms = lacks_ms;
    if (lacks_ms == 0)
        atomic_store(&shipper->durable, position);
}

void shipper_settle(struct shipper *shipper)
{
    struct shipment *shipment = &shipper->shipment;
    bool is_new = shipment->kind == SHIPMENT_BASE || shipment->tree;

    if (shipment->tree) {
        tree_free(shipper->previous.tree);
        shipper->previous.tree = MOVE(shipment->tree);
        follower_settle(shipper->follower, shipment->look, &shipment->again);
    }
    if (is_new)
        pending_settle(shipper->pending, shipper->previous.tree);
    shipper->file_changes = shipment->file_changes;
    shipper_note_shipped(shipper, shipment->position, shipment->lacks_ms);
}

/* What the confirmed record holds is durable, and the newest state. */
static void commit_shipment(struct shipper *shipper)
{
    struct shipment *shipment = &shipper->shipment;

    if (shipment->kind == SHIPMENT_BESIDE) {
        answer_requests(shipper, shipment->request);
        shipper_commit_beside(shipper);
        shipment->kind = SHIPMENT_NONE;
        return;
    }
    state_point_clear(&shipper->state.shipped);
    shipper->state.shipped = shipper->state.sending;
    shipper->state.sending = (struct state_point){0};
    if (shipment->kind == SHIPMENT_BASE)
        commit_base(shipper);
    else
        commit_data(shipper);
    gone_keep(&shipper->state.gone, &shipper->previous, NULL);
    shipper_settle(shipper);
    shipment->kind = SHIPMENT_NONE;
}

bool shipper_send(struct shipper *shipper, struct err *err)
{
    bool is_data = shipper->shipment.kind == SHIPMENT_DATA;

    if (!send_record(shipper, err))
        return false;
    if (shipper->shipment.kind != SHIPMENT_NONE)
        commit_shipment(shipper);
    /* After a crash "was sending" proves as much as "has shipped"; one write for each data record is enough.
     */
    if (!is_data)
        shipper_remember(shipper);
    return true;
}

/* What a failure left in flight goes first, as it is. */
static bool send_left_over(struct shipper *shipper, struct err *err)
{
    return !log_in_flight(&shipper->log) || shipper_send(shipper, err);
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

/* A base that is due does not hold up what was committed. */
static bool ship_due(struct shipper *shipper, bool final, struct err *err)
{
    if (!final && shipper_may_begin_beside(shipper) && shipper_base_is_due(shipper))
        return shipper_begin_beside(shipper, err);
    return shipper_ship_data(shipper, final, err);
}

static bool ship_base(struct shipper *shipper, bool final, struct err *err)
{
    return shipper_cut_base(shipper, final, err) && shipper_send(shipper, err);
}

static bool ship_records(struct shipper *shipper, bool final, struct err *err)
{
    if (!final && shipper->config->snapshot_interval_ms == 0)
        return ship_base(shipper, final, err);
    if (!final && shipper->beside.is_cut && !shipper_announce_beside(shipper, err))
        return false;
    return shipper_move_databases(shipper, err) && ship_due(shipper, final, err);
}

/* What waits is in the base too, and nothing that waits may be in its way. */
static bool begin_anew(struct shipper *shipper, bool final, struct err *err)
{
    outbox_clear(shipper->outbox);
    cuts_clear(&shipper->cuts);
    return ship_base(shipper, final, err);
}

bool shipper_ship(struct shipper *shipper, bool final, struct err *err)
{
    if (!send_left_over(shipper, err))
        return false;
    for (unsigned attempt = 1; !shipper_needs_base(shipper) && attempt <= RECORD_ATTEMPTS; attempt++) {
        if (ship_records(shipper, final, err))
            return true;
        /* What is in flight stays; whatever became of it, it goes first. */
        if (log_in_flight(&shipper->log) || (err->code != ERR_CONFLICT && err->code != ERR_CORRUPT))
            return false;
        *err = (struct err){0};
        if (!shipper_moves_databases(shipper))
            break;
    }
    return begin_anew(shipper, final, err);
}

bool shipper_drain(struct shipper *shipper, uint64_t budget_ms, struct err *err)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(64);
    uint64_t until_ns = store_unix_ns(shipper->store) + budget_ms * NS_PER_MS;
    struct log_change change = {.kind = RECORD_DRAIN, .draining_until_ns = until_ns};

    shipper_end_beside(shipper);
    if (!send_left_over(shipper, err))
        return false;
    drain_body_encode(until_ns, &body);
    change.body = body.bytes;
    change.body_size = body.size;
    log_freeze(&shipper->log, &shipper->owner, &change);
    return shipper_send(shipper, err);
}

bool shipper_close(struct shipper *shipper, struct err *err)
{
    struct log_change change = {.kind = RECORD_CLOSE};

    shipper_end_beside(shipper);
    if (!send_left_over(shipper, err))
        return false;
    if (shipper->log.newest.kind == RECORD_CLOSE)
        return true; /* it was what had been left over */
    log_freeze(&shipper->log, &shipper->owner, &change);
    return shipper_send(shipper, err);
}
