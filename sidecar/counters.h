/* What the store was asked, counted for /metrics. Any thread may count and read. */
#ifndef SIDECAR_COUNTERS_H
#define SIDECAR_COUNTERS_H

#include "base/buf.h"
#include "snapshot/store/store.h"

#include <stdatomic.h>

enum { COUNTERS_OPERATIONS = 5, COUNTERS_OUTCOMES = ERR_SYSTEM + 1 };

struct counters {
    atomic_uint_fast64_t requests[COUNTERS_OPERATIONS][COUNTERS_OUTCOMES];
    atomic_uint_fast64_t sent_bytes;
    atomic_uint_fast64_t received_bytes;
};

/* An observer that counts into *counters, which has to outlive the store. */
struct store_observer counters_observer(struct counters *counters);

/* holdfast_store_requests_total{op=,outcome=} and the two byte counts, in Prometheus' text format. op is put,
 * get, head, list or delete; outcome is ok or what the caller does about the error (base/err.h). */
void counters_metrics(const struct counters *counters, struct buf *text);

#endif
