/* Fetching ahead.
 *
 * A restore applies records faster than a store answers single requests, so they have to be under way before
 * they are needed, and what waits in memory needs a bound. The obvious way, fetchers that wait for room,
 * deadlocks as soon as the room is taken by later records than the one that is due. Here nobody waits for
 * room: the consumer hands out work, in order, for as much as fits, whenever it takes something away. Sizes
 * are known from the listing, so the bound holds before the first byte has arrived.
 *
 * A record is believed because one that is known names it, or it names one that is known: the chain of hashes
 * has an anchor somewhere, and nothing that was handed out counts before the consumer has come to its end. */
#include "snapshot/chain.h"

#include "base/thread.h"
#include "snapshot/chain_object.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { FETCHERS = 16, BUDGET_BYTES = 8 << 20 };

enum slot_state { SLOT_IDLE, SLOT_UNDER_WAY, SLOT_HERE, SLOT_FAILED };

struct slot {
    struct chain_source source;
    enum slot_state state; /* guarded by the chain's mutex until it is SLOT_HERE or SLOT_FAILED */
    struct chain_object object;
    struct err *why; /* SLOT_FAILED */
};

struct chain {
    struct store *store;
    struct chain_range range;
    struct slot *slots;
    size_t slots_count;
    struct pool *pool;
    struct task_group group;
    uint64_t total_bytes;
    _Atomic uint64_t done_bytes;
    atomic_bool stopped; /* what has not begun need not */

    /* The owner's. */
    size_t current;         /* slot of the record that is due */
    size_t begun;           /* slots from here on are idle */
    uint64_t ahead_bytes;   /* of the slots from current to begun */
    uint64_t next;          /* position that is due */
    struct digest previous; /* hash of the record before it */
    bool has_previous;
    struct record ahead; /* the record that is due, if has_ahead */
    bool has_ahead;

    pthread_mutex_t mutex;
    pthread_cond_t arrived;
};

/* --- what is there ----------------------------------------------------------------------------------- */

static int compare_sources(const void *one, const void *other)
{
    const struct chain_source *left = one, *right = other;

    return left->first == right->first ? 0 : left->first < right->first ? -1 : 1;
}

/* Which sources to fetch: at each position the one that reaches farthest, so that a run of records wins over
 * single ones at the same positions. */
static bool choose_sources(struct chain *chain, const struct chain_source *sources, size_t count,
                           struct err *err)
{
    uint64_t position = chain->range.after + 1;
    size_t at = 0;

    chain->slots = xcalloc(count, sizeof(chain->slots[0]));
    while (position <= chain->range.through) {
        struct chain_source best = {0};
        for (; at < count && sources[at].first <= position; at++)
            if (sources[at].last > best.last)
                best = sources[at];
        if (best.last < position)
            return err_set(err, ERR_NOT_FOUND, "%s: it is missing", key_log(position).text);
        chain->slots[chain->slots_count++].source = best;
        chain->total_bytes += best.bytes;
        position = best.last + 1;
    }
    return true;
}

/* --- fetching ---------------------------------------------------------------------------------------- */

struct fetch {
    struct chain *chain;
    struct slot *slot;
};

static bool fetch_slot(void *context, struct err *err)
{
    CLEANUP(freep) struct fetch *fetch = context;
    struct chain *chain = fetch->chain;
    struct slot *slot = fetch->slot;
    bool fetched;

    fetched = atomic_load(&chain->stopped)
                  ? err_set(err, ERR_CANCELED, "the restore was stopped")
                  : chain_object_fetch(&slot->object, chain->store, &chain->range, &slot->source, err);
    if (!fetched) {
        slot->why = xmalloc(sizeof(*slot->why));
        *slot->why = *err;
    }
    MUTEX_GUARD(&chain->mutex);
    slot->state = fetched ? SLOT_HERE : SLOT_FAILED;
    pthread_cond_signal(&chain->arrived);
    return fetched;
}

