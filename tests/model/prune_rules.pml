/* The rules by which a life decides what it may name, sweep and delete; the switches take them out, one by
 * one. */

#if defined(PINS) && !defined(PIN_BLIND)
#define PINNED (pin_position && pin_record <= confirmed)
#else
#define PINNED false
#endif

#define ANNOUNCED(b) (base_record[b] && base_record[b] <= confirmed)
#ifdef ANN_NEWEST
#define KNOWN(b) (ANNOUNCED(b) && base_record[b] >= newest_base)
#else
#define KNOWN(b) ANNOUNCED(b)
#endif
#ifdef SWEEP_BY_ID
#define OF_EARLIER_TIMES(b) (base_owner[b] != me)
#else
#define OF_EARLIER_TIMES(b) (base_high[b] < own_open)
#endif

#ifdef TAG_INFLIGHT
#define TAG (confirmed + 1 + (record -> 1 : 0))
#else
#define TAG (confirmed + 1)
#endif
#ifdef TAG_LT
#define TAG_OF_EARLIER_TIMES(tag, open) ((tag) < (open))
#else
#define TAG_OF_EARLIER_TIMES(tag, open) ((tag) <= (open))
#endif
#ifdef UNNAMED_FIRST
#define STILL_NAMES(tree, key) (FIRST(tree) == (key))
#else
#define STILL_NAMES(tree, key) NAMES(tree, key)
#endif
/* A content is not uploaded twice under one tag: the key might be named, dropped, and named once more. */
#if defined(SHARE) && !defined(SAME_TAG)
#define IS_NEW(tag) (uploaded_last < (tag))
#else
#define IS_NEW(tag) true
#endif
#ifdef ANY_UPLOADED
#define CAN_NAME blob
#elif defined(STALE_TREE)
#define CAN_NAME (uploaded || seen)
#else
#define CAN_NAME uploaded
#endif
#define TREE_AFTER (record == CHANGE -> argument : tree[confirmed])
#ifdef SHARE
#define LACKS_A_FILE(tree) (FIRST(tree) == 0 || SECOND(tree) == 0)
#else
#define LACKS_A_FILE(tree) ((tree) == 0)
#endif
#ifdef OWN_EAGER
#define MAY_SWEEP_OWN uploaded
#elif defined(NAME_AGAIN)
#define MAY_SWEEP_OWN false
#else
#define MAY_SWEEP_OWN (uploaded && uploaded <= confirmed)
#endif

/* A drop counts when it takes the last name: of `key`, which `instead` replaces under one of its names. */
#ifdef DROP_ONE_NAME
#define DROPS(after, key, instead) ((instead) != (key))
#else
#define DROPS(after, key, instead) (!NAMES(after, key))
#endif
#ifdef DROP_ANY
#define DROP_COUNTS(p) true
#else
#define DROP_COUNTS(p) ((p) <= base_high[my_horizon - 1])
#endif
#ifdef RECORDS_P
#define RECORDS_UP_TO(b) base_high[b]
#else
#define RECORDS_UP_TO(b) base_low[b]
#endif
#ifdef H_UNANNOUNCED
#define MAY_BE_HORIZON(b) ((manifest & BIT(b)) && base_high[b] >= base_high[my_horizon - 1])
#elif defined(H_BACKWARDS)
#define MAY_BE_HORIZON(b) ANNOUNCED(b)
#else
#define MAY_BE_HORIZON(b) (ANNOUNCED(b) && base_high[b] >= base_high[my_horizon - 1])
#endif
#define BELOW_HORIZON(b) (ANNOUNCED(b) && base_high[b] < base_high[my_horizon - 1])

/* The order of a prune matters to readers only, and only where H isn't in the log (LOCAL_H). */
#ifndef READER
#define MANIFEST_DELETED dead_manifest
#define MANIFESTS_TURN ok = 1
#define OTHERS_TURN ok = 1
#else
#define MANIFEST_DELETED gone_manifest
#ifdef ANY_ORDER
#define MANIFESTS_TURN ok = 1
#define OTHERS_TURN ok = 1
#elif defined(ORDER_DESIGN)
#define MANIFESTS_TURN others_are_gone(ok)
#define OTHERS_TURN ok = 1
#else
#define MANIFESTS_TURN ok = 1
#define OTHERS_TURN manifests_are_gone(ok)
#endif
#endif

/* Any number of low..high, as a choice */
#define CHOOSE(low, high) \
    i = low; \
    do \
    :: i < (high) -> i++ \
    :: break \
    od

inline manifests_are_gone(result)
{
    result = 1;
    z = 0;
    do
    :: z < bases -> if :: BELOW_HORIZON(z) && !(gone_manifest & BIT(z)) -> result = 0 :: else fi; z++
    :: else -> break
    od;
    z = 0
}

#define IS_LEFT(key, after) ((key) && !NAMES(after, key) && !(gone_blob & BIT(key)))
inline others_are_gone(result)
{
    result = 1;
    z = 1;
    do
    :: z <= base_low[my_horizon - 1] ->
        if
        :: (kind[z] != OPEN && !(gone_loose & BIT(z))) || PACKED(z, WITHOUT(LIVE_PACKS, gone_pack)) ->
            result = 0
        :: else
        fi;
        z++
    :: else -> break
    od;
    z = 2;
    do
    :: z <= base_high[my_horizon - 1] ->
        if
        :: IS_LEFT(FIRST(tree[z - 1]), tree[z]) || IS_LEFT(SECOND(tree[z - 1]), tree[z]) -> result = 0
        :: else
        fi;
        z++
    :: else -> break
    od;
    z = 0
}
