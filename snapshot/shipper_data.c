/* Data records: what was committed since the one before, and what happened to files.
 *
 * The order is that of a base: first one moment of all databases, then the files. An application has finished
 * a file before it commits the row that names it, so every file that the moment names is among what is seen
 * afterwards. What waits may hold several such moments; a record ends at one of them, and takes the files as
 * they are now: files that are newer than the moment are harmless, and a deletion waits for its own commit.
 */
#include "snapshot/shipper_internal.h"

#include "base/clock.h"
#include "snapshot/changes.h"

#include <assert.h>
#include <string.h>

/* More than that goes into several records, if it can be cut. */
enum { RECORD_WAITING_MAX = 32 << 20 };

bool shipper_look(struct shipper *shipper, struct err *err)
{
    struct tree *before = shipper->has_previous ? shipper->previous.tree : NULL, *tree = NULL;
    bool steady = true;

    if (!follower_refresh(shipper->follower, FOLLOWER_IF_DUE, before, &tree, &steady, err))
        return false;
    if (tree && before)
        pending_hold(shipper->pending, tree, before);
    tree_free(tree);
    return true;
}

/* always: a cut is wanted although nothing was seen to happen. */
static bool collect(struct shipper *shipper, bool always, struct err *err)
{
    struct follower_frozen moment;
    struct cut cut = {0};
    uint64_t known = atomic_load(&shipper->shipped);

    if (!follower_collect(shipper->follower, &moment, err)) {
        shipper->lost_continuity = err->code == ERR_CONFLICT || err->code == ERR_CORRUPT;
        return shipper->lost_continuity;
    }
    if (shipper->cuts.count > 0)
        known = shipper->cuts.list[shipper->cuts.count - 1].position;
    if (moment.position == known && !(always && shipper->cuts.count == 0))
        return true;
    cut = (struct cut){
        .end = outbox_end(shipper->outbox), .position = moment.position, .commits = moment.commits};
    shipper_remember_marks(shipper, &cut.point);
    cuts_add(&shipper->cuts, &cut);
    return true;
}

bool shipper_collect(struct shipper *shipper, struct err *err)
{
    return !shipper->has_previous || shipper->lost_continuity || collect(shipper, false, err);
}

static bool build(struct shipper *shipper, const struct cut *cut, const struct buf *files, struct buf *body,
                  struct err *err)
{
    struct shipment *shipment = &shipper->shipment;
    struct data_record_request request;

    shipment->attributes_count = shipper_list_attributes(shipper, shipment->attributes);
    request = (struct data_record_request){
        .store = shipper->store,
        .sender = shipper->sender,
        .meanwhile = shipper->meanwhile,
        .owner = &shipper->owner,
        .position = shipper->log.newest.position + 1,
        .next_n = &shipper->next_n,
        .outbox = shipper->outbox,
        .until = cut->end,
        .state = &shipper->previous,
        .departed = shipper->departed,
        .departed_count = shipper->departed_count,
        .attributes = shipment->attributes,
        .attributes_count = shipment->attributes_count,
        .files = files,
        .journal = page_tables_begin(&shipper->tables, shipper->log.newest.position + 1),
    };

    if (!data_record_build(&request, body, &shipment->updates, err))
        return false;
    page_tables_seal(&shipper->tables);
    return true;
}

/* From here on the record's bytes don't change, and it is known what they hold. */
static void freeze_record(struct shipper *shipper, struct cut *cut, const struct buf *body)
{
    struct log_change change = {
        .kind = RECORD_DATA, .body = body->bytes, .body_size = body->size, .changes_data = true};

    log_freeze(&shipper->log, &shipper->owner, &change);
    state_point_clear(&shipper->state.sending);
    shipper->state.sending = cut->point;
    cut->point = (struct state_point){0};
    shipper->state.sending.position = shipper->log.flight_header.position;
    shipper->state.sending.hash = shipper->log.flight_hash;
    shipper->shipment.kind = SHIPMENT_DATA;
    shipper->shipment.outbox_end = cut->end;
}

/* In the end nobody writes any more, and there is no second chance. */
static bool scan_files(struct shipper *shipper, bool final, struct tree **ret_tree, struct err *err)
{
    enum follower_look how = final ? FOLLOWER_WHOLE : FOLLOWER_NOW;
    struct tree *tree = NULL;
    bool steady = false;

    if (!follower_refresh(shipper->follower, how, shipper->previous.tree, &tree, &steady, err))
        return false;
    if (!steady || !shipper_same_databases(shipper)) {
        tree_free(tree);
        return err_set(err, ERR_CONFLICT, "databases came or went");
    }
    if (!follower_is_complete(shipper->follower, &shipper->previous, err)) {
        tree_free(tree);
        return false;
    }
    shipper->shipment.look = follower_looked(shipper->follower);
    pending_hold(shipper->pending, tree, shipper->previous.tree);
    *ret_tree = tree;
    return true;
}