/* The object that is due goes in whatever its size. */
static void fetch_ahead(struct chain *chain)
{
    while (chain->begun < chain->slots_count) {
        struct slot *slot = &chain->slots[chain->begun];
        struct fetch *fetch;
        if (chain->ahead_bytes > 0 && chain->ahead_bytes + slot->source.bytes > BUDGET_BYTES)
            return;
        fetch = xmalloc(sizeof(*fetch));
        *fetch = (struct fetch){chain, slot};
        slot->state = SLOT_UNDER_WAY;
        chain->ahead_bytes += slot->source.bytes;
        chain->begun++;
        group_submit(&chain->group, fetch_slot, fetch);
    }
}

static bool await_slot(struct chain *chain, struct slot *slot, struct err *err)
{
    MUTEX_GUARD(&chain->mutex);
    while (slot->state == SLOT_UNDER_WAY)
        pthread_cond_wait(&chain->arrived, &chain->mutex);
    assert(slot->state != SLOT_IDLE);
    if (slot->state == SLOT_HERE)
        return true;
    *err = *slot->why;
    return false;
}

static void drop_slot(struct chain *chain, struct slot *slot)
{
    chain_object_clear(&slot->object);
    chain->ahead_bytes -= slot->source.bytes;
    atomic_fetch_add(&chain->done_bytes, slot->source.bytes);
}

/* --- one chain --------------------------------------------------------------------------------------- */

static const struct chain_anchor *anchor_at(const struct chain *chain, uint64_t position)
{
    for (size_t at = 0; at < CHAIN_ANCHORS; at++)
        if (position != 0 && chain->range.anchors[at].position == position)
            return &chain->range.anchors[at];
    return NULL;
}

/* The first record may have to follow one whose hash is known. */
static void anchor_first(struct chain *chain)
{
    const struct chain_anchor *known = anchor_at(chain, chain->range.after);

    if (known)
        chain->previous = known->hash;
    chain->has_previous = known != NULL;
}

static bool begin(struct chain *chain, const struct chain_listing *listing, struct err *err)
{
    size_t size = listing->count * sizeof(listing->sources[0]);
    CLEANUP(freep) struct chain_source *sources = xmalloc(size);

    anchor_first(chain);
    chain->next = chain->range.after + 1;
    if (chain->range.after == chain->range.through)
        return true;
    if (listing->count > 0) {
        memcpy(sources, listing->sources, size);
        qsort(sources, listing->count, sizeof(sources[0]), compare_sources);
    }
    if (!choose_sources(chain, sources, listing->count, err) ||
        !pool_open(FETCHERS, "records", &chain->pool, err))
        return false;
    group_init(&chain->group, chain->pool, SIZE_MAX);
    fetch_ahead(chain);
    return true;
}

bool chain_open(struct store *store, const struct chain_range *range, const struct chain_listing *listing,
                struct chain **ret_chain, struct err *err)
{
    CLEANUP(chain_freep) struct chain *chain = xcalloc(1, sizeof(*chain));

    assert(range->after <= range->through);
    chain->store = store;
    chain->range = *range;
    pthread_mutex_init(&chain->mutex, NULL);
    pthread_cond_init(&chain->arrived, NULL);
    if (!begin(chain, listing, err))
        return false;
    *ret_chain = MOVE(chain);
    return true;
}

const struct chain_range *chain_range(const struct chain *chain)
{
    return &chain->range;
}

void chain_add_sources(const struct chain *chain, struct chain_listing *listing)
{
    for (size_t at = 0; at < chain->slots_count; at++)
        chain_listing_add_source(listing, &chain->slots[at].source);
}

void chain_expect(struct chain *chain, const struct chain_anchor *anchor)
{
    size_t at = 0;

    assert(chain->next == chain->range.after + 1);
    while (chain->range.anchors[at].position != 0)
        at++;
    assert(at < CHAIN_ANCHORS);
    chain->range.anchors[at] = *anchor;
    anchor_first(chain);
}

static bool peek(struct chain *chain, const struct chain_source *source, uint64_t position,
                 struct record_header *ret_header, struct err *err)
{
    CLEANUP(chain_object_clear) struct chain_object object = {.bytes = BUF_INIT(0)};
    struct record record;
    bool found = chain_object_fetch(&object, chain->store, &chain->range, source, err) &&
                 chain_object_find(&object, position, &record, err);

