#include "snapshot/reader_prune.h"

#include "snapshot/prune.h"
#include "snapshot/reader_internal.h"

enum { WORKERS = 8 };

/* The record that was the horizon may go while we work: then there is a newer one, and all is well. */
static bool prune_to(struct store *store, const struct removal *removal, uint64_t *horizon, struct err *err)
{
    struct reader_head head;
    struct prune prune;
    bool done = false;

    if (!reader_find_head(store, &head, err))
        return false;
    *horizon = head.header.horizon;
    prune_init(&prune, removal, &head.lineage);
    while (!done && *horizon != 0)
        if (!prune_step(&prune, *horizon, &done, err))
            return false;
    return true;
}

static bool prune_plans(struct store *store, const struct removal *removal, uint64_t *horizon,
                        struct err *err)
{
    struct err before = {0};
    uint64_t last = 0;

    for (int plan = 0; plan < READER_PLANS_MAX; plan++) {
        struct err why = {0};
        if (prune_to(store, removal, horizon, &why))
            return true;
        *err = why;
        if (!reader_looks_again(&before, &why) && (why.code != ERR_NOT_FOUND || *horizon == last))
            break;
        last = *horizon;
    }
    if (err->code == ERR_NOT_FOUND)
        err->code = ERR_CORRUPT;
    return false;
}

bool reader_prune(struct store *store, const struct removal_watch *watch, const atomic_bool *canceled,
                  uint64_t *ret_horizon, struct err *err)
{
    struct removal removal = {.store = store, .canceled = canceled, .watch = watch};
    uint64_t horizon = 0;
    bool done;

    if (!pool_open(WORKERS, "prune", &removal.pool, err))
        return false;
    done = prune_plans(store, &removal, &horizon, err);
    pool_free(removal.pool);
    if (done)
        *ret_horizon = horizon;
    return done;
}
