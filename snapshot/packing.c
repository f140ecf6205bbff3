/* A run of records becomes a pack when it is full: of records, or of bytes. What is left waits for more. A
 * record that fills a pack alone stays loose; there is nothing to gain.
 *
 * The records are read back from the store, not kept: what goes in is what a restore would have found, and a
 * predecessor's records go the same way as our own. */
#include "snapshot/packing.h"

#include "snapshot/log.h"
#include "snapshot/pack.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { RUN_RECORDS_MAX = 4 * PACK_RECORDS_MAX, RUN_PACKS_MAX = 16 };

void packing_init(struct packing *packing, const struct removal *removal, const struct id *lineage)
{
    *packing = (struct packing){.removal = *removal, .lineage = *lineage};
}

/* --- what an earlier one has left -------------------------------------------------------------------- */

/* What the newest packs hold: as many as one run may have stored without deleting. */
static bool visit_pack(void *context, const struct store_entry *entry, struct err *err)
{
    struct chain_source *packed = context;
    uint64_t first = 0, last = 0;

    if (!key_parse_pack(entry->key, &first, &last))
        return err_set(err, ERR_CORRUPT, "%s is not a pack of holdfast", entry->key);
    if (packed->last == 0 || first < packed->first)
        packed->first = first;
    if (last > packed->last)
        packed->last = last;
    return true;
}

/* Opens stay, and what can't be read may be one. */
static bool remove_packed(void *context, const char *key, struct err *err)
{
    const struct packing *packing = context;
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;
    struct err why = {0};
    uint64_t position = 0;

    if (!key_parse_log(key, &position))
        return true;
    if (log_read(packing->removal.store, &packing->lineage, position, &bytes, &record, &why))
        return record.header.kind == RECORD_OPEN || removal_delete(&packing->removal, key, err);
    if (why.code == ERR_NOT_FOUND || why.code == ERR_CORRUPT)
        return true;
    *err = why;
    return false;
}

static bool remove_leftovers(struct packing *packing, const struct chain_source *packed, struct err *err)
{
    CLEANUP(key_list_clear) struct key_list loose = {0};
    struct chain_listing listing = {0};
    bool listed = chain_list(packing->removal.store, packed->first - 1, packed->last, &listing, err);

    for (size_t at = 0; listed && at < listing.count; at++)
        if (!chain_source_is_pack(&listing.sources[at]))
            key_list_add(&loose, key_log(listing.sources[at].first).text);
    chain_listing_clear(&listing);
    return listed && removal_each(&packing->removal, &loose, remove_packed, packing, err);
}

static bool begin(struct packing *packing, struct err *err)
{
    struct chain_source packed = {0};

    if (!store_list(packing->removal.store, "pack/", NULL, RUN_PACKS_MAX, visit_pack, &packed, err) ||
        (packed.last > 0 && !remove_leftovers(packing, &packed, err)))
        return false;
    packing->reached = (struct chain_anchor){.position = packed.last};
    packing->knows_hash = false;
    packing->begun = true;
    return true;
}

/* --- a run ------------------------------------------------------------------------------------------- */

/* What is loose, and how it is cut. */
struct run {
    struct packing *packing;
    struct chain_range range;
    uint64_t sizes[RUN_RECORDS_MAX]; /* of the records from range.after + 1 on */
    size_t count;
    struct chain_source packs[RUN_PACKS_MAX + 1]; /* ascending; one without records ends them */
    uint64_t settled;                             /* up to here nothing waits for more records */
    struct buf object;                            /* the pack that is being filled */
    struct key_list loose;                        /* of the packs that are stored */
};

/* How many records from `at` on make a full pack; 0: they don't yet. */
static size_t full_pack_at(const struct run *run, size_t at)
{
    uint64_t bytes = 0;
    size_t count = 0;

    while (at + count < run->count && count < PACK_RECORDS_MAX &&
           bytes + run->sizes[at + count] <= PACK_BYTES_MAX)
        bytes += run->sizes[at + count++];
    if (at + count == run->count && count < PACK_RECORDS_MAX)
        return 0;
    return count > 0 ? count : 1;
}

static void plan_packs(struct run *run)
{
    uint64_t first = run->range.after + 1;
    size_t at = 0, packs = 0, count;

    while (packs < RUN_PACKS_MAX && at < run->count && (count = full_pack_at(run, at)) > 0) {
        if (count >= 2)
            run->packs[packs++] = (struct chain_source){.first = first + at, .last = first + at + count - 1};
        at += count;
    }
    run->settled = run->range.after + at;
}

