#include "tests/double/store_fault.h"

#include "base/clock.h"
#include "base/thread.h"

#include <assert.h>
#include <string.h>
#include <time.h>

struct call {
    const char *operation;
    char *key;
    enum err_code outcome;
};

struct calls {
    struct call *list;
    size_t count;
};

struct fault_store {
    struct store store;
    struct store *inner;
    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t changed;
    struct store_fault faults[STORE_FAULTS_MAX];
    size_t hits[STORE_FAULTS_MAX];
    size_t fault_count;
    struct calls begun, ended;
    size_t under_way, parallel;
    bool released;
    uint64_t pause_ms;
};

static bool matches(const char *wanted_operation, const char *wanted_key, const char *operation,
                    const char *key)
{
    return (!wanted_operation || strcmp(wanted_operation, operation) == 0) &&
           (!wanted_key || strncmp(wanted_key, key, strlen(wanted_key)) == 0);
}

static void note(struct calls *calls, const char *operation, const char *key, enum err_code outcome)
{
    calls->list = xrealloc(calls->list, (calls->count + 1) * sizeof(*calls->list));
    calls->list[calls->count++] = (struct call){operation, xstrdup(key), outcome};
}

static size_t count_calls(const struct calls *calls, const char *operation, const char *key)
{
    size_t count = 0;

    for (size_t at = 0; at < calls->count; at++)
        count += matches(operation, key, calls->list[at].operation, calls->list[at].key);
    return count;
}

static void free_calls(struct calls *calls)
{
    for (size_t at = 0; at < calls->count; at++)
        free(calls->list[at].key);
    free(calls->list);
}

/* The fault that hits this call; where there is none, a delay of nothing. */
static struct store_fault choose(struct fault_store *faulty, const char *operation, const char *key)
{
    for (size_t at = 0; at < faulty->fault_count; at++) {
        const struct store_fault *fault = &faulty->faults[at];
        size_t number;
        if (!matches(fault->operation, fault->key, operation, key))
            continue;
        number = faulty->hits[at]++;
        if (number >= fault->skip && (fault->times == 0 || number - fault->skip < fault->times))
            return *fault;
    }
    return (struct store_fault){.kind = FAULT_DELAY};
}

static struct store_fault begin(struct fault_store *faulty, const char *operation, const char *key)
{
    struct store_fault fault;

    MUTEX_GUARD(&faulty->mutex);
    note(&faulty->begun, operation, key, ERR_NONE);
    faulty->under_way++;
    if (faulty->under_way > faulty->parallel)
        faulty->parallel = faulty->under_way;
    pthread_cond_broadcast(&faulty->changed);
    fault = choose(faulty, operation, key);
    while (fault.kind == FAULT_HOLD && !faulty->released)
        pthread_cond_wait(&faulty->changed, &faulty->mutex);
    return fault;
}

static bool end(struct fault_store *faulty, const char *operation, const char *key, bool succeeded,
                const struct err *err)
{
    MUTEX_GUARD(&faulty->mutex);
    note(&faulty->ended, operation, key, succeeded ? ERR_NONE : err->code);
    faulty->under_way--;
    pthread_cond_broadcast(&faulty->changed);
    return succeeded;
}

/* True if the call goes on to the store. */
static bool passes(const struct store_fault *fault, struct err *err)
{
    if (fault->kind == FAULT_DELAY && fault->delay_ms > 0) {
        struct timespec pause = {.tv_sec = (time_t)(fault->delay_ms / 1000),
                                 .tv_nsec = (long)(fault->delay_ms % 1000 * NS_PER_MS)};
        (void)nanosleep(&pause, NULL);
    }
    if (fault->kind == FAULT_BEFORE)
        return err_set(err, fault->code, "made to fail");
    return true;
}

/* True if what the store has done is reported as it is. */
static bool survives(const struct store_fault *fault, struct err *err)
{
    if (fault->kind == FAULT_AFTER)
        return err_set(err, fault->code, "made to fail afterwards");
    return true;
}

static bool fault_create(struct store *store, const char *key, const void *bytes, size_t size,
                         struct err *err)
{
    struct fault_store *faulty = (struct fault_store *)store;
    struct store_fault fault = begin(faulty, "create", key);
    bool succeeded =
        passes(&fault, err) && store_create(faulty->inner, key, bytes, size, err) && survives(&fault, err);

    return end(faulty, "create", key, succeeded, err);
}

static bool fault_put(struct store *store, const char *key, const void *bytes, size_t size, struct err *err)
{
    struct fault_store *faulty = (struct fault_store *)store;
    struct store_fault fault = begin(faulty, "put", key);
    bool succeeded =
        passes(&fault, err) && store_put(faulty->inner, key, bytes, size, err) && survives(&fault, err);

    return end(faulty, "put", key, succeeded, err);
}

static bool fault_get(struct store *store, const char *key, struct buf *contents, struct err *err)
{
    struct fault_store *faulty = (struct fault_store *)store;
    struct store_fault fault = begin(faulty, "get", key);
    size_t before = contents->size;
    bool succeeded =
        passes(&fault, err) && store_get(faulty->inner, key, contents, err) && survives(&fault, err);

    if (!succeeded)
        contents->size = before;
    if (succeeded && fault.kind == FAULT_TRUNCATE)
        contents->size = before + (contents->size - before) / 2;
    if (succeeded && fault.kind == FAULT_FLIP && contents->size > before)
        contents->bytes[before + (contents->size - before) / 2] ^= 4;
    return end(faulty, "get", key, succeeded, err);
}

