#include "snapshot/restore_budget.h"

enum {
    START_MS = 500,                  /* round trips, syncs */
    STATE_BYTES_PER_MS = 300 * 1000, /* fetched, decoded, written: 1.1 GB in 1.1 s from a local store */
    RECORD_BYTES_PER_MS = 50 * 1000,
    OBJECT_US = 6000, /* eight requests at a time, 50 ms each */
    COMMIT_US = 50,   /* 24 to 45 measured */
};

/* They are fetched ahead of the one that is applied, so it is not the sum of both. */
uint64_t restore_predict_records_ms(const struct restore_work *work)
{
    uint64_t fetch_ms = work->objects * OBJECT_US / 1000 + work->record_bytes / RECORD_BYTES_PER_MS;
    uint64_t apply_ms = work->commits * COMMIT_US / 1000;

    return fetch_ms > apply_ms ? fetch_ms : apply_ms;
}

uint64_t restore_predict_ms(const struct restore_work *work)
{
    return START_MS + work->state_bytes / STATE_BYTES_PER_MS + restore_predict_records_ms(work);
}

bool restore_exceeds_budget(const struct restore_work *work, uint64_t budget_ms)
{
    uint64_t all = restore_predict_ms(work);

    return all > budget_ms && restore_predict_records_ms(work) > all / 2;
}
