/* Nothing that is needed is ever deleted: bases, blobs, packs, retention, sweeps and pins.
 *
 * An append is one step here and fails for a fenced owner, as log.pml proves. Everything else is late. A LIFE may stall
 * before any step for any time: to stall for ever is to crash, the next life is the restart. A fenced life doesn't know it
 * until its next append; until then it uploads, packs, prunes and sweeps by its old view. A DELETE that was sent may take
 * effect at any time, and more than once. So an object counts as lost from the moment its DELETE is sent (dead_…), and
 * nothing that is needed may be dead. With READER, deletions really take effect, one by one (gone_…), and a reader looks.
 *
 * One file with one content: tree[p] is the key under which the tree after record p names it, 0 if there is no such file.
 *
 * Each switch takes one rule out, or puts the obvious rule in its place; README.md says what each is in the program:
 *   SWEEP_BY_ID     parts and manifests: "not mine and not announced" is garbage, whatever its position
 *   ANN_NEWEST      a sweeper knows the newest announced base and those since, instead of walking all of them
 *   SWEEP_EARLY     a claimant sweeps before its takeover counts
 *   SAME_P          one process may cut two bases at one position under one key
 *   H_UNANNOUNCED   the horizon may be a base whose manifest is stored but not announced
 *   H_IN_FLIGHT     a record's horizon is acted on while the record is being appended
 *   RECORDS_P       of a base whose databases stand at S..P, records up to P are pruned, instead of up to S
 *   DEL_PACK_ANY    a pack is deleted when another overlaps it, instead of covers it
 *   UNNAMED_HEAD    "unnamed" is: not named at the head, instead of: at no position from H to the head
 *   OWN_EAGER       a process sweeps its own unnamed blob at once, instead of when its tag is confirmed
 *   NAME_AGAIN      a process names a blob that it uploaded once more after it was dropped
 *   ANY_UPLOADED    a record names a blob that was found in the bucket
 *   UPLOAD_EARLY    a claimant uploads blobs before its takeover counts
 *   DROP_ANY        blobs dropped by any record in view are deleted, instead of those at or below H
 *   TAG_LT          blobs with a tag below the own open are swept, instead of at or below: garbage that stays
 *   PIN_BLIND       a prune knows H only, not the pins
 *   PIN_OBJECT      a pin is an object that anybody puts, not a record
 *   LOCAL_H         each life works out H for itself; harmless unless ORDER_DESIGN deletes blobs and packs before manifests
 *   SAME_PLAN       a reader says "damaged" when two plans in a row are the same, instead of when one object fails twice
 *   NO_H_CHECK      a reader lists only the packs again when it is done, and doesn't read the horizon
 * and these are harmless, and stay so:
 *   TAG_INFLIGHT    a tag is the position after the record in flight
 *   ANY_ORDER       prune in any order, with a reader (else manifests go first)
 *
 * What there is: BLOBS, PACKS, PINS, TWO_DBS (a base stands at S..P), READER, STRAYS (opens that fall into holes), COLLECT
 * (is all garbage reached?). Bounds: LIVES, MAXP positions, NB bases, PACKSET (bits of PACK_FIRST), READP. NO_SWEEP: nobody sweeps. */
#ifndef LIVES
#define LIVES 2
#endif
#ifndef MAXP
#define MAXP 5
#endif
#ifndef NB
#define NB 2
#endif
#ifndef PACKSET
#define PACKSET 31
#endif

#ifdef STORY /* a search breadth first knows no hidden variables */
#define hidden
#endif

#define OPEN 1
#define NAME 2
#define DROP 3
#define BASE 4
#define PIN 5
#define DATA 6 /* changes that name no blob */
#define BIT(n) (1 << (n))
#define WITHOUT(set, dead) ((set) & (255 - (dead)))

/* The log: the chain itself */
byte head;
byte kind[MAXP + 1];
byte tree[MAXP + 1];
byte started; /* lives take over in this order, each when it likes */
byte horizon; /* H as promised to readers: a base + 1, 0 is none yet */

/* Bases. A key is never used twice (position, owner, attempt), hence one number for each. */
byte bases;
byte base_high[NB], base_low[NB]; /* P and S: where its databases stand */
byte base_owner[NB];
byte base_record[NB]; /* the record that announced it, 0 is none */