static bool is_loose(const struct chain_source *source, uint64_t position)
{
    return source->first == position && source->last == position;
}

/* The unbroken stretch of loose records that ends at `through`, or the oldest part of it. */
static void find_stretch(struct run *run, struct chain_listing *listing, uint64_t through)
{
    uint64_t next = through;
    size_t begin = 0, end;

    chain_listing_sort(listing);
    while (begin < listing->count && !is_loose(&listing->sources[begin], through))
        begin++;
    for (end = begin; end < listing->count && is_loose(&listing->sources[end], next); end++)
        next--;
    run->range.after = next;
    run->count = end - begin < RUN_RECORDS_MAX ? end - begin : RUN_RECORDS_MAX;
    run->range.through = next + run->count;
    for (size_t at = 0; at < run->count; at++)
        run->sizes[at] = listing->sources[end - 1 - at].bytes;
    plan_packs(run);
}

static bool store_pack(struct run *run, const struct chain_source *pack, struct err *err)
{
    struct key key = key_pack(pack->first, pack->last);

    pack_end(&run->object);
    return store_put(run->packing->removal.store, key.text, run->object.bytes, run->object.size, err) ||
           err_wrap(err, "store %s", key.text);
}

static bool add_record(struct run *run, const struct chain_source *pack, const struct record *record,
                       struct err *err)
{
    uint64_t position = record->header.position;
    const uint64_t *sizes = &run->sizes[position - run->range.after - 1];

    if (record->size != *sizes)
        return err_set(err, ERR_CORRUPT, "%s: it has another size than it was listed with",
                       key_log(position).text);
    if (position == pack->first) {
        buf_clear(&run->object);
        run->object = (struct buf)BUF_INIT(PACK_SIZE_MAX);
        pack_begin(&run->object, position, sizes, (size_t)(pack->last - pack->first + 1));
    }
    pack_add(&run->object, record);
    if (record->header.kind != RECORD_OPEN)
        key_list_add(&run->loose, key_log(position).text);
    return position < pack->last || store_pack(run, pack, err);
}

/* What was read counts when the chain has come to its end. */
static bool fill_packs(struct run *run, struct chain *chain, struct err *err)
{
    const struct chain_source *pack = run->packs;
    struct chain_anchor settled = {.position = run->settled};
    struct record record;
    bool end = false;

    for (;;) {
        if (!chain_next(chain, &record, &end, err))
            return false;
        if (end)
            break;
        if (record.header.position == run->settled)
            settled.hash = record.hash;
        if (record.header.position < pack->first || pack->first == 0)
            continue;
        if (!add_record(run, pack, &record, err))
            return false;
        pack += record.header.position == pack->last;
    }
    run->packing->reached = settled;
    run->packing->knows_hash = run->settled > run->range.after;
    return true;
}

static bool pack_run(struct run *run, struct chain_listing *listing, const struct chain_anchor *through,
                     struct err *err)
{
    struct packing *packing = run->packing;
    struct chain *chain = NULL;
    bool filled;

    packing->begun = false; /* until it is known that nothing was left behind */
    run->range.lineage = packing->lineage;
    if (run->range.through == through->position)
        run->range.anchors[0] = *through;
    if (packing->knows_hash && run->range.after == packing->reached.position)
        run->range.anchors[1] = packing->reached;
    filled =
        chain_open(packing->removal.store, &run->range, listing, &chain, err) && fill_packs(run, chain, err);
    chain_free(chain);
    packing->begun = filled && removal_run(&packing->removal, &run->loose, err);
    return packing->begun;
}

bool packing_run(struct packing *packing, const struct chain_anchor *through, struct err *err)
{
    CLEANUP(chain_listing_clear) struct chain_listing listing = {0};
    struct run *run;
    bool packed;

    if (!packing->begun && !begin(packing, err))
        return err_wrap(err, "pack records");
    if (through->position < packing->reached.position + PACK_RECORDS_MAX)
        return true;
    if (!chain_list(packing->removal.store, packing->reached.position, through->position, &listing, err))
        return err_wrap(err, "pack records");
    run = xcalloc(1, sizeof(*run));
    *run = (struct run){.packing = packing, .object = BUF_INIT(PACK_SIZE_MAX)};
    find_stretch(run, &listing, through->position);
    packed = run->packs[0].first == 0 || pack_run(run, &listing, through, err);
    buf_clear(&run->object);
    key_list_clear(&run->loose);
    free(run);
    return packed || err_wrap(err, "pack records");
}
