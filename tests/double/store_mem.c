#include "tests/double/store_mem.h"

#include "base/thread.h"

#include <string.h>

struct object {
    char *key;
    struct buf bytes;
};

struct mem_store {
    struct store store;
    pthread_mutex_t mutex;  /* guards the rest */
    struct object *objects; /* sorted by key */
    size_t count;
};

/* The first object at or after key. */
static size_t find(const struct mem_store *mem, const char *key)
{
    size_t low = 0, high = mem->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(mem->objects[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct object *look_up(const struct mem_store *mem, const char *key)
{
    size_t at = find(mem, key);

    return at < mem->count && strcmp(mem->objects[at].key, key) == 0 ? &mem->objects[at] : NULL;
}

static void replace(struct mem_store *mem, const char *key, const void *bytes, size_t size)
{
    struct object *object = look_up(mem, key);

    if (!object) {
        size_t at = find(mem, key);
        mem->objects = xrealloc(mem->objects, (mem->count + 1) * sizeof(*mem->objects));
        memmove(mem->objects + at + 1, mem->objects + at, (mem->count - at) * sizeof(*mem->objects));
        mem->count++;
        object = &mem->objects[at];
        *object = (struct object){.key = xstrdup(key), .bytes = BUF_INIT(SIZE_MAX / 4)};
    }
    buf_reset(&object->bytes);
    buf_add(&object->bytes, bytes, size);
}

static bool mem_create(struct store *store, const char *key, const void *bytes, size_t size, struct err *err)
{
    struct mem_store *mem = (struct mem_store *)store;

    MUTEX_GUARD(&mem->mutex);
    if (look_up(mem, key))
        return err_set(err, ERR_CONFLICT, "%s exists", key);
    replace(mem, key, bytes, size);
    return true;
}

static bool mem_put(struct store *store, const char *key, const void *bytes, size_t size, struct err *err)
{
    struct mem_store *mem = (struct mem_store *)store;

    (void)err;
    MUTEX_GUARD(&mem->mutex);
    replace(mem, key, bytes, size);
    return true;
}

static bool mem_get(struct store *store, const char *key, struct buf *contents, struct err *err)
{
    struct mem_store *mem = (struct mem_store *)store;
    const struct object *object;

    MUTEX_GUARD(&mem->mutex);
    object = look_up(mem, key);
    if (!object)
        return err_set(err, ERR_NOT_FOUND, "%s is absent", key);
    if (object->bytes.size > contents->size_max - contents->size)
        return err_set(err, ERR_CORRUPT, "%s is larger than expected", key);
    buf_add(contents, object->bytes.bytes, object->bytes.size);
    return true;
}

static bool mem_stat(struct store *store, const char *key, uint64_t *ret_size, struct err *err)
{
    struct mem_store *mem = (struct mem_store *)store;
    const struct object *object;

    MUTEX_GUARD(&mem->mutex);
    object = look_up(mem, key);
    if (!object)
        return err_set(err, ERR_NOT_FOUND, "%s is absent", key);
    *ret_size = object->bytes.size;
    return true;
}

/* The first key at or after `from` (or strictly after it), copied: others may change the store meanwhile. */
static bool next_entry(struct mem_store *mem, const char *from, bool strictly, char key[STORE_KEY_MAX + 1],
                       uint64_t *ret_size)
{
    size_t at;

    MUTEX_GUARD(&mem->mutex);
    at = find(mem, from);
    if (strictly && at < mem->count && strcmp(mem->objects[at].key, from) == 0)
        at++;
    if (at == mem->count)
        return false;
    memcpy(key, mem->objects[at].key, strlen(mem->objects[at].key) + 1);
    *ret_size = mem->objects[at].bytes.size;
    return true;
}

static bool mem_list(struct store *store, const char *prefix, const char *after, size_t limit,
                     store_visitor *visit, void *context, struct err *err)
{
    struct mem_store *mem = (struct mem_store *)store;
    bool strictly = after && strcmp(after, prefix) >= 0;
    char key[STORE_KEY_MAX + 1], from[STORE_KEY_MAX + 1];
    uint64_t size = 0;

    (void)snprintf(from, sizeof(from), "%s", strictly ? after : prefix);
    for (size_t visited = 0; limit == 0 || visited < limit; visited++) {
        struct store_entry entry = {.key = key};
        if (!next_entry(mem, from, strictly, key, &size) || strncmp(key, prefix, strlen(prefix)) != 0)
            break;
        entry.size = size;
        if (!visit(context, &entry, err))
            return false;
        memcpy(from, key, strlen(key) + 1);
        strictly = true;
    }
    return true;
}

static bool mem_delete(struct store *store, const char *key, struct err *err)
{
    struct mem_store *mem = (struct mem_store *)store;
    struct object *object;

    (void)err;
    MUTEX_GUARD(&mem->mutex);
    object = look_up(mem, key);
    if (object) {
        size_t at = (size_t)(object - mem->objects);
        free(object->key);
        buf_clear(&object->bytes);
        mem->count--;
        memmove(object, object + 1, (mem->count - at) * sizeof(*object));
    }
    return true;
}

static void mem_free(struct store *store)
{
    struct mem_store *mem = (struct mem_store *)store;

    for (size_t at = 0; at < mem->count; at++) {
        free(mem->objects[at].key);
        buf_clear(&mem->objects[at].bytes);
    }
    free(mem->objects);
    pthread_mutex_destroy(&mem->mutex);
    free(mem);
}

struct store *store_mem_new(void)
{
    static const struct store_ops ops = {
        .create = mem_create,
        .put = mem_put,
        .get = mem_get,
        .stat = mem_stat,
        .list = mem_list,
        .delete = mem_delete,
        .free = mem_free,
    };
    struct mem_store *mem = xcalloc(1, sizeof(*mem));

    mem->store.ops = &ops;
    pthread_mutex_init(&mem->mutex, NULL);
    return &mem->store;
}

size_t store_mem_count(struct store *store, const char *prefix)
{
    struct mem_store *mem = (struct mem_store *)store;
    size_t count = 0;

    MUTEX_GUARD(&mem->mutex);
    for (size_t at = 0; at < mem->count; at++)
        count += strncmp(mem->objects[at].key, prefix, strlen(prefix)) == 0;
    return count;
}
