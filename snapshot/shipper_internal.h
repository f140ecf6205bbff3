/* Between shipper.c (what is sent, and what its confirmation means), shipper_base.c and shipper_data.c (what
 * a record holds) and shipper_differs.c. */
#ifndef SNAPSHOT_SHIPPER_INTERNAL_H
#define SNAPSHOT_SHIPPER_INTERNAL_H

#include "snapshot/shipper.h"

/* Sends the record that is in flight, and then knows what it has made durable. */
bool shipper_send(struct shipper *shipper, struct err *err) CHECKED;
/* Cuts a base of everything and freezes its record. */
bool shipper_cut_base(struct shipper *shipper, bool final, struct err *err) CHECKED;
/* Ships everything that waits, in as many data records as that takes. ERR_CONFLICT: only a base can. */
bool shipper_ship_data(struct shipper *shipper, bool final, struct err *err) CHECKED;
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
