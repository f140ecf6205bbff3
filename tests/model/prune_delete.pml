/* What a life deletes: by sweeping (what nobody will ever name), by the horizon (what no point needs any
 * more), and by packing (what a pack holds now). Each is one DELETE, sent in one step. */

/* --- sweeps --------------------------------------------------------------------------------------------- */

inline sweep_own_blob()
{
    dead_blob = dead_blob | BIT(uploaded);
    printf("MSC: life %d: sweeps its own blob %d\n", me, uploaded);
    uploaded = 0;
    check_promises()
}

inline sweep_unnamed_blob()
{
    CHOOSE(1, MAXP);
    ok = (WITHOUT(blob, dead_blob) & BIT(i)) && TAG_OF_EARLIER_TIMES(i, own_open) && i != uploaded &&
         !(record == CHANGE && NAMES(argument, i));
#ifdef UNNAMED_HEAD
    if :: NAMES(tree[confirmed], i) -> ok = 0 :: else fi;
#else
    y = (my_horizon -> base_high[my_horizon - 1] : 1);
    do
    :: y <= confirmed -> if :: STILL_NAMES(tree[y], i) -> ok = 0 :: else fi; y++
    :: else -> break
    od;
    y = 0;
    if :: PINNED -> if :: NAMES(tree[pin_position], i) -> ok = 0 :: else fi :: else fi;
#endif
    if
    :: ok ->
        dead_blob = dead_blob | BIT(i);
        printf("MSC: life %d: sweeps unnamed blob %d\n", me, i);
        check_promises()
    :: else
    fi;
    i = 0
}

inline sweep_base()
{
    CHOOSE(0, bases - 1);
    if
    :: OF_EARLIER_TIMES(i) && !KNOWN(i) &&
       ((WITHOUT(manifest, dead_manifest) & BIT(i)) || (WITHOUT(part, dead_part) & BIT(i))) ->
        if
        :: (manifest & BIT(i)) -> dead_manifest = dead_manifest | BIT(i)
        :: (part & BIT(i)) -> dead_part = dead_part | BIT(i)
        fi;
        printf("MSC: life %d: sweeps base %d\n", me, i);
        check_promises()
    :: else
    fi;
    i = 0
}

/* --- by the horizon ------------------------------------------------------------------------------------- */

inline find_pinned_base()
{
    kept = 0;
    if :: PINNED -> base_of_pin(confirmed, kept) :: else fi
}

inline prune_manifest()
{
    CHOOSE(0, bases - 1);
    ok = 0;
    if :: BELOW_HORIZON(i) && (WITHOUT(manifest, dead_manifest) & BIT(i)) -> MANIFESTS_TURN :: else fi;
    find_pinned_base();
    if
    :: ok && i + 1 != kept ->
        dead_manifest = dead_manifest | BIT(i);
        printf("MSC: life %d: deletes manifest of base %d\n", me, i);
        check_promises()
    :: else
    fi;
    i = 0;
    kept = 0
}

inline prune_part()
{
    CHOOSE(0, bases - 1);
    ok = BELOW_HORIZON(i) && (MANIFEST_DELETED & BIT(i)) && !(dead_part & BIT(i));
    find_pinned_base();
    if
    :: ok && i + 1 != kept ->
        dead_part = dead_part | BIT(i);
        printf("MSC: life %d: deletes parts of base %d\n", me, i);
        check_promises()
    :: else
    fi;
    i = 0;
    kept = 0
}

inline prune_blob()
{
    CHOOSE(2, confirmed);
    ok = 0;
    if
    :: x = FIRST(tree[i - 1]); y = FIRST(tree[i])
#ifdef SHARE
    :: x = SECOND(tree[i - 1]); y = SECOND(tree[i])
#endif
    fi;
    if
    :: x && DROPS(tree[i], x, y) && !(dead_blob & BIT(x)) && DROP_COUNTS(i) -> OTHERS_TURN
    :: else
    fi;
    y = 0;
    if
    :: ok && !(PINNED && x <= pin_position && pin_position < i) ->
        dead_blob = dead_blob | BIT(x);
        printf("MSC: life %d: deletes blob %d dropped by %d\n", me, x, i);
        check_promises()
    :: else
    fi;
    x = 0;
    i = 0
}

inline prune_record()
{
    CHOOSE(1, confirmed);
    ok = 0;
    if
    :: i <= RECORDS_UP_TO(my_horizon - 1) && kind[i] != OPEN && !(dead_loose & BIT(i)) -> OTHERS_TURN
    :: else
    fi;
    find_pinned_base();
    if
    :: ok && !(kept && i > base_low[kept - 1] && i <= pin_position) ->
        dead_loose = dead_loose | BIT(i);
        printf("MSC: life %d: deletes log/%d by retention\n", me, i);
        check_promises()
    :: else
    fi;
    i = 0;
    kept = 0
}

inline prune_pack()
{
    CHOOSE(0, 4);
    ok = 0;
    if
    :: (LIVE_PACKS & BIT(i)) && PACK_LAST(i) <= RECORDS_UP_TO(my_horizon - 1) -> OTHERS_TURN
    :: else
    fi;
    find_pinned_base();
    if
    :: ok && !(kept && PACK_LAST(i) > base_low[kept - 1] && PACK_FIRST(i) <= pin_position) ->
        dead_pack = dead_pack | BIT(i);
        printf("MSC: life %d: deletes pack %d-%d by retention\n", me, PACK_FIRST(i), PACK_LAST(i));
        check_promises()
    :: else
    fi;
    i = 0;
    kept = 0
}

/* --- packing -------------------------------------------------------------------------------------------- */

inline store_pack()
{
    CHOOSE(0, 4);
    ok = (PACKSET & BIT(i)) && !(pack & BIT(i)) && PACK_LAST(i) < confirmed;
    if
    :: ok ->
        y = PACK_FIRST(i);
        do
        :: y <= PACK_LAST(i) -> if :: !RECORD_THERE(y) -> ok = 0 :: else fi; y++
        :: else -> break
        od;
        y = 0
    :: else
    fi;
    if
    :: ok ->
        pack = pack | BIT(i);
        printf("MSC: life %d: stores pack %d-%d\n", me, PACK_FIRST(i), PACK_LAST(i))
    :: else
    fi;
    i = 0
}

inline delete_packed_record()
{
    CHOOSE(1, confirmed);
    if
    :: kind[i] != OPEN && !(dead_loose & BIT(i)) && PACKED(i, WITHOUT(pack, gone_pack)) ->
        dead_loose = dead_loose | BIT(i);
        printf("MSC: life %d: deletes packed log/%d\n", me, i);
        check_promises()
    :: else
    fi;
    i = 0
}

inline delete_covered_pack()
{
    CHOOSE(0, 2);
    ok = (LIVE_PACKS & BIT(i)) &&
         ((i < 2 && (WITHOUT(pack, gone_pack) & BIT(3))) || (i > 0 && (WITHOUT(pack, gone_pack) & BIT(4))));
    if
    :: ok ->
        dead_pack = dead_pack | BIT(i);
        printf("MSC: life %d: deletes covered pack %d-%d\n", me, PACK_FIRST(i), PACK_LAST(i));
        check_promises()
    :: else
    fi;
    i = 0
}

inline delete_overlapped_pack()
{
    dead_pack = dead_pack | BIT(3);
    printf("MSC: life %d: deletes pack 1-4 as 3-6 overlaps it\n", me);
    check_promises()
}
