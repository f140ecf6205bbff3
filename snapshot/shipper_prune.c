/* What the owner deletes and packs beside its shipping. */
#include "snapshot/shipper.h"

void shipper_init_pruning(struct shipper *shipper)
{
    const struct record_header *open = &shipper->log.newest;
    struct removal removal = {
        .store = shipper->store, .pool = shipper->pool, .canceled = shipper->interrupted};

    retain_init(&shipper->retain, shipper->store, open);
    sweep_init(&shipper->sweep, &removal, &shipper->retain, open);
    prune_init(&shipper->prune, &removal, &open->lineage);
    shipper->packer = packer_new(shipper->log.once, shipper->pool, &open->lineage);
}

void shipper_clear_pruning(struct shipper *shipper)
{
    packer_free(MOVE(shipper->packer));
    sweep_clear(&shipper->sweep);
    retain_clear(&shipper->retain);
}

static void warn_once(struct shipper *shipper, const char *text)
{
    if (!shipper->warned_prune)
        shipper->warn(shipper->warn_context, text);
    shipper->warned_prune = true;
}

/* What is deleted all the same is right: retention moves past it. */
static void tell_damage(struct shipper *shipper)
{
    struct err why = shipper->retain.damage;

    if (why.code == ERR_NONE)
        return;
    err_prefix(&why,
               "what retention would delete stays in HOLDFAST_STORE until a base newer than a damaged "
               "one is old enough; `holdfast verify` names all damage");
    warn_once(shipper, why.text);
}

/* First what came to nothing, then what is no longer kept: sweeping reads records that pruning deletes. */
static bool prune_some(struct shipper *shipper, bool *ret_done, struct err *err)
{
    bool settled = !log_in_flight(&shipper->log), swept = false;
    struct sweep_view view = {
        .tree = shipper->has_previous ? shipper->previous.tree : NULL,
        .newest = shipper->log.newest.position,
        .settled = settled ? shipper->log.newest.position : 0,
    };

    if (!retain_learn(&shipper->retain, err))
        return false;
    if (shipper->retain.before != 0)
        return true;
    tell_damage(shipper);
    if (!sweep_step(&shipper->sweep, &view, &swept, err))
        return false;
    return !swept || prune_step(&shipper->prune, shipper->retain.horizon, ret_done, err);
}

void shipper_prune(struct shipper *shipper, bool *ret_goes_on)
{
    struct err why = {0};
    bool done = false;

    *ret_goes_on = false;
    if (prune_some(shipper, &done, &why)) {
        *ret_goes_on = !done;
        return;
    }
    if (why.code == ERR_TRANSIENT || why.code == ERR_CANCELED)
        return;
    err_prefix(&why, "what nobody needs any more can't be deleted from HOLDFAST_STORE");
    warn_once(shipper, why.text);
}

void shipper_pack(struct shipper *shipper)
{
    struct err why = {0};

    if (packer_tend(shipper->packer, &shipper->log.newest, &why) || shipper->warned_pack ||
        why.code == ERR_TRANSIENT || why.code == ERR_CANCELED)
        return;
    shipper->warned_pack = true;
    err_prefix(&why, "records can't be packed; a restore takes a request for each");
    shipper->warn(shipper->warn_context, why.text);
}
