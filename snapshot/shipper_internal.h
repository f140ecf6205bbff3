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
/* Keeps in the fresh tree what vanished from the one before and has to stay for now. */
void shipper_hold_deletions(struct shipper *shipper, struct tree *tree, uint64_t commits);

#endif