static bool compare_files(struct shipper *shipper, const struct cut *cut, bool final, struct tree *now,
                          struct changes *ret_changes, struct err *err)
{
    struct deletion_moment moment = shipper_deletion_moment(shipper, cut->commits);
    struct changes_request request = {
        .store = shipper->store,
        .pool = shipper->pool,
        .meanwhile = shipper->meanwhile,
        .canceled = shipper->interrupted,
        .tag = shipper->log.newest.position + 1,
        .previous = shipper->previous.tree,
        .now = now,
        .pending = shipper->pending,
        .deletions = &shipper->deletions,
        .moment = final ? NULL : &moment,
        .databases = moment.databases,
        .databases_count = moment.databases_count,
        .directory_fd = shipper->directory_fd,
        .database_names = follower_database_names(shipper->follower),
        .body_max = CHANGES_BODY_MAX,
    };

    return changes_collect(&request, ret_changes, err);
}

/* What is durable with this record. */
static void account_files(struct shipper *shipper, const struct cut *cut, uint64_t file_changes,
                          struct changes *changes)
{
    struct shipment *shipment = &shipper->shipment;
    bool waits = shipper_waits_for_files(shipper, changes->left > 0) || changes->failed[0];

    shipment->position = waits ? atomic_load(&shipper->shipped) : cut->position;
    shipment->lacks_ms = follower_left_out_since_ms(shipper->follower);
    shipment->file_changes = waits ? shipper->file_changes : file_changes;
    shipment->tree = MOVE(changes->after);
    touched_clear(&shipment->again);
    shipment->again = changes->again;
    changes->again = (struct touched){0};
    for (size_t at = 0; at < shipper->deletions.count; at++)
        (void)touched_add(&shipment->again, shipper->deletions.list[at].path, 0, true);
}

static bool add_files(struct shipper *shipper, const struct cut *cut, bool final, struct changes *changes,
                      struct err *err)
{
    uint64_t file_changes = follower_file_changes(shipper->follower);
    struct tree *now = NULL;
    bool compared;

    shipper->shipment.position = cut->position;
    shipper->shipment.lacks_ms = follower_left_out_since_ms(shipper->follower);
    shipper->shipment.file_changes = file_changes;
    if (!final && file_changes == shipper->file_changes && shipper->deletions.count == 0)
        return true;
    if (!scan_files(shipper, final, &now, err))
        return false;
    compared = compare_files(shipper, cut, final, now, changes, err);
    tree_free(now);
    if (compared)
        account_files(shipper, cut, file_changes, changes);
    return compared;
}

static bool ship_cut(struct shipper *shipper, struct cut *cut, bool final, struct err *err)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(RECORD_SIZE_MAX - 4096);
    CLEANUP(changes_clearp) struct changes changes = {0};

    tree_free(MOVE(shipper->shipment.tree));
    if (!add_files(shipper, cut, final, &changes, err) || !build(shipper, cut, &changes.sections, &body, err))
        return false;
    if (body.size == 0) {
        /* What was seen came to nothing: a file that was made and removed again. */
        shipper_settle(shipper);
        cuts_release(&shipper->cuts, cut->end);
    } else {
        freeze_record(shipper, cut, &body);
        if (!shipper_send(shipper, err))
            return false;
    }
    if (!changes.failed[0])
        return true;
    /* All else is shipped; what can't be read keeps the position from counting as durable. */
    *err = changes.failed_why;
    return err_wrap(err, "ship %s", changes.failed);
}

/* Up to the newest cut. */
static bool ship_cuts(struct shipper *shipper, bool final, struct err *err)
{
    bool goes_on = true;

    while (goes_on && shipper->cuts.count > 0) {
        struct cut *cut = cuts_choose(&shipper->cuts, outbox_begin(shipper->outbox) + RECORD_WAITING_MAX);
        goes_on = cut != &shipper->cuts.list[shipper->cuts.count - 1];
        if (!ship_cut(shipper, cut, final, err))
            return false;
    }
    return true;
}

bool shipper_ship_moment(struct shipper *shipper, const struct follower_frozen *frozen, struct err *err)
{
    /* No lock has moved beyond that moment yet, and none does but with what comes after it. */
    struct cut cut = {
        .end = outbox_end(shipper->outbox), .position = frozen->position, .commits = frozen->commits};

    shipper_remember_marks(shipper, &cut.point);
    cuts_add(&shipper->cuts, &cut);
    return ship_cuts(shipper, false, err);
}

bool shipper_ship_data(struct shipper *shipper, bool final, struct err *err)
{
    /* With a full outbox there is something to ship, which makes room. */
    if (!collect(shipper, true, err) && shipper->cuts.count == 0)
        return false;
    if (shipper->lost_continuity)
        return err_set(err, ERR_CONFLICT, "commits can't be read any more");
    return ship_cuts(shipper, final, err);
}
