/* Making an earlier state the newest one.
 *
 * The log is never cut: what came after that state stays where it is, and a base that restarts the state goes
 * on top. Its blobs are the delicate part. A blob that was dropped since may be pruned as soon as the horizon
 * has passed the record that dropped it, so its key is dead although the state that is brought back names it
 * (protocol.md, P6). Only what the superseded state names may be named again; the base is cut against that
 * one, and all else is uploaded anew. */
#include "snapshot/shipper_internal.h"

#include <assert.h>

bool shipper_roll_back(struct shipper *shipper, const struct roll_back *roll_back,
                       struct manifest *superseded, struct err *err)
{
    bool cut;

    assert(!shipper->has_previous && !log_in_flight(&shipper->log));
    if (superseded)
        shipper_replace_previous(shipper, superseded);
    shipper->roll_back = roll_back;
    cut = shipper_cut_base(shipper, true, err); /* nothing that is missing here waits to be deleted */
    shipper->roll_back = NULL;
    if (!cut)
        return false;
    /* From here on "was sending" tells a start after a crash what lies here. */
    shipper->state.restoring = RESTORING_NOT;
    return shipper_send(shipper, err);
}
