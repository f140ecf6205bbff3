/* What holds the records of a range. */
#include "snapshot/chain.h"
#include "snapshot/pack.h"

#include <assert.h>
#include <string.h>

enum { PAGE = 1000 };

bool chain_source_is_pack(const struct chain_source *source)
{
    return source->first != source->last;
}

struct key chain_source_key(const struct chain_source *source)
{
    return chain_source_is_pack(source) ? key_pack(source->first, source->last) : key_log(source->first);
}

static int newest_first(const void *one, const void *other)
{
    const struct chain_source *left = one, *right = other;

    if (left->last != right->last)
        return left->last > right->last ? -1 : 1;
    return left->first == right->first ? 0 : left->first < right->first ? -1 : 1;
}

void chain_listing_sort(struct chain_listing *listing)
{
    if (listing->count > 1)
        qsort(listing->sources, listing->count, sizeof(listing->sources[0]), newest_first);
}

void chain_listing_clear(struct chain_listing *listing)
{
    free(listing->sources);
    *listing = (struct chain_listing){0};
}

void chain_listing_add_source(struct chain_listing *listing, const struct chain_source *source)
{
    bool is_full = (listing->count & (listing->count - 1)) == 0;

    if (is_full)
        listing->sources = xrealloc(listing->sources, (listing->count > 0 ? 2 * listing->count : 1) *
                                                          sizeof(listing->sources[0]));
    listing->sources[listing->count++] = *source;
}

void chain_listing_take(struct chain_listing *listing, struct chain_listing *from)
{
    for (size_t at = 0; at < from->count; at++)
        chain_listing_add_source(listing, &from->sources[at]);
    chain_listing_clear(from);
}

uint64_t chain_listing_bytes(const struct chain_listing *listing, size_t first, size_t end)
{
    uint64_t bytes = 0;

    for (size_t at = first; at < end; at++)
        bytes += listing->sources[at].bytes;
    return bytes;
}

bool chain_listing_has(const struct chain_listing *listing, const struct chain_source *source)
{
    return listing->count > 0 && bsearch(source, listing->sources, listing->count,
                                         sizeof(listing->sources[0]), newest_first) != NULL;
}

bool chain_listing_add(struct chain_listing *listing, const struct store_entry *entry)
{
    struct chain_source source = {.bytes = entry->size};

    if (key_parse_log(entry->key, &source.first))
        source.last = source.first;
    else if (!key_parse_pack(entry->key, &source.first, &source.last))
        return false;
    chain_listing_add_source(listing, &source);
    return true;
}

/* One prefix, newest first, until it is past the range. */
struct descent {
    struct chain_listing *listing;
    uint64_t after;
    size_t visited;
    bool past;
    struct key last; /* the key that was visited last */
};

static bool visit(void *context, const struct store_entry *entry, struct err *err)
{
    struct descent *descent = context;
    size_t count = descent->listing->count;

    descent->visited++;
    (void)snprintf(descent->last.text, sizeof(descent->last.text), "%s", entry->key);
    if (!chain_listing_add(descent->listing, entry))
        return err_set(err, ERR_CORRUPT, "%s: it is not a record of holdfast", entry->key);
    descent->past = descent->listing->sources[count].last <= descent->after;
    if (descent->past)
        descent->listing->count--; /* whatever else comes is older still */
    return true;
}

/* There are at most `objects_max` of them in the range. */
static bool descend(struct store *store, const char *prefix, const struct key *newer, uint64_t objects_max,
                    struct descent *descent, struct err *err)
{
    size_t page = objects_max < PAGE ? (size_t)objects_max : PAGE;

    descent->last = *newer;
    descent->past = false;
    for (uint64_t left = objects_max;; left -= page) {
        struct key resume = descent->last;
        descent->visited = 0;
        if (!store_list(store, prefix, resume.text, page, visit, descent, err))
            return false;
        if (descent->visited < page || descent->past || left <= page)
            return true;
    }
}

bool chain_list(struct store *store, uint64_t after, uint64_t through, struct chain_listing *listing,
                struct err *err)
{
    struct descent descent = {.listing = listing, .after = after};
    struct key newer = key_log(through + 1), packs = pack_search_key(through);

    return after == through || (descend(store, "log/", &newer, through - after, &descent, err) &&
                                descend(store, "pack/", &packs, UINT64_MAX, &descent, err));
}

/* The source that holds `position` and reaches farthest down. */
static const struct chain_source *reach_down(const struct chain_listing *listing, uint64_t position)
{
    const struct chain_source *best = NULL;

    for (size_t at = 0; at < listing->count && listing->sources[at].last >= position; at++) {
        const struct chain_source *source = &listing->sources[at];
        if (source->first <= position && (!best || source->first < best->first))
            best = source;
    }
    return best;
}

/* The newest position below `position` that is listed; 0: there is none. */
static uint64_t next_below(const struct chain_listing *listing, uint64_t position)
{
    for (size_t at = 0; at < listing->count; at++)
        if (listing->sources[at].last < position)
            return listing->sources[at].last;
    return 0;
}

uint64_t chain_listing_reach(const struct chain_listing *listing, uint64_t through, uint64_t bytes_max)
{
    uint64_t bytes = 0, position = through;

    while (position > 0) {
        const struct chain_source *best = reach_down(listing, position);
        if (!best) {
            position = next_below(listing, position);
            continue;
        }
        bytes += best->bytes;
        if (bytes > bytes_max)
            break;
        position = best->first - 1;
    }
    return position + 1;
}

/* Oldest first: what is passed over reaches no farther than what follows. */
uint64_t chain_listing_end(const struct chain_listing *listing, uint64_t first)
{
    uint64_t end = first - 1;

    for (size_t at = listing->count; at > 0; at--) {
        const struct chain_source *source = &listing->sources[at - 1];
        if (source->first <= end + 1 && source->last > end)
            end = source->last;
    }
    return end;
}
