/* When a restore would take too long: the one question behind "is a new base due".
 *
 * A prediction, on the slow side of what was measured (docs/BENCHMARKS.md, facts of the prototype): what is
 * wanted is a bound on the work, not a promise. Pure. */
#ifndef SNAPSHOT_RESTORE_BUDGET_H
#define SNAPSHOT_RESTORE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct restore_work {
    uint64_t state_bytes; /* of the base, uncompressed */
    uint64_t objects;     /* that hold the records since then */
    uint64_t record_bytes;
    uint64_t commits;
};

/* Milliseconds for the records alone, and for everything. */
uint64_t restore_predict_records_ms(const struct restore_work *work);
uint64_t restore_predict_ms(const struct restore_work *work);

/* Above the budget, and the records are more than half of it: where the base alone takes too long, more bases
 * would not help. */
bool restore_exceeds_budget(const struct restore_work *work, uint64_t budget_ms);

#endif
