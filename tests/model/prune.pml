/* Nothing that is needed is ever deleted: bases, blobs, packs, retention, sweeps and pins.
 *
 * An append is one step here and fails for a fenced owner, as log.pml proves. Everything else is late. A LIFE
 * may stall before any step for any time: to stall for ever is to crash, the next life is the restart. A
 * fenced life doesn't know it until its next append; until then it uploads, packs, prunes and sweeps by its
 * old view. A DELETE that was sent may take effect at any time, and more than once. So an object counts as
 * lost from the moment its DELETE is sent (dead_…), and nothing that is needed may be dead. With READER,
 * deletions really take effect, one by one (gone_…), and a reader looks.
 *
 * There is one file of one content, or with SHARE two. tree[p] says under which key the tree after record p
 * names it.
 *
 * Each switch takes one rule out, or puts the obvious rule in its place; README.md says which configuration
 * shows it:
 *   SWEEP_BY_ID     parts and manifests: "not mine and not announced" is garbage, whatever its position
 *   ANN_NEWEST      a sweeper knows the newest announced base and those since, instead of walking all of them
 *   SWEEP_EARLY     a claimant sweeps before its takeover counts
 *   SAME_P          one process may cut two bases at one position under one key
 *   H_UNANNOUNCED   the horizon may be a base whose manifest is stored but not announced
 *   H_BACKWARDS     the horizon may be below the one before
 *   H_IN_FLIGHT     a record's horizon is acted on while the record is being appended
 *   RECORDS_P       of a base whose databases stand at S..P, records up to P are pruned, instead of up to S
 *   DEL_PACK_ANY    a pack is deleted when another overlaps it, instead of covers it
 *   UNNAMED_HEAD    "unnamed" is: not named at the head, instead of: at no position from H to the head
 *   UNNAMED_FIRST   "unnamed" looks at the first file only (with SHARE)
 *   OWN_EAGER       a process sweeps its own unnamed blob at once, instead of when its tag is confirmed
 *   NAME_AGAIN      a process names a blob that it uploaded once more after it was dropped
 *   SAME_TAG        a process uploads a content again under a tag that it used for it (with SHARE)
 *   ANY_UPLOADED    a record names a blob that was found in the bucket
 *   STALE_TREE      a record names what an earlier tree named, instead of the one just before it (with SHARE)
 *   UPLOAD_EARLY    a claimant uploads blobs before its takeover counts
 *   DROP_ANY        blobs dropped by any record in view are deleted, instead of those at or below H
 *   DROP_ONE_NAME   a blob counts as dropped when it loses one of its names, instead of the last (with SHARE)
 *   TAG_LT          blobs with a tag below the own open are swept, instead of at or below: garbage that stays
 *   PIN_BLIND       a prune knows H only, not the pins
 *   PIN_OBJECT      a pin is an object that anybody puts, not a record
 *   LOCAL_H         each life works out H for itself. Harmless with NO_SWEEP, but sweeps delete blobs in any
 *                   order, and so does a prune with ORDER_DESIGN, which deletes manifests last
 *   ONE_FAILURE     a reader says "damaged" at the first object that is gone
 *   SAME_PLAN       … when two plans in a row are the same, instead of when one object fails twice
 *   NO_H_CHECK      a reader lists only the packs again when it is done, and doesn't read the horizon
 * and these are harmless, and stay so:
 *   TAG_INFLIGHT    a tag is the position after the record in flight
 *   ANY_ORDER       prune in any order, with a reader (else manifests go first)
 *
 * What there is: BLOBS, SHARE, PACKS, PINS, TWO_DBS (a base stands at S..P), READER, STRAYS (opens that fall
 * into holes), HISTORY (a predecessor that is gone left records, a base and garbage), COLLECT (is all garbage
 * reached?). Bounds: LIVES, MAXP positions (at most 7), NB bases, PACKSET (a bit for each pack), READP (the
 * reader's target); NO_SWEEP and NO_PRUNE leave one kind of deletion out. STORY: for a search breadth
 * first. */
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
#define CHANGE 2 /* of the tree */
#define BASE 3
#define PIN 4
#define DATA 5 /* changes that name no blob */
#define BIT(n) (1 << (n))
#define WITHOUT(set, dead) ((set) & (255 - (dead)))

/* A tree: the key of the file, and with SHARE that of the second one; 0 is no file. */
#ifdef SHARE
#define FIRST(tree) ((tree)&7)
#define SECOND(tree) ((tree) >> 3)
#else
#define FIRST(tree) (tree)
#define SECOND(tree) 0
#endif
#define NAMES(tree, key) (FIRST(tree) == (key) || SECOND(tree) == (key))

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

/* What is stored, and of what the DELETE was sent: bit sets. A part and a manifest for each base, a blob for
 * each tag. */
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
#define BLOB_THERE(key) ((key) == 0 || (WITHOUT(blob, dead_blob) & BIT(key)))
#define FILES_THERE(p) (BLOB_THERE(FIRST(tree[p])) && BLOB_THERE(SECOND(tree[p])))

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
    PROMISE(lost_pin, FILES_THERE(pin_position));
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

/* What must be there at this instant: everything that a point from H to the head needs. Before the first base
 * nothing can be restored, and nothing is promised. */
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
    :: z <= head -> PROMISE(lost_blob, FILES_THERE(z)); z++
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

/* What a predecessor left that is gone for good: an open, a file, a base of it, its end; and what it never
 * came to name or announce, blob 5 and base 1. */
inline leave_history()
{
    kind[1] = OPEN;
    kind[2] = CHANGE;
    kind[3] = BASE;
    kind[4] = CHANGE;
    tree[2] = 2;
    tree[3] = 2;
    head = 4;
    blob = BIT(2) | BIT(5);
    bases = 2;
    part = 3;
    manifest = 3;
    base_high[0] = 2;
    base_low[0] = 2;
    base_record[0] = 3;
    base_owner[0] = LIVES;
    base_high[1] = 4;
    base_low[1] = 4;
    base_owner[1] = LIVES;
    horizon = 1
}

init
{
    byte i;

    atomic {
#ifdef HISTORY
        leave_history();
#endif
        do
        :: i < LIVES -> run Life(i); i++
        :: else -> break
        od
    }
}
