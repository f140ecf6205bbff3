/* An object store: the one seam between what we keep and where we keep it.
 *
 * Keys are relative to the configured prefix, '/'-separated, at most STORE_KEY_MAX bytes of [A-Za-z0-9._/-],
 * checked on the way in. Objects are write-once: a key is written with one content only. Objects are small
 * (at most about 9 MiB: bulk is cut into parts and pieces), so bodies are memory, and a retry simply sends
 * them again.
 *
 * Every call may be made from any thread, blocks until done, and ends soon after *canceled becomes true with
 * ERR_CANCELED. Drivers make one attempt (the retry decorator is the only loop). What an error says:
 *   ERR_NOT_FOUND  the store answered that the object is absent
 *   ERR_CONFLICT   create() met an existing object (HTTP 412): maybe our own earlier attempt, read it back
 *   ERR_TRANSIENT  timeout, broken connection, 408, 409, 429, 5xx: for a write the outcome is unknown
 *   ERR_DENIED     credentials or permissions refused
 *   ERR_CONFIG     missing bucket, wrong endpoint, wrong region, clock skew at start: the operator has to act
 *   ERR_CORRUPT    the answer contradicts itself (cut off, wrong length, unparsable, keys out of order)
 * Each text names the key and says the remedy where there is one. */
#ifndef SNAPSHOT_STORE_STORE_H
#define SNAPSHOT_STORE_STORE_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { STORE_KEY_MAX = 512 };

struct store;

struct store_entry {
    const char *key; /* relative to the prefix of the store; valid during the visit */
    uint64_t size;
};

/* Called for each key in ascending byte order; false with *err set ends the listing with that error. */
typedef bool store_visitor(void *context, const struct store_entry *entry, struct err *err);

/* What a request did, for metrics. Called after each attempt, from the thread that made it. */
struct store_observer {
    /* operation: "create", "put", "get", "stat", "list", "delete"; outcome: an err_code, ERR_NONE for
     * success. */
    void (*request)(void *context, const char *operation, enum err_code outcome, uint64_t sent_bytes,
                    uint64_t received_bytes);
    void *context;
};

struct store_ops {
    /* Creates the object only if the key is absent, atomically (If-None-Match: *). */
    bool (*create)(struct store *store, const char *key, const void *bytes, size_t size, struct err *err);
    /* Writes the object whatever is there. Durable when it returns true. */
    bool (*put)(struct store *store, const char *key, const void *bytes, size_t size, struct err *err);
    /* Adds the whole object to *contents, which is as it was after a failure. ERR_CORRUPT above its ceiling.
     */
    bool (*get)(struct store *store, const char *key, struct buf *contents, struct err *err);
    /* The object's size, by HEAD. */
    bool (*stat)(struct store *store, const char *key, uint64_t *ret_size, struct err *err);
    /* Visits at most `limit` keys (0: all) that begin with `prefix` and sort after `after` (NULL: from the
     * first). Pages arrive whole or not at all; visits may have been made when a later page fails. */
    bool (*list)(struct store *store, const char *prefix, const char *after, size_t limit,
                 store_visitor *visit, void *context, struct err *err);
    /* Succeeds if the key is already absent. */
    bool (*delete)(struct store *store, const char *key, struct err *err);
    /* The store's clock (its newest Date header carried on by the monotonic clock; a directory: the local
     * clock). Before the first answer it is the local clock. Never fails. */
    uint64_t (*unix_ns)(struct store *store);
    void (*free)(struct store *store);
};

struct store {
    const struct store_ops *ops;
};

bool store_create(struct store *store, const char *key, const void *bytes, size_t size,
                  struct err *err) CHECKED;
bool store_put(struct store *store, const char *key, const void *bytes, size_t size, struct err *err) CHECKED;
bool store_get(struct store *store, const char *key, struct buf *contents, struct err *err) CHECKED;
bool store_stat(struct store *store, const char *key, uint64_t *ret_size, struct err *err) CHECKED;
bool store_list(struct store *store, const char *prefix, const char *after, size_t limit,
                store_visitor *visit, void *context, struct err *err) CHECKED;
bool store_delete(struct store *store, const char *key, struct err *err) CHECKED;
uint64_t store_unix_ns(struct store *store);
/* NULL is fine. */
void store_free(struct store *store);
DEFINE_CLEANUP(struct store *, store_free, store_freep)

#endif
