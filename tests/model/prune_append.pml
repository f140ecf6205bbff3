/* What a life adds: records of the log, blobs, bases. An append is frozen first, then lands, then is
 * confirmed; a life may stall between any two of these. */

/* --- appends -------------------------------------------------------------------------------------------- */

inline take_over()
{
    started++;
    head++;
    kind[head] = OPEN;
    tree[head] = tree[head - 1];
    own_open = head;
    confirmed = head;
#ifndef LOCAL_H
    my_horizon = horizon;
#endif
    printf("MSC: life %d: open at %d\n", me, head);
#ifdef ANN_NEWEST
    i = 0;
    do
    :: i < bases -> if :: base_record[i] > newest_base -> newest_base = base_record[i] :: else fi; i++
    :: else -> break
    od;
    i = 0;
#endif
    skip
}

/* A key that a record may name: one that the tree just before it names, or that of our own upload, for its
 * first time. */
inline choose_key(result)
{
    if
    :: result = 0
    :: result = FIRST(tree[confirmed])
#ifdef SHARE
    :: result = SECOND(tree[confirmed])
#endif
    :: uploaded -> result = uploaded
#ifdef ANY_UPLOADED
    :: blob ->
        CHOOSE(1, MAXP);
        result = ((blob & BIT(i)) -> i : 0);
        i = 0
#endif
#ifdef STALE_TREE
    :: seen -> result = seen
#endif
    fi
}

/* Any other tree of such keys: files appear, vanish, are copied, moved and swapped. */
inline freeze_change()
{
    choose_key(x);
    y = 0;
#ifdef SHARE
    choose_key(y);
#endif
    if
    :: (x | (y << 3)) != tree[confirmed] ->
        record = CHANGE;
        argument = x | (y << 3);
#ifndef NAME_AGAIN
        if :: uploaded && NAMES(argument, uploaded) -> uploaded = 0 :: else fi
#endif
    :: else
    fi;
    x = 0;
    y = 0
}

/* A base record carries the new horizon: any announced base that isn't below the old one, or the base itself.
 * Which of them, a clock says: here it says anything. */
inline freeze_base()
{
    record = BASE;
    argument = cut - 1;
    cut_step = 4;
#ifndef LOCAL_H
    if
    :: new_horizon = cut
    :: my_horizon -> new_horizon = my_horizon
    :: my_horizon ->
        CHOOSE(0, bases - 1);
        new_horizon = (MAY_BE_HORIZON(i) && base_high[i] <= base_high[cut - 1] -> i + 1 : my_horizon);
        i = 0
    fi;
#ifdef H_IN_FLIGHT
    my_horizon = new_horizon
#endif
#endif
    skip
}

inline append_lands()
{
    head++;
    kind[head] = record;
    landed = 1;
    tree[head] = (record == CHANGE -> argument : tree[head - 1]);
    if
    :: record == CHANGE ->
        printf("MSC: life %d: record %d, the file is blob %d now, the second one %d\n", me, head,
               FIRST(argument), SECOND(argument))
    :: record == BASE ->
        base_record[argument] = head;
        printf("MSC: life %d: record %d announces base %d\n", me, head, argument);
#ifndef LOCAL_H
        horizon = new_horizon;
        printf("MSC: horizon: %d\n", base_high[horizon - 1])
#endif
    :: record == PIN ->
        pin_position = argument;
        pin_record = head;
        printf("MSC: life %d: record %d pins %d\n", me, head, argument)
    :: else -> printf("MSC: life %d: record %d\n", me, head)
    fi;
    check_promises()
}

inline append_is_confirmed()
{
    landed = 0;
    confirmed++;
    if
    :: record == BASE ->
        cut = 0;
        cut_step = 0;
#ifndef LOCAL_H
        my_horizon = new_horizon;
#endif
    :: else
    fi;
    record = 0;
    argument = 0;
    new_horizon = 0
}

inline move_local_horizon()
{
    CHOOSE(0, bases - 1);
    if
    :: ANNOUNCED(i) && (my_horizon == 0 || base_high[i] > base_high[my_horizon - 1]) ->
        my_horizon = i + 1;
        if :: horizon == 0 || base_high[i] > base_high[horizon - 1] -> horizon = i + 1 :: else fi;
        printf("MSC: life %d: horizon %d\n", me, base_high[i])
    :: else
    fi;
    i = 0
}

/* --- uploads -------------------------------------------------------------------------------------------- */

inline upload_blob()
{
    uploaded = TAG;
    blob = blob | BIT(uploaded);
#ifdef SHARE
    uploaded_last = uploaded;
#endif
    printf("MSC: life %d: uploads blob %d\n", me, uploaded)
}

/* One base at a time, and never twice under one key. */
inline cut_base()
{
    ok = 1;
#ifndef SAME_P
    i = 0;
    do
    :: i < bases ->
        if :: base_owner[i] == me && base_high[i] == confirmed -> ok = 0 :: else fi;
        i++
    :: else -> break
    od;
    i = 0;
#endif
    if
    :: ok ->
        base_high[bases] = confirmed;
        base_owner[bases] = me;
        base_low[bases] = confirmed;
#ifdef TWO_DBS
        if :: confirmed > own_open -> base_low[bases] = confirmed - 1 :: true fi;
#endif
        bases++;
        cut = bases;
        cut_step = 1;
        printf("MSC: life %d: cuts base %d at %d..%d\n", me, cut - 1, base_low[cut - 1], base_high[cut - 1])
    :: else
    fi
}

inline upload_part()
{
    part = part | BIT(cut - 1);
    cut_step = 2;
    printf("MSC: life %d: part of base %d\n", me, cut - 1)
}

inline upload_manifest()
{
    manifest = manifest | BIT(cut - 1);
    cut_step = 3;
    printf("MSC: life %d: manifest of base %d\n", me, cut - 1);
#ifdef SAME_P
    /* One key for both attempts: it holds what landed last, and a late copy of the other may still land. */
    i = 0;
    do
    :: i < bases ->
        if
        :: i + 1 != cut && base_owner[i] == me && base_high[i] == base_high[cut - 1] && (manifest & BIT(i)) ->
            dead_manifest = dead_manifest | BIT(cut - 1) | BIT(i)
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0;
    check_promises()
#endif
    skip
}

inline give_up_base()
{
    cut = 0;
    cut_step = 0;
    printf("MSC: life %d: gives its base up\n", me)
}
