/* The way into a driver: keys are checked before it sees them, and the observer is told afterwards. */
#include "snapshot/store/store.h"

#include "base/clock.h"

#include <assert.h>
#include <string.h>

static bool is_key_character(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || strchr("._-/", character);
}

/* The characters and parts of a key; a prefix to list may be empty or end in '/'. */
static bool is_key_prefix(const char *text)
{
    bool part_begins = true;

    for (size_t at = 0; text[at] != '\0'; at++) {
        if (at >= STORE_KEY_MAX || !is_key_character(text[at]))
            return false;
        if (part_begins && (text[at] == '/' || text[at] == '.'))
            return false;
        part_begins = text[at] == '/';
    }
    return true;
}

bool store_key_is_valid(const char *key)
{
    size_t size = strnlen(key, STORE_KEY_MAX + 1);

    return size > 0 && key[size - 1] != '/' && is_key_prefix(key);
}

static bool check_key(const char *key, struct err *err)
{
    if (!store_key_is_valid(key))
        return err_set(err, ERR_CORRUPT, "\"%.100s\" can't be a key of the store", key);
    return true;
}

static bool observed(const struct store *store, const char *operation, bool succeeded, uint64_t sent_bytes,
                     uint64_t received_bytes, const struct err *err)
{
    const struct store_observer *observer = store->observer;

    if (observer)
        observer->request(observer->context, operation, succeeded ? ERR_NONE : err->code, sent_bytes,
                          received_bytes);
    return succeeded;
}

bool store_create(struct store *store, const char *key, const void *bytes, size_t size, struct err *err)
{
    if (!check_key(key, err))
        return false;
    return observed(store, "create", store->ops->create(store, key, bytes, size, err), size, 0, err);
}

bool store_put(struct store *store, const char *key, const void *bytes, size_t size, struct err *err)
{
    if (!check_key(key, err))
        return false;
    return observed(store, "put", store->ops->put(store, key, bytes, size, err), size, 0, err);
}

bool store_get(struct store *store, const char *key, struct buf *contents, struct err *err)
{
    size_t size_before = contents->size;
    bool succeeded;

    assert(!contents->overflowed);
    if (!check_key(key, err))
        return false;
    succeeded = store->ops->get(store, key, contents, err);
    assert(succeeded ? contents->size >= size_before : contents->size == size_before);
    return observed(store, "get", succeeded, 0, contents->size - size_before, err);
}

bool store_stat(struct store *store, const char *key, uint64_t *ret_size, struct err *err)
{
    if (!check_key(key, err))
        return false;
    return observed(store, "stat", store->ops->stat(store, key, ret_size, err), 0, 0, err);
}

bool store_list(struct store *store, const char *prefix, const char *after, size_t limit,
                store_visitor *visit, void *context, struct err *err)
{
    if (!is_key_prefix(prefix) || (after && !is_key_prefix(after)))
        return err_set(err, ERR_CORRUPT, "no keys begin with \"%.100s\" or follow \"%.100s\"", prefix,
                       after ? after : "");
    return observed(store, "list", store->ops->list(store, prefix, after, limit, visit, context, err), 0, 0,
                    err);
}

bool store_delete(struct store *store, const char *key, struct err *err)
{
    if (!check_key(key, err))
        return false;
    return observed(store, "delete", store->ops->delete (store, key, err), 0, 0, err);
}

uint64_t store_unix_ns(struct store *store)
{
    return store->ops->unix_ns ? store->ops->unix_ns(store) : clock_unix_ns();
}

int64_t store_clock_skew_ns(struct store *store)
{
    return store->ops->clock_skew_ns ? store->ops->clock_skew_ns(store) : 0;
}

uint64_t store_pause_ms(struct store *store)
{
    return store->ops->pause_ms ? store->ops->pause_ms(store) : 0;
}

void store_free(struct store *store)
{
    if (store)
        store->ops->free(store);
}
