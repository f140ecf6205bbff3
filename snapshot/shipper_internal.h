/* Between shipper.c (what is sent, and what its confirmation means), shipper_base.c and shipper_data.c (what
 * a record holds) and shipper_differs.c. */
#ifndef SNAPSHOT_SHIPPER_INTERNAL_H
#define SNAPSHOT_SHIPPER_INTERNAL_H

#include "snapshot/shipper.h"

/* manifest (moved) is the state after the newest record. */
void shipper_replace_previous(struct shipper *shipper, struct manifest *manifest);
/* Sends the record that is in flight, and then knows what it has made durable. */
bool shipper_send(struct shipper *shipper, struct err *err) CHECKED;
/* shipper_due.c. Whether there is nothing that a data record could follow. */
bool shipper_needs_base(struct shipper *shipper);
/* Whether a base is due: because somebody asked, because of what has come since the newest one, or because
 * it is old. */
bool shipper_base_is_due(const struct shipper *shipper);
/* Cuts a base of everything, which restarts the state, and freezes its record. */
bool shipper_cut_base(struct shipper *shipper, bool final, struct err *err) CHECKED;
/* Ships everything that waits, in as many data records as that takes. ERR_CONFLICT: only a base can. */
bool shipper_ship_data(struct shipper *shipper, bool final, struct err *err) CHECKED;
/* The same up to the moment at which the databases have just been frozen, and not beyond. */
bool shipper_ship_moment(struct shipper *shipper, const struct follower_frozen *frozen,
                         struct err *err) CHECKED;
/* Freezes the record that announces the base; its manifest is moved into the shipment. */
void shipper_freeze_base(struct shipper *shipper, struct base_result *result, bool restarts);

/* shipper_gone.c. The database is about to be let go of. */
void shipper_note_gone(struct shipper *shipper, const struct database *database);
/* shipper_follow_gone() while something else is waited for, and no list may change but that. are_there: no
 * attached database was deleted or replaced. */
void shipper_follow_gone_meanwhile(struct shipper *shipper, bool are_there);

/* shipper_databases.c. Whether databases are attached that `previous` and the outbox don't follow, or the
 * other way round; and whether a record may hold what has become of them, or a base is better. */
bool shipper_moves_databases(struct shipper *shipper);
bool shipper_can_move_databases(struct shipper *shipper);
/* Brings both to what is attached. Nothing is in flight. ERR_CONFLICT: only a base can. ERR_TRANSIENT: one of
 * them can't be followed now. */
bool shipper_move_databases(struct shipper *shipper, struct err *err) CHECKED;
/* A confirmed record, or base, says what has become of them. */
void shipper_end_departed(struct shipper *shipper);
void shipper_clear_departed(struct shipper *shipper);
/* Which of the databases have other attributes than `previous` says, with its paths; how many. No event tells
 * of them: they go with the next record. */
size_t shipper_list_attributes(const struct shipper *shipper,
                               struct data_attributes ret_list[static DATABASE_FREEZE_MAX]);
/* What the shipment lists of them is confirmed. */
void shipper_take_attributes(struct shipper *shipper);

/* shipper_beside.c. Whether a base that is due may be begun now. */
bool shipper_may_begin_beside(const struct shipper *shipper);
/* Ships all that waits, and begins to cut a base of the state to which that leads. Whatever keeps the base
 * from being begun is no failure of this call. */
bool shipper_begin_beside(struct shipper *shipper, struct err *err) CHECKED;
/* Appends the record of the base that was cut. */
bool shipper_announce_beside(struct shipper *shipper, struct err *err) CHECKED;
/* That record was confirmed: what lies in the base before, or in records up to this one, lies in it now. */
void shipper_commit_beside(struct shipper *shipper);
/* Gives up what is under way: the state does not go on from there. */
void shipper_drop_beside(struct shipper *shipper);
/* The database is about to be let go of, and must not be read any more. */
void shipper_leave_beside(struct shipper *shipper, const struct database *database);
/* Waits for its end. */
void shipper_clear_beside(struct shipper *shipper);
/* For a scan just made, with what the state to be shipped contains. Valid as long as the list of databases.
 */
struct deletion_moment shipper_deletion_moment(struct shipper *shipper, uint64_t commits);
/* Whether what was seen of the files does not count as durable with this record, since one moved while it was
 * read and went in as it was before. One that never stands still can't hold up everything else for ever. */
bool shipper_waits_for_files(struct shipper *shipper, bool moved);
/* What the shipment holds of the files is in the store, or nothing had to go there: its tree is the newest
 * state's, and its position durable. */
void shipper_settle(struct shipper *shipper);
/* Keeps in the fresh tree what vanished from the one before and has to stay for now. */
void shipper_hold_deletions(struct shipper *shipper, struct tree *tree, uint64_t commits);

#endif
