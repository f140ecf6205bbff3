/* One process of one owner, from its open to its end: appends, cuts bases, packs, prunes and sweeps, in any
 * order and by what it knows, which is the log up to its newest confirmed record. */

#include "prune_rules.pml"
#include "prune_append.pml"
#include "prune_delete.pml"

proctype Life(byte me)
{
    byte own_open, confirmed;
    byte record, argument, new_horizon; /* the record in flight, frozen */
    bit landed;                         /* it is in the log, and we don't know it yet */
    byte uploaded;                      /* the tag of the own blob that no record names yet */
    byte cut, cut_step;                 /* the base being made + 1 */
    byte my_horizon;
    byte newest_base; /* ANN_NEWEST: the newest base record at the takeover */
#ifdef SHARE
    byte uploaded_last; /* the tag of the newest upload */
#endif
#ifdef STALE_TREE
    byte seen; /* a key that a tree named once */
#endif
    byte i, kept;

#ifdef UPLOAD_EARLY
    if
    :: atomic {
        started == me && head > 0 && head < MAXP && tree[head] == 0 ->
        uploaded = head + 1;
        blob = blob | BIT(uploaded);
        printf("MSC: claimant %d: uploads blob %d early\n", me, uploaded)
    }
    :: true
    fi;
    atomic { started >= me || uploaded -> skip };
#endif
    atomic { started == me && head < MAXP -> take_over() }

    do
#ifdef PACKS
    :: atomic { record == 0 && confirmed < MAXP -> record = DATA }
#endif
#ifdef BLOBS
    :: atomic { record == 0 && confirmed < MAXP && (tree[confirmed] || CAN_NAME) -> freeze_change() }
    :: atomic { uploaded == 0 && TAG <= MAXP && IS_NEW(TAG) && LACKS_A_FILE(TREE_AFTER) -> upload_blob() }
#ifdef STALE_TREE
    :: atomic { seen == 0 && tree[confirmed] -> seen = FIRST(tree[confirmed]) }
#endif
#endif
#if defined(PINS) && !defined(PIN_OBJECT)
    :: atomic {
        record == 0 && confirmed < MAXP && pin_position == 0 && my_horizon ->
        record = PIN;
        CHOOSE(base_high[my_horizon - 1], confirmed);
        argument = i;
        i = 0
    }
#endif
    :: atomic { record == 0 && confirmed < MAXP && cut_step == 3 -> freeze_base() }
    :: atomic { record && !landed && head == confirmed -> append_lands() }
    :: atomic { landed -> append_is_confirmed() }
    :: atomic { record && !landed && head > confirmed -> break } /* fenced */
#ifdef LOCAL_H
    :: atomic { bases -> move_local_horizon() }
#endif
    :: atomic { cut_step == 0 && bases < NB -> cut_base() }
    :: atomic { cut_step == 1 -> upload_part() }
    :: atomic { cut_step == 2 -> upload_manifest() }
#ifndef NO_SWEEP
    :: atomic { cut_step > 0 && cut_step < 4 -> give_up_base() }
    :: atomic { bases && (WITHOUT(part, dead_part) || WITHOUT(manifest, dead_manifest)) -> sweep_base() }
#ifdef BLOBS
    :: atomic { MAY_SWEEP_OWN -> sweep_own_blob() }
    :: atomic { WITHOUT(blob, dead_blob) -> sweep_unnamed_blob() }
#endif
#endif
#ifndef NO_PRUNE
    :: atomic { my_horizon && WITHOUT(manifest, dead_manifest) -> prune_manifest() }
    :: atomic { my_horizon && WITHOUT(part, dead_part) -> prune_part() }
#ifdef BLOBS
    :: atomic { my_horizon && confirmed > 1 && WITHOUT(blob, dead_blob) -> prune_blob() }
#endif
#ifdef PACKS
    :: atomic { my_horizon -> prune_record() }
    :: atomic { my_horizon && pack -> prune_pack() }
#endif
#endif
#ifdef PACKS
    :: atomic { confirmed > 2 -> store_pack() }
    :: atomic { pack -> delete_packed_record() }
    :: atomic { (LIVE_PACKS & 7) && (pack & 24) -> delete_covered_pack() }
#ifdef DEL_PACK_ANY
    :: atomic { (LIVE_PACKS & BIT(3)) && (pack & BIT(4)) -> delete_overlapped_pack() }
#endif
#endif
    od;
    /* What ended looks alike, whatever it knew: fewer states. */
    atomic {
        own_open = 0; confirmed = 0; record = 0; argument = 0; new_horizon = 0; landed = 0; uploaded = 0;
        cut = 0; cut_step = 0; my_horizon = 0; newest_base = 0; i = 0; kept = 0;
#ifdef SHARE
        uploaded_last = 0;
#endif
        skip
    }
}
