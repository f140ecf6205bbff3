/* A reader that owns nothing (restore --at, verify, list, fork) beside lives that delete. It lists, plans,
 * fetches one object after the other, and lists again when something is gone. It must take nothing wrong, and
 * must not call an undamaged store damaged. A claimant's restore is the same with the head as its target. */

/* Any bit of what was sent takes effect. */
#define LANDS(dead, gone, highest) \
    atomic { \
        WITHOUT(dead, gone) -> \
        i = 0; \
        do \
        :: i < (highest) -> i++ \
        :: WITHOUT(dead, gone) & BIT(i) -> break \
        od; \
        gone = gone | BIT(i); \
        i = 0 \
    }

active proctype Network()
{
    byte i;

    do
    :: LANDS(dead_manifest, gone_manifest, bases - 1)
    :: LANDS(dead_part, gone_part, bases - 1)
    :: LANDS(dead_blob, gone_blob, MAXP)
    :: LANDS(dead_loose, gone_loose, MAXP)
    :: LANDS(dead_pack, gone_pack, 4)
#ifdef STRAYS
    :: atomic {
        stray == 0 && gone_loose ->
        i = 0;
        do
        :: i < MAXP -> i++
        :: (gone_loose & BIT(i)) -> break
        od;
        stray = i;
        printf("MSC: store: a stray open lands at log/%d\n", i);
        i = 0
    }
#endif
    od
}

#ifndef READP
#define READP 0 /* any target */
#endif
#define IS_GONE(key) ((key) && (gone_blob & BIT(key)))
#define FAILED(what, which) failed = 10 * (what) + (which); goto list_again

/* The base: the newest announced one at or below the target that is listed. */
inline choose_base()
{
    base = 255;
    x = 0;
    do
    :: x < bases ->
        if
        :: base_record[x] && base_record[x] <= listed_head && (listed_bases & BIT(x)) &&
           base_high[x] <= target && (base == 255 || base_high[x] > base_high[base]) -> base = x
        :: else
        fi;
        x++
    :: else -> break
    od;
    x = 0
}

active proctype Reader()
{
    byte target, listed_bases, listed_packs, listed_loose, listed_head, listed_horizon, base, p;
    bit took_stray; /* for record `target`, which no successor proves */
    byte base_before, packs_before, loose_before; /* SAME_PLAN: the plan before, by its base */
    byte failed, failed_before; /* the object that failed in this plan, and the one that failed last */

list:
    atomic { listed_bases = WITHOUT(manifest, gone_manifest) }
    atomic { listed_packs = WITHOUT(pack, gone_pack) }
    atomic {
        head > 0 ->
        listed_head = head;
        listed_horizon = horizon;
        listed_loose = (255 - gone_loose) & (BIT(listed_head + 1) - 1);
        if :: stray -> listed_loose = listed_loose | BIT(stray) :: else fi;
#if READP
        target = READP;
        if :: target > listed_head -> goto end :: else fi;
#else
        if
        :: target == 0 ->
            target = 1;
            do
            :: target < listed_head -> target++
            :: break
            od
        :: else
        fi;
#endif
        choose_base();
#ifndef LOCAL_H
        /* Refused as pruned, whatever is still there. */
        if :: listed_horizon && target < base_high[listed_horizon - 1] -> goto end :: else fi;
#else
        if
        :: base == 255 && (horizon == 0 || target < base_high[horizon - 1]) -> goto end
        :: base == 255 -> goto list_again
        :: else
        fi;
#endif
        if
        :: listed_horizon == 0 && base == 255 -> goto end
        :: listed_horizon && base == 255 -> goto list_again
        :: else
        fi;
        printf("MSC: reader: plan for %d: base %d, packs %d, loose %d\n", target, base, listed_packs,
               listed_loose)
    }
    atomic {
        if :: (gone_manifest & BIT(base)) -> FAILED(1, base) :: else fi;
        p = base_low[base] + 1;
        took_stray = 0
    }
    atomic { if :: (gone_part & BIT(base)) -> FAILED(2, base) :: else fi }
    do
    :: atomic {
        p <= target ->
        if
        :: PACKED(p, listed_packs) -> /* any listed pack that holds it; all must be gone for a 404 */
            if :: PACKED(p, WITHOUT(listed_packs, gone_pack)) -> skip :: else -> FAILED(4, listed_packs) fi;
            took_stray = 0
        :: else ->
            if
            :: !(listed_loose & BIT(p)) -> FAILED(8, p) /* a gap in the list */
            :: (listed_loose & BIT(p)) && (gone_loose & BIT(p)) && stray != p -> FAILED(3, p) /* 404 */
            :: (listed_loose & BIT(p)) && stray == p && p < target -> FAILED(3, p) /* its successor says so */
            :: (listed_loose & BIT(p)) && stray == p && p == target -> took_stray = 1
            :: else -> took_stray = 0
            fi
        fi;
        p++
    }
    :: atomic {
        p > target ->
        p = 0;
        if :: IS_GONE(FIRST(tree[target])) -> FAILED(9, FIRST(tree[target])) :: else fi;
#ifdef SHARE
        if :: IS_GONE(SECOND(tree[target])) -> FAILED(9, SECOND(tree[target])) :: else fi;
#endif
        break
    }
    od;
    /* The end: list again. */
    atomic {
        if :: WITHOUT(WITHOUT(pack, gone_pack), listed_packs) -> goto list_again :: else fi;
#ifndef NO_H_CHECK
#ifdef LOCAL_H
        if :: (gone_manifest & BIT(base)) -> goto list_again :: else fi;
#else
        if :: horizon && base_high[base] < base_high[horizon - 1] -> goto list_again :: else fi;
#endif
#endif
        PROMISE(wrong_read, took_stray == 0);
        goto end
    }
list_again:
    atomic {
#ifdef ONE_FAILURE
        PROMISE(wrongly_damaged, failed == 0);
#elif defined(SAME_PLAN)
        PROMISE(wrongly_damaged, !(base == base_before && listed_packs == packs_before &&
                                   listed_loose == loose_before && base != 255));
        base_before = base;
        packs_before = listed_packs;
        loose_before = listed_loose;
#else
        PROMISE(wrongly_damaged, failed == 0 || failed != failed_before);
        if :: failed -> failed_before = failed :: else fi;
#endif
        printf("MSC: reader: %d is gone, lists again\n", failed);
        failed = 0; base = 0; listed_bases = 0; listed_packs = 0; listed_loose = 0; listed_head = 0;
        listed_horizon = 0; p = 0; took_stray = 0;
        goto list
    }
end:
    atomic {
        target = 0; listed_bases = 0; listed_packs = 0; listed_loose = 0; listed_head = 0; listed_horizon = 0;
        base = 0; p = 0; took_stray = 0; base_before = 0; packs_before = 0; loose_before = 0; failed = 0;
        failed_before = 0
    }
}
