/* Listings, page by page, believed only as far as they can be checked.
 *
 * Everything above relies on ascending order: the newest record is the first key of a page. So each key must
 * be greater than the one before, over pages too, must begin with the prefix and lie behind the marker; a
 * page that says that more follow must have brought some. A store that lists in another order, or a proxy
 * that answers a page out of its cache, is refused instead of believed. The next page begins behind the last
 * key we saw, since NextMarker is given by some servers only and always means the same. */
#include "snapshot/store/s3.h"

#include "snapshot/store/s3_client.h"

#include <assert.h>
#include <string.h>

enum { PAGE_KEYS_MAX = 1000, FULL_KEY_SIZE = 1024 + 1 };

struct listing {
    const struct s3_store *s3;
    const char *prefix; /* below the store's */
    size_t limit;       /* 0: none */
    size_t visited;
    char last_key[FULL_KEY_SIZE]; /* the marker, then the last key seen; as the server spells it */
    store_visitor *visit;
    void *context;
};

/* At most as many as are still wanted. */
static size_t page_size(const struct listing *listing)
{
    size_t wanted = listing->limit - listing->visited;

    return listing->limit > 0 && wanted < PAGE_KEYS_MAX ? wanted : PAGE_KEYS_MAX;
}

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

static bool check_order(const struct listing *listing, const char *key, struct err *err)
{
    const char *own_prefix = listing->s3->prefix;

    if (strlen(key) >= FULL_KEY_SIZE)
        return err_set(err, ERR_CORRUPT, "list %s: a key is longer than S3 allows", listing->prefix);
    if (!begins_with(key, own_prefix) || !begins_with(key + strlen(own_prefix), listing->prefix))
        return err_set(err, ERR_CORRUPT,
                       "list %s: the store answered with \"%.100s\", which has another prefix",
                       listing->prefix, key);
    if (strcmp(key, listing->last_key) <= 0)
        return err_set(err, ERR_CORRUPT,
                       "list %s: the store's keys don't ascend (\"%.100s\" came after \"%.100s\")",
                       listing->prefix, key, listing->last_key);
    return true;
}

static bool check_page(struct listing *listing, const struct buf *entries, struct err *err)
{
    const char *key;
    uint64_t size;

    for (size_t at = 0; s3_entries_next(entries, &at, &key, &size);) {
        if (!check_order(listing, key, err))
            return false;
        memcpy(listing->last_key, key, strlen(key) + 1);
    }
    return true;
}

static bool visit_page(struct listing *listing, const struct buf *entries, struct err *err)
{
    struct store_entry entry;
    const char *key;

    for (size_t at = 0; s3_entries_next(entries, &at, &key, &entry.size);) {
        entry.key = key + strlen(listing->s3->prefix);
        if (!store_key_is_valid(entry.key))
            continue;
        if (listing->limit > 0 && listing->visited == listing->limit)
            return true;
        listing->visited++;
        if (!listing->visit(listing->context, &entry, err))
            return false;
    }
    return true;
}

static bool fetch_page(struct s3_store *s3, struct listing *listing, struct s3_call *call,
                       bool *ret_more_follow, struct err *err)
{
    CLEANUP(freep) char *full_prefix = xasprintf("%s%s", s3->prefix, listing->prefix);
    char max_keys[24];
    struct s3_field query[] = {
        {"max-keys", max_keys}, {"prefix", full_prefix}, {"marker", listing->last_key}};
    struct s3_question question = {.key = *listing->prefix ? listing->prefix : "the store",
                                   .query = query,
                                   .query_count = *listing->last_key ? 3 : 2};

    (void)snprintf(max_keys, sizeof(max_keys), "%zu", page_size(listing));
    if (!s3_ask(s3, call, &question, err))
        return false;
    if (!s3_page_check(buf_text(&call->body), call->body.size, ret_more_follow, err))
        return err_wrap(err, "list %s", question.key);
    if (call->entries.overflowed || (*ret_more_follow && call->entries.size == 0))
        return err_set(err, ERR_CORRUPT, "list %s: a page can't be so %s", question.key,
                       call->entries.overflowed ? "large" : "empty while more follow");
    return check_page(listing, &call->entries, err);
}

bool s3_list(struct store *store, const char *prefix, const char *after, size_t limit, store_visitor *visit,
             void *context, struct err *err)
{
    struct s3_store *s3 = (struct s3_store *)store;
    struct listing listing = {.s3 = s3, .prefix = prefix, .limit = limit, .visit = visit, .context = context};
    bool more_follow = true;

    if (after)
        (void)snprintf(listing.last_key, sizeof(listing.last_key), "%s%s", s3->prefix, after);
    while (more_follow && (limit == 0 || listing.visited < limit)) {
        __attribute__((cleanup(s3_call_clear))) struct s3_call call = {.operation = S3_LIST};
        if (!fetch_page(s3, &listing, &call, &more_follow, err) || !visit_page(&listing, &call.entries, err))
            return false;
    }
    return true;
}