    if (found)
        *ret_header = record.header;
    return found;
}

bool chain_peek(struct chain *chain, uint64_t position, struct record_header *ret_header, struct err *err)
{
    struct slot *slot = &chain->slots[chain->current];
    struct record record;

    assert(position >= chain->next && position <= chain->range.through);
    while (position > slot->source.last)
        slot++;
    if (slot >= &chain->slots[chain->begun])
        return peek(chain, &slot->source, position, ret_header, err);
    if (!await_slot(chain, slot, err) || !chain_object_find(&slot->object, position, &record, err))
        return false;
    *ret_header = record.header;
    return true;
}

static bool check_chain(struct chain *chain, const struct record *record, struct err *err)
{
    const struct chain_anchor *known = anchor_at(chain, record->header.position);
    struct key key = key_log(record->header.position);

    if (chain->has_previous && !digest_equal(&record->header.previous, &chain->previous))
        return err_set(
            err, ERR_CORRUPT,
            "%s: it does not follow the record before it: two histories are mixed in HOLDFAST_STORE",
            key.text);
    if (known && !digest_equal(&record->hash, &known->hash))
        return err_set(err, ERR_CORRUPT, "%s: it is not the record that belongs there: its hash differs",
                       key.text);
    return true;
}

/* The slot of the record that is due. */
static struct slot *slot_due(struct chain *chain)
{
    struct slot *slot = &chain->slots[chain->current];

    return chain->next > slot->source.last ? slot + 1 : slot;
}

static bool is_here(struct chain *chain, const struct slot *slot)
{
    MUTEX_GUARD(&chain->mutex);
    return slot->state == SLOT_HERE;
}

const struct record *chain_ahead(struct chain *chain)
{
    struct err ignored = {0};
    struct slot *slot;

    if (chain->next > chain->range.through || chain->has_ahead)
        return chain->has_ahead ? &chain->ahead : NULL;
    slot = slot_due(chain);
    if (is_here(chain, slot))
        chain->has_ahead = chain_object_find(&slot->object, chain->next, &chain->ahead, &ignored);
    return chain->has_ahead ? &chain->ahead : NULL;
}

/* The record that is due, which may have been looked at already. */
static bool take_due(struct chain *chain, struct record *ret_record, struct err *err)
{
    struct slot *slot = slot_due(chain);

    if (slot != &chain->slots[chain->current]) {
        drop_slot(chain, &chain->slots[chain->current++]);
        fetch_ahead(chain);
    }
    if (!chain->has_ahead)
        return await_slot(chain, slot, err) && chain_object_find(&slot->object, chain->next, ret_record, err);
    *ret_record = chain->ahead;
    chain->has_ahead = false;
    return true;
}

bool chain_next(struct chain *chain, struct record *ret_record, bool *ret_end, struct err *err)
{
    struct record record;

    if (chain->next > chain->range.through) {
        *ret_end = true;
        return true;
    }
    if (!take_due(chain, &record, err) || !check_chain(chain, &record, err))
        return false;
    chain->previous = record.hash;
    chain->has_previous = true;
    chain->next++;
    *ret_record = record;
    *ret_end = false;
    return true;
}

void chain_progress(const struct chain *chain, uint64_t *ret_done, uint64_t *ret_total)
{
    *ret_done = atomic_load(&chain->done_bytes);
    *ret_total = chain->total_bytes;
}

void chain_free(struct chain *chain)
{
    struct err ignored = {0};

    if (!chain)
        return;
    if (chain->pool) {
        atomic_store(&chain->stopped, true);
        (void)!group_wait(&chain->group, &ignored);
    }
    pool_free(chain->pool);
    for (size_t at = 0; at < chain->slots_count; at++) {
        chain_object_clear(&chain->slots[at].object);
        free(chain->slots[at].why);
    }
    free(chain->slots);
    pthread_cond_destroy(&chain->arrived);
    pthread_mutex_destroy(&chain->mutex);
    free(chain);
}
