/* The only retry loop of the program.
 *
 * Drivers make one attempt and say what became of it; whether and when to try again is decided here, so that
 * no two loops ever multiply. Reading and overwriting are simply repeated. Creating is not: after a broken
 * connection nobody knows whether the object was made, and a 412 may be the answer to our own first attempt
 * (libcurl itself sends a request again when a reused connection turns out to be dead). So the key is read
 * back, and the bytes found there say who won. A listing goes on after the last key that was visited, so that
 * no key is visited twice. */
#include "snapshot/store/config.h"

#include "base/buf.h"
#include "base/clock.h"

#include <assert.h>
#include <string.h>
#include <sys/random.h>

enum { BACKOFF_FIRST_MS = 100, BACKOFF_MAX_MS = 5000 };

struct retry_store {
    struct store store;
    struct store *inner;
    uint64_t deadline_ms;
    _Atomic uint64_t until_ms;
    const atomic_bool *canceled;
};

/* One call of ours: as many attempts as fit before its deadline. */
struct effort {
    const struct retry_store *retry;
    uint64_t begun_ms;
    uint64_t backoff_ms;
    unsigned attempts;
};

static struct effort begin_effort(const struct retry_store *retry)
{
    return (struct effort){.retry = retry, .begun_ms = clock_monotonic_ms(), .backoff_ms = BACKOFF_FIRST_MS};
}

/* Between half of the time and all of it, so that many clients that were refused together don't return
 * together. */
static uint64_t jittered(uint64_t span_ms)
{
    uint32_t chance = 0;
    ssize_t filled = getrandom(&chance, sizeof(chance), GRND_NONBLOCK);

    if (filled != (ssize_t)sizeof(chance))
        chance = (uint32_t)clock_monotonic_ns();
    return span_ms / 2 + span_ms / 2 * chance / UINT32_MAX;
}

static bool wait_unless_canceled(const struct retry_store *retry, uint64_t span_ms, struct err *err)
{
    if (!clock_pause(span_ms, retry->canceled))
        return err_set(err, ERR_CANCELED, "canceled after: %s", err->text);
    return true;
}

/* Called after a failed attempt: true if it may be repeated, which is after the due pause; else *err is the
 * final word. */
static bool try_again(struct effort *effort, struct err *err)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t asked_ms = store_pause_ms(effort->retry->inner);
    uint64_t wait_ms = asked_ms > 0 ? asked_ms : jittered(effort->backoff_ms);

    effort->attempts++;
    if (err->code != ERR_TRANSIENT)
        return false;
    if (now_ms - effort->begun_ms + wait_ms >= effort->retry->deadline_ms ||
        now_ms + wait_ms >= atomic_load(&effort->retry->until_ms)) {
        if (effort->attempts > 1)
            err_prefix(err, "gave up after %u attempts in %.1f s", effort->attempts,
                       (double)(now_ms - effort->begun_ms) / 1000);
        return false;
    }
    effort->backoff_ms = effort->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : effort->backoff_ms * 2;
    return wait_unless_canceled(effort->retry, wait_ms, err);
}

enum found { FOUND_OURS, FOUND_OTHER, FOUND_NOTHING };

/* What stands at the key that we tried to create. */
static bool read_back(struct effort *effort, const char *key, const void *bytes, size_t size,
                      enum found *ret_found, struct err *err)
{
    struct store *inner = effort->retry->inner;
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(size + 1);
    uint64_t stored_size = 0;

    while (!store_get(inner, key, &contents, err)) {
        if (err->code == ERR_NOT_FOUND) {
            *ret_found = FOUND_NOTHING;
            return true;
        }
        if (err->code == ERR_CORRUPT && store_stat(inner, key, &stored_size, err) && stored_size != size) {
            *ret_found = FOUND_OTHER; /* longer than ours, it did not fit in the buffer */
            return true;
        }
        if (!try_again(effort, err))
            return false;
    }
    *ret_found = contents.size == size && memcmp(contents.bytes, bytes, size) == 0 ? FOUND_OURS : FOUND_OTHER;
    return true;
}

static bool retry_create(struct store *store, const char *key, const void *bytes, size_t size,
                         struct err *err)
{
    const struct retry_store *retry = (struct retry_store *)store;
    struct effort effort = begin_effort(retry);
    struct err why = {0};
    enum found found;

    for (;;) {
        if (store_create(retry->inner, key, bytes, size, &why))
            return true;
        *err = why;
        if (why.code != ERR_CONFLICT && !try_again(&effort, err))
            return false;
        if (!read_back(&effort, key, bytes, size, &found, err))
            return err_wrap(err, "read back %s, whose creation is in doubt (%.200s)", key, why.text);
        if (found == FOUND_OURS)
            return true;
        if (found == FOUND_OTHER)
            return err_set(err, ERR_CONFLICT, "%s exists with another content", key);
        if (why.code == ERR_CONFLICT)
            return err_set(err, ERR_CONFLICT, "%s was reported to exist, and is absent", key);
    }
}

