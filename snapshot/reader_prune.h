/* `holdfast prune`: what retention allows to be deleted, deleted by somebody who doesn't own the log. Beside
 * a running owner, which does the same, either may find things gone already. Nothing is swept: what was not
 * announced may be somebody's upload. */
#ifndef SNAPSHOT_READER_PRUNE_H
#define SNAPSHOT_READER_PRUNE_H

#include "snapshot/removal.h"

/* Tells `watch` of each key that was deleted (or, if it is dry, would be). *ret_horizon: the base record
 * below which nothing can be restored, 0: none was ever announced. ERR_CONFIG: the store holds nothing of
 * holdfast.
 */
bool reader_prune(struct store *store, const struct removal_watch *watch, const atomic_bool *canceled,
                  uint64_t *ret_horizon, struct err *err) CHECKED;

#endif
