/* Which side holds the truth when a holdfast starts.
 *
 * The obvious rule, "restore if the directory is empty", loses data twice over: a disk that was rolled back
 * is not empty and would be shipped as if it were newer, and a wrong bucket looks like a first boot. So every
 * combination has its row, absence counts only when the store said so, and where both sides hold something
 * that the other can't explain the operator decides. */
#include "snapshot/decide.h"

#include <assert.h>

static bool decide_without_base(const struct decide_facts *facts, enum decision *ret_decision)
{
    if (facts->has_state && !facts->same_lineage)
        *ret_decision = facts->adopt == ADOPT_LOCAL ? DECIDE_ADOPT : DECIDE_NEW_FIRST_BOOT;
    else if (facts->has_state && facts->restoring)
        *ret_decision = DECIDE_NEW_FIRST_BOOT;
    else if (facts->directory_empty)
        *ret_decision = DECIDE_FIRST_BOOT;
    else if (!facts->has_state)
        *ret_decision = DECIDE_ADOPT;
    else
        *ret_decision = facts->answered ? DECIDE_KEEP : DECIDE_NEW_FIRST_BOOT;
    return true;
}

static bool decide_empty_store(const struct decide_facts *facts, enum decision *ret_decision, struct err *err)
{
    if (!facts->has_state) {
        *ret_decision = facts->directory_empty ? DECIDE_FIRST_BOOT : DECIDE_ADOPT;
        return true;
    }
    if (facts->adopt == ADOPT_LOCAL) {
        *ret_decision = DECIDE_NEW_LINEAGE;
        return true;
    }
    return err_set(
        err, ERR_CONFIG,
        "HOLDFAST_STORE is empty, but HOLDFAST_DATA_DIR was kept in a store before: it is the wrong one, "
        "or it was wiped; " STORE_REMEDY
        ", or set HOLDFAST_ADOPT=local to start a new history from this directory");
}

static bool decide_stranger(const struct decide_facts *facts, enum decision *ret_decision, struct err *err)
{
    if (facts->adopt == ADOPT_LOCAL) {
        *ret_decision = DECIDE_ADOPT;
        return true;
    }
    if (facts->adopt == ADOPT_REMOTE) {
        *ret_decision = DECIDE_RESTORE_OVER;
        return true;
    }
    return err_set(err, ERR_CONFIG,
                   "HOLDFAST_DATA_DIR holds data that %s; set HOLDFAST_ADOPT=remote to set it aside and "
                   "restore, or HOLDFAST_ADOPT=local to put it into the store as the newest state",
                   facts->has_state ? "belongs to another store than HOLDFAST_STORE"
                                    : "does not come from HOLDFAST_STORE, which holds data too");
}

static bool decide_side(const struct decide_facts *facts, enum decision *ret_decision, struct err *err)
{
    if (facts->store_empty) {
        assert(!facts->has_base);
        return decide_empty_store(facts, ret_decision, err);
    }
    if (facts->has_state && !facts->same_lineage && facts->adopt == ADOPT_REFUSE)
        return err_set(err, ERR_CONFIG,
                       "HOLDFAST_DATA_DIR belongs to another store than HOLDFAST_STORE (their lineages "
                       "differ); correct HOLDFAST_STORE, or set HOLDFAST_ADOPT=remote to "
                       "set the directory aside and restore, or HOLDFAST_ADOPT=local to put it into the "
                       "store as the newest state");
    if (!facts->has_base)
        return decide_without_base(facts, ret_decision);
    if (facts->directory_empty || (facts->has_state && facts->same_lineage && facts->restoring)) {
        *ret_decision = DECIDE_RESTORE;
        return true;
    }
    if (!facts->has_state || !facts->same_lineage)
        return decide_stranger(facts, ret_decision, err);
    *ret_decision = facts->shipped_last ? DECIDE_KEEP_IF_PROVED : DECIDE_RESTORE_OVER;
    return true;
}

/* What the store holds at that point wins over whatever is here. */
static bool decide_roll_back(const struct decide_facts *facts, enum decision *decision, struct err *err)
{
    if (!facts->has_base)
        return err_set(err, ERR_CONFIG,
                       "HOLDFAST_RESTORE_AT names a point, but nothing can be restored from HOLDFAST_STORE "
                       "yet; " STORE_REMEDY ", or remove HOLDFAST_RESTORE_AT");
    if (*decision == DECIDE_ADOPT)
        return err_set(err, ERR_CONFIG,
                       "HOLDFAST_ADOPT=local makes HOLDFAST_DATA_DIR the newest state, and "
                       "HOLDFAST_RESTORE_AT one of the store's; remove one of them");
    if (*decision == DECIDE_KEEP_IF_PROVED)
        *decision = DECIDE_RESTORE_OVER;
    assert(*decision == DECIDE_RESTORE || *decision == DECIDE_RESTORE_OVER);
    return true;
}

bool decide_start(const struct decide_facts *facts, enum decision *ret_decision, struct err *err)
{
    enum decision decision = DECIDE_FIRST_BOOT;

    if (!decide_side(facts, &decision, err) ||
        (facts->rolls_back && !decide_roll_back(facts, &decision, err)))
        return false;
    *ret_decision = decision;
    return true;
}