static bool fault_stat(struct store *store, const char *key, uint64_t *ret_size, struct err *err)
{
    struct fault_store *faulty = (struct fault_store *)store;
    struct store_fault fault = begin(faulty, "stat", key);
    bool succeeded =
        passes(&fault, err) && store_stat(faulty->inner, key, ret_size, err) && survives(&fault, err);

    return end(faulty, "stat", key, succeeded, err);
}

static bool fault_list(struct store *store, const char *prefix, const char *after, size_t limit,
                       store_visitor *visit, void *context, struct err *err)
{
    struct fault_store *faulty = (struct fault_store *)store;
    struct store_fault fault = begin(faulty, "list", prefix);
    bool succeeded = passes(&fault, err) &&
                     store_list(faulty->inner, prefix, after, limit, visit, context, err) &&
                     survives(&fault, err);

    return end(faulty, "list", prefix, succeeded, err);
}

static bool fault_delete(struct store *store, const char *key, struct err *err)
{
    struct fault_store *faulty = (struct fault_store *)store;
    struct store_fault fault = begin(faulty, "delete", key);
    bool succeeded = passes(&fault, err) && store_delete(faulty->inner, key, err) && survives(&fault, err);

    return end(faulty, "delete", key, succeeded, err);
}

static uint64_t fault_unix_ns(struct store *store)
{
    return store_unix_ns(((struct fault_store *)store)->inner);
}

static int64_t fault_clock_skew_ns(struct store *store)
{
    return store_clock_skew_ns(((struct fault_store *)store)->inner);
}

static uint64_t fault_pause_ms(struct store *store)
{
    struct fault_store *faulty = (struct fault_store *)store;

    MUTEX_GUARD(&faulty->mutex);
    return faulty->pause_ms;
}

static void fault_free(struct store *store)
{
    struct fault_store *faulty = (struct fault_store *)store;

    assert(faulty->under_way == 0);
    free_calls(&faulty->begun);
    free_calls(&faulty->ended);
    pthread_cond_destroy(&faulty->changed);
    pthread_mutex_destroy(&faulty->mutex);
    free(faulty);
}

struct store *store_fault_new(struct store *inner)
{
    static const struct store_ops ops = {
        .create = fault_create,
        .put = fault_put,
        .get = fault_get,
        .stat = fault_stat,
        .list = fault_list,
        .delete = fault_delete,
        .free = fault_free,
        .unix_ns = fault_unix_ns,
        .clock_skew_ns = fault_clock_skew_ns,
        .pause_ms = fault_pause_ms,
    };
    struct fault_store *faulty = xcalloc(1, sizeof(*faulty));

    faulty->store.ops = &ops;
    faulty->inner = inner;
    pthread_mutex_init(&faulty->mutex, NULL);
    pthread_cond_init(&faulty->changed, NULL);
    return &faulty->store;
}

void store_fault_add(struct store *store, const struct store_fault *fault)
{
    struct fault_store *faulty = (struct fault_store *)store;

    MUTEX_GUARD(&faulty->mutex);
    assert(faulty->fault_count < STORE_FAULTS_MAX);
    faulty->hits[faulty->fault_count] = 0;
    faulty->faults[faulty->fault_count++] = *fault;
    if (fault->kind == FAULT_HOLD)
        faulty->released = false;
}

void store_fault_release(struct store *store)
{
    struct fault_store *faulty = (struct fault_store *)store;

    MUTEX_GUARD(&faulty->mutex);
    faulty->released = true;
    pthread_cond_broadcast(&faulty->changed);
}

void store_fault_clear(struct store *store)
{
    struct fault_store *faulty = (struct fault_store *)store;

    store_fault_release(store);
    MUTEX_GUARD(&faulty->mutex);
    faulty->fault_count = 0;
}

size_t store_fault_count(struct store *store, const char *operation, const char *key)
{
    struct fault_store *faulty = (struct fault_store *)store;

    MUTEX_GUARD(&faulty->mutex);
    return count_calls(&faulty->begun, operation, key);
}

void store_fault_await(struct store *store, const char *operation, const char *key, size_t count)
{
    struct fault_store *faulty = (struct fault_store *)store;

    MUTEX_GUARD(&faulty->mutex);
    while (count_calls(&faulty->begun, operation, key) < count)
        pthread_cond_wait(&faulty->changed, &faulty->mutex);
}

size_t store_fault_parallel(struct store *store)
{
    struct fault_store *faulty = (struct fault_store *)store;

    MUTEX_GUARD(&faulty->mutex);
    return faulty->parallel;
}

void store_fault_log(struct store *store, struct buf *text)
{
    struct fault_store *faulty = (struct fault_store *)store;

    MUTEX_GUARD(&faulty->mutex);
    for (size_t at = 0; at < faulty->ended.count; at++) {
        const struct call *call = &faulty->ended.list[at];
        buf_printf(text, "%s %s %s\n", call->operation, call->key, err_code_name(call->outcome));
    }
}

void store_fault_pause(struct store *store, uint64_t pause_ms)
{
    struct fault_store *faulty = (struct fault_store *)store;

    MUTEX_GUARD(&faulty->mutex);
    faulty->pause_ms = pause_ms;
}
