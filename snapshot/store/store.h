/* An object store: the one seam between what we keep and where we keep it.
 *
 * Keys are relative to the configured prefix, '/'-separated, at most STORE_KEY_MAX bytes of [A-Za-z0-9._/-];
 * no part is empty or begins with '.'. That is checked on the way in. Objects are write-once: a key is
 * written with one content only. Objects are small (at most about 9 MiB: bulk is cut into parts and pieces),
 * so bodies are memory, and a retry simply sends them again.
 *
 * Every call may be made from any thread, blocks until done, and ends within about a second after *canceled
 * becomes true with ERR_CANCELED. Drivers make one attempt (the retry decorator is the only loop). What an
 * error says: ERR_NOT_FOUND  the store answered that the object is absent ERR_CONFLICT   create() met an
 * existing object (HTTP 412): maybe our own earlier attempt, read it back ERR_TRANSIENT  timeout, broken
 * connection, 408, 409, 429, 5xx: for a write the outcome is unknown ERR_DENIED     credentials or
 * permissions refused ERR_CONFIG     missing bucket, wrong endpoint, wrong region, clock skew at start: the
 * operator has to act ERR_CORRUPT    the answer contradicts itself (cut off, wrong length, unparsable, keys
 * out of order) Each text names the key and says the remedy where there is one. */
#ifndef SNAPSHOT_STORE_STORE_H
#define SNAPSHOT_STORE_STORE_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { STORE_KEY_MAX = 512 };

/* What an operator does about a store that is the wrong one, of whichever kind it is. */
#define STORE_REMEDY "correct the bucket, prefix or directory in HOLDFAST_STORE"

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
     * success. The bytes are the object's: those offered by a create or put, those a get has received. */
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
     * first). Pages arrive whole or not at all; visits may have been made when a later page fails.
     * What lies below the prefix but can't be a key of ours is passed over. */
    bool (*list)(struct store *store, const char *prefix, const char *after, size_t limit,
                 store_visitor *visit, void *context, struct err *err);
    /* Succeeds if the key is already absent. */
    bool (*delete)(struct store *store, const char *key, struct err *err);
    void (*free)(struct store *store);

    /* These may be NULL: the local clock, no skew, no pause. They never fail. */

    /* The store's clock: its newest Date header carried on by the monotonic clock. The local clock for a
     * directory, before the first answer, and where answers have no Date. */
    uint64_t (*unix_ns)(struct store *store);
    /* The store's clock minus the local one, now; 0 while nothing is known. */
    int64_t (*clock_skew_ns)(struct store *store);
    /* How long the store still wants to be left alone (Retry-After); 0 if it said nothing or that is over. */
    uint64_t (*pause_ms)(struct store *store);
};

/* What every driver's own struct begins with. */
struct store {
    const struct store_ops *ops;
    const struct store_observer *observer; /* NULL, or told about each call of the functions below */
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
int64_t store_clock_skew_ns(struct store *store);
uint64_t store_pause_ms(struct store *store);
/* NULL is fine. */
void store_free(struct store *store);
DEFINE_CLEANUP(struct store *, store_free, store_freep)

/* Whether key has the form described above. */
bool store_key_is_valid(const char *key);

#endif
