/* Processes that exist only to show what some rule prevents, or that nothing is left over. */

#ifdef SWEEP_EARLY
/* A claimant that has read the log and sweeps what is not announced there, its open void or not counted
 * yet. */
active proctype Early()
{
    byte known, i;

    atomic { head > 0 -> known = head };
    do
    :: atomic {
        bases ->
        i = 0;
        do
        :: i < bases - 1 -> i++
        :: base_high[i] <= known && !(base_record[i] && base_record[i] <= known) &&
           ((part | manifest) & BIT(i)) -> break
        od;
        dead_manifest = dead_manifest | (BIT(i) & manifest);
        dead_part = dead_part | (BIT(i) & part);
        printf("MSC: claimant that read up to %d: sweeps base %d\n", known, i);
        i = 0;
        check_promises()
    }
    od
}
#endif

#ifdef PIN_OBJECT
/* `pin` by another process, which reads the horizon and then puts the pin; each prune looks for pins
 * first. */
active proctype Pinner()
{
    byte p;

    atomic {
        horizon ->
        p = base_high[horizon - 1];
        do
        :: p < head -> p++
        :: break
        od
    };
    atomic {
        pin_position = p;
        pin_record = 1;
        printf("MSC: pin of %d stored\n", p);
        check_promises()
    }
}
#endif

#ifdef COLLECT
/* A new owner after the last life, by whose rules all that is garbage now must go. */
active proctype Collector()
{
    atomic {
        started == LIVES && head < MAXP && horizon ->
        x = head + 1;
        lowest = base_high[horizon - 1];
        z = 1;
        do
        :: z <= MAXP ->
            if
            :: WITHOUT(blob, dead_blob) & BIT(z) ->
                ok = 0;
                y = lowest;
                do
                :: y <= head -> if :: NAMES(tree[y], z) -> ok = 1 :: else fi; y++
                :: else -> break
                od;
                PROMISE(garbage_stays, ok || TAG_OF_EARLIER_TIMES(z, x))
            :: else
            fi;
            z++
        :: else -> break
        od;
        z = 0;
        do
        :: z < bases ->
            if
            :: ((part | manifest) & BIT(z)) -> PROMISE(garbage_stays, base_record[z] || base_high[z] < x)
            :: else
            fi;
            z++
        :: else -> break
        od;
        z = 0;
        y = 0;
        x = 0
    }
}
#endif