static bool retry_put(struct store *store, const char *key, const void *bytes, size_t size, struct err *err)
{
    const struct retry_store *retry = (struct retry_store *)store;
    struct effort effort = begin_effort(retry);

    while (!store_put(retry->inner, key, bytes, size, err))
        if (!try_again(&effort, err))
            return false;
    return true;
}

static bool retry_get(struct store *store, const char *key, struct buf *contents, struct err *err)
{
    const struct retry_store *retry = (struct retry_store *)store;
    struct effort effort = begin_effort(retry);

    while (!store_get(retry->inner, key, contents, err))
        if (!try_again(&effort, err))
            return false;
    return true;
}

static bool retry_stat(struct store *store, const char *key, uint64_t *ret_size, struct err *err)
{
    const struct retry_store *retry = (struct retry_store *)store;
    struct effort effort = begin_effort(retry);

    while (!store_stat(retry->inner, key, ret_size, err))
        if (!try_again(&effort, err))
            return false;
    return true;
}

static bool retry_delete(struct store *store, const char *key, struct err *err)
{
    const struct retry_store *retry = (struct retry_store *)store;
    struct effort effort = begin_effort(retry);

    while (!store_delete(retry->inner, key, err))
        if (!try_again(&effort, err))
            return false;
    return true;
}

/* The caller's visitor, and how far it has come. */
struct progress {
    store_visitor *visit;
    void *context;
    size_t visited;
    bool refused; /* the visitor itself failed: its error is not the store's and is never retried */
    char last_key[STORE_KEY_MAX + 1];
};

static bool visit_and_note(void *context, const struct store_entry *entry, struct err *err)
{
    struct progress *progress = context;
    size_t size = strlen(entry->key);

    assert(size <= STORE_KEY_MAX);
    if (!progress->visit(progress->context, entry, err)) {
        progress->refused = true;
        return false;
    }
    progress->visited++;
    memcpy(progress->last_key, entry->key, size + 1);
    return true;
}

static bool retry_list(struct store *store, const char *prefix, const char *after, size_t limit,
                       store_visitor *visit, void *context, struct err *err)
{
    const struct retry_store *retry = (struct retry_store *)store;
    struct effort effort = begin_effort(retry);
    struct progress progress = {.visit = visit, .context = context};
    size_t visited = 0;

    while (!store_list(retry->inner, prefix, progress.visited > 0 ? progress.last_key : after,
                       limit > 0 ? limit - progress.visited : 0, visit_and_note, &progress, err)) {
        if (progress.refused)
            return false;
        if (limit > 0 && progress.visited == limit)
            return true;
        if (progress.visited > visited)
            effort.backoff_ms = BACKOFF_FIRST_MS; /* a page came through: the store is not down */
        visited = progress.visited;
        if (!try_again(&effort, err))
            return false;
    }
    return true;
}

static uint64_t retry_unix_ns(struct store *store)
{
    return store_unix_ns(((struct retry_store *)store)->inner);
}

static int64_t retry_clock_skew_ns(struct store *store)
{
    return store_clock_skew_ns(((struct retry_store *)store)->inner);
}

static uint64_t retry_pause_ms(struct store *store)
{
    return store_pause_ms(((struct retry_store *)store)->inner);
}

static void retry_free(struct store *store)
{
    free(store);
}

struct store *store_retry(struct store *inner, uint64_t deadline_ms, const atomic_bool *canceled)
{
    static const struct store_ops ops = {
        .create = retry_create,
        .put = retry_put,
        .get = retry_get,
        .stat = retry_stat,
        .list = retry_list,
        .delete = retry_delete,
        .free = retry_free,
        .unix_ns = retry_unix_ns,
        .clock_skew_ns = retry_clock_skew_ns,
        .pause_ms = retry_pause_ms,
    };
    struct retry_store *retry = xcalloc(1, sizeof(*retry));

    *retry = (struct retry_store){.store = {.ops = &ops},
                                  .inner = inner,
                                  .deadline_ms = deadline_ms,
                                  .until_ms = UINT64_MAX,
                                  .canceled = canceled};
    return &retry->store;
}

void store_retry_until(struct store *store, uint64_t until_ms)
{
    struct retry_store *retry = (struct retry_store *)store;

    assert(store->ops->free == retry_free);
    atomic_store(&retry->until_ms, until_ms);
}