/* What is stored, and of what the DELETE was sent: bit sets. A part and a manifest for each base, a blob for each tag. */
byte part, manifest, blob, pack;
byte dead_part, dead_manifest, dead_blob, dead_loose, dead_pack;
byte pin_position, pin_record;

#ifdef READER
byte gone_part, gone_manifest, gone_blob, gone_loose, gone_pack;
byte stray; /* the position of an open that fell into a hole */
#else
#define gone_pack 0
#define gone_loose 0
#endif

/* The packs that may exist: 1-2, 3-4, 5-6, 1-4 and 3-6 */
#define PACK_FIRST(k) ((k) == 0 || (k) == 3 -> 1 : ((k) == 1 || (k) == 4 -> 3 : 5))
#define PACK_LAST(k) ((k) == 0 -> 2 : ((k) == 1 || (k) == 3 -> 4 : 6))
#define LIVE_PACKS WITHOUT(pack, dead_pack)
#define PACKED(p, set) \
    (((p) <= 2 && ((set)&9)) || ((p) >= 3 && (p) <= 4 && ((set)&26)) || ((p) >= 5 && (p) <= 6 && ((set)&20)))

#define RECORD_THERE(p) (!(dead_loose & BIT(p)) || PACKED(p, LIVE_PACKS))
#define BASE_THERE(b) ((WITHOUT(part, dead_part) & BIT(b)) && (WITHOUT(manifest, dead_manifest) & BIT(b)))
#define BLOB_THERE(p) (tree[p] == 0 || (WITHOUT(blob, dead_blob) & BIT(tree[p])))

hidden byte x, y, z, lowest, above, ok; /* scratch inside one step */

/* The promises. A broken one is named by the assertion that fails; the names are never anything but 0. */
hidden byte lost_base, lost_record, lost_blob, lost_pin, garbage_stays, wrong_read, wrongly_damaged;
#define PROMISE(name, holds) assert(name || (holds))

/* The newest announced base at or below the pin, as known at position view, + 1. */
inline base_of_pin(view, result)
{
    result = 0;
    z = 0;
    do
    :: z < bases ->
        if
        :: base_record[z] && base_record[z] <= view && base_high[z] <= pin_position &&
           (result == 0 || base_high[z] >= base_high[result - 1]) -> result = z + 1
        :: else
        fi;
        z++
    :: else -> break
    od;
    z = 0
}

/* The pinned point: some base below it that is whole, the records from there on, and its blob. */
inline check_pin()
{
    PROMISE(lost_pin, BLOB_THERE(pin_position));
    y = 255;
    z = 0;
    do
    :: z < bases ->
        if
        :: base_record[z] && base_high[z] <= pin_position && BASE_THERE(z) &&
           (y == 255 || base_high[z] > base_high[y]) -> y = z
        :: else
        fi;
        z++
    :: else -> break
    od;
    PROMISE(lost_pin, y != 255);
    z = base_low[y] + 1;
    do
    :: z <= pin_position -> PROMISE(lost_pin, RECORD_THERE(z)); z++
    :: else -> break
    od
}

/* What must be there at this instant: everything that a point from H to the head needs. Before the first base nothing can
 * be restored, and nothing is promised. */
inline check_promises()
{
    lowest = (horizon -> base_high[horizon - 1] : head + 1);
    above = (horizon -> base_low[horizon - 1] : head);
    PROMISE(lost_base, horizon == 0 || base_record[horizon - 1]);
    z = 0;
    do
    :: z < bases -> PROMISE(lost_base, base_record[z] == 0 || base_high[z] < lowest || BASE_THERE(z)); z++
    :: else -> break
    od;
    z = above + 1;
    do
    :: z <= head -> PROMISE(lost_record, RECORD_THERE(z)); z++
    :: else -> break
    od;
    z = lowest;
    do
    :: z <= head -> PROMISE(lost_blob, BLOB_THERE(z)); z++
    :: else -> break
    od;
#ifdef PINS
    if
    :: pin_position -> check_pin()
    :: else
    fi;
#endif
    z = 0;
    y = 0;
    lowest = 0;
    above = 0
}

#include "prune_life.pml"
#include "prune_others.pml"
#ifdef READER
#include "prune_reader.pml"
#endif

init
{
    byte i;

    atomic {
        do
        :: i < LIVES -> run Life(i); i++
        :: else -> break
        od
    }
}
