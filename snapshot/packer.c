#include "snapshot/packer.h"

#include "base/clock.h"
#include "snapshot/pack.h"
#include "snapshot/store/config.h"

#include <assert.h>

enum { RETRY_MS = 60000, PATIENCE_MS = 30000 };

struct packer {
    struct store *store;
    struct packing packing; /* the thread's while it runs */
    struct chain_anchor through;
    atomic_bool stopped;
    pthread_t thread;
    bool running;
    atomic_bool ended; /* the thread has done all but end itself */
    bool failed;
    struct err err;
    uint64_t reached;  /* after the last run that went well */
    uint64_t tried;    /* the newest position when a run was begun last; 0: never */
    uint64_t retry_ms; /* not before; 0: it went well */
};

struct packer *packer_new(struct store *once, struct pool *pool, const struct id *lineage)
{
    struct packer *packer = xcalloc(1, sizeof(*packer));
    struct removal removal = {.pool = pool, .canceled = &packer->stopped};

    packer->store = store_retry(once, PATIENCE_MS, &packer->stopped);
    removal.store = packer->store;
    packing_init(&packer->packing, &removal, lineage);
    return packer;
}

void packer_free(struct packer *packer)
{
    if (!packer)
        return;
    atomic_store(&packer->stopped, true);
    if (packer->running)
        pthread_join(packer->thread, NULL);
    store_free(packer->store);
    free(packer);
}

static void *run(void *context)
{
    struct packer *packer = context;

    packer->err = (struct err){0};
    packer->failed = !packing_run(&packer->packing, &packer->through, &packer->err);
    atomic_store(&packer->ended, true);
    return NULL;
}

static bool end_run(struct packer *packer, struct err *err)
{
    pthread_join(packer->thread, NULL);
    packer->running = false;
    packer->reached = packer->packing.reached.position;
    packer->retry_ms = packer->failed ? clock_monotonic_ms() + RETRY_MS : 0;
    if (!packer->failed)
        return true;
    *err = packer->err;
    return false;
}

uint64_t packer_reached(const struct packer *packer)
{
    return packer->reached;
}

/* After each run that went well as many have to come in as fill a pack. The very first finds out what is
 * there. */
static bool is_due(const struct packer *packer, const struct record_header *newest)
{
    if (packer->retry_ms != 0)
        return clock_monotonic_ms() >= packer->retry_ms;
    return newest->position > PACK_RECORDS_MAX && newest->position - packer->tried > PACK_RECORDS_MAX;
}

bool packer_tend(struct packer *packer, const struct record_header *newest, struct err *err)
{
    if (packer->running)
        return !atomic_load(&packer->ended) || end_run(packer, err);
    if (!is_due(packer, newest))
        return true;
    assert(newest->position > 1);
    packer->tried = newest->position;
    packer->through = (struct chain_anchor){newest->position - 1, newest->previous};
    atomic_store(&packer->ended, false);
    packer->running = thread_start(&packer->thread, "packer", run, packer, err);
    packer->retry_ms = packer->running ? 0 : clock_monotonic_ms() + RETRY_MS;
    return packer->running;
}
