#include "sidecar/counters.h"

#include <inttypes.h>
#include <string.h>

/* The verbs of the store's contract by the HTTP method that carries them. */
static const struct {
    const char *operation;
    unsigned label;
} operations[] = {{"create", 0}, {"put", 0}, {"get", 1}, {"stat", 2}, {"list", 3}, {"delete", 4}};

static const char *const labels[COUNTERS_OPERATIONS] = {"put", "get", "head", "list", "delete"};

static const char *const outcomes[COUNTERS_OUTCOMES] = {
    [ERR_NONE] = "ok",           [ERR_CONFIG] = "config",
    [ERR_DENIED] = "denied",     [ERR_NOT_FOUND] = "not_found",
    [ERR_CONFLICT] = "conflict", [ERR_FENCED] = "fenced",
    [ERR_CORRUPT] = "corrupt",   [ERR_TRANSIENT] = "transient",
    [ERR_CANCELED] = "canceled", [ERR_SYSTEM] = "system",
};

static void count_request(void *context, const char *operation, enum err_code outcome, uint64_t sent_bytes,
                          uint64_t received_bytes)
{
    struct counters *counters = context;

    for (size_t at = 0; at < sizeof(operations) / sizeof(operations[0]); at++)
        if (strcmp(operations[at].operation, operation) == 0)
            atomic_fetch_add(&counters->requests[operations[at].label][outcome], 1);
    atomic_fetch_add(&counters->sent_bytes, sent_bytes);
    atomic_fetch_add(&counters->received_bytes, received_bytes);
}

struct store_observer counters_observer(struct counters *counters)
{
    return (struct store_observer){.request = count_request, .context = counters};
}

void counters_metrics(const struct counters *counters, struct buf *text)
{
    buf_add_text(text,
                 "# HELP holdfast_store_requests_total Requests to the store, each attempt counted.\n"
                 "# TYPE holdfast_store_requests_total counter\n");
    for (size_t op = 0; op < COUNTERS_OPERATIONS; op++) {
        for (size_t outcome = 0; outcome < COUNTERS_OUTCOMES; outcome++) {
            uint64_t count = atomic_load(&counters->requests[op][outcome]);
            if (count > 0 || outcome == ERR_NONE)
                buf_printf(text, "holdfast_store_requests_total{op=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
                           labels[op], outcomes[outcome], count);
        }
    }
    buf_printf(text,
               "# HELP holdfast_store_sent_bytes_total Bytes sent to the store.\n"
               "# TYPE holdfast_store_sent_bytes_total counter\n"
               "holdfast_store_sent_bytes_total %" PRIu64 "\n",
               (uint64_t)atomic_load(&counters->sent_bytes));
    buf_printf(text,
               "# HELP holdfast_store_received_bytes_total Bytes received from the store.\n"
               "# TYPE holdfast_store_received_bytes_total counter\n"
               "holdfast_store_received_bytes_total %" PRIu64 "\n",
               (uint64_t)atomic_load(&counters->received_bytes));
}
