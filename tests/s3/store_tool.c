/* Puts a real server to the test through store.h. HOLDFAST_STORE and HOLDFAST_S3_* say where it is.
 *
 *     store_tool probe          one put, get and list; prints "ok", or the error's code and text
 *     store_tool conformance    everything that holdfast relies on, as TAP
 *     store_tool fill COUNT SIZE    that many objects of that size, from 8 threads; prints MiB/s both ways */
#include "snapshot/store/config.h"

#include "base/clock.h"
#include "base/thread.h"

#include <inttypes.h>
#include <string.h>

enum { MANY_KEYS = 1234, WRITERS = 8, RACES = 20, LARGE_SIZE = 9 * 1024 * 1024 };

static int tests;
static int failures;

static void report(bool held, const char *name, const struct err *err)
{
    failures += !held;
    printf("%sok %d - %s\n", held ? "" : "not ", ++tests, name);
    if (!held)
        printf("# %s: %s\n", err_code_name(err->code), err->text);
    (void)fflush(stdout);
}

static bool read_environment(struct store_config *config, struct err *err)
{
    const char *url = getenv("HOLDFAST_STORE");
    const char *path_style = getenv("HOLDFAST_S3_PATH_STYLE");

    *config = (struct store_config){
        .endpoint = getenv("HOLDFAST_S3_ENDPOINT"),
        .region = getenv("HOLDFAST_S3_REGION"),
        .access_key_id = {getenv("HOLDFAST_S3_ACCESS_KEY_ID"), getenv("HOLDFAST_S3_ACCESS_KEY_ID_FILE")},
        .secret_access_key = {getenv("HOLDFAST_S3_SECRET_ACCESS_KEY"),
                              getenv("HOLDFAST_S3_SECRET_ACCESS_KEY_FILE")},
        .session_token = {getenv("HOLDFAST_S3_SESSION_TOKEN"), getenv("HOLDFAST_S3_SESSION_TOKEN_FILE")},
        .ca_file = getenv("HOLDFAST_S3_CA_FILE"),
        .path_style = !path_style || strcmp(path_style, "0") != 0,
    };
    return store_config_parse_url(config, url ? url : "", err);
}

static bool count_entry(void *context, const struct store_entry *entry, struct err *err)
{
    (void)entry, (void)err;
    ++*(size_t *)context;
    return true;
}

static int probe(struct store *store)
{
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(16);
    struct err err = {0};
    size_t count = 0;

    if (store_put(store, "probe", "probe", 5, &err) && store_get(store, "probe", &contents, &err) &&
        store_list(store, "probe", NULL, 1, count_entry, &count, &err)) {
        printf("ok\n");
        return EXIT_SUCCESS;
    }
    printf("%s: %s\n", err_code_name(err.code), err.text);
    return EXIT_FAILURE;
}

static void fill_pattern(uint8_t *bytes, size_t size, uint32_t seed)
{
    for (size_t at = 0; at < size; at++) {
        seed = seed * 1664525 + 1013904223;
        bytes[at] = (uint8_t)(seed >> 24);
    }
}

static void test_objects(struct store *store)
{
    static const char *const keys[] = {"one", "a/b/c", "dots.and-dashes_0/A.z", "log/ffffffffffffff00",
                                       "z/0..1"};
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(64);
    struct err err = {0};
    uint64_t size = 0;
    bool held = true;

    for (size_t at = 0; held && at < sizeof(keys) / sizeof(keys[0]); at++) {
        buf_reset(&contents);
        held = store_put(store, keys[at], keys[at], strlen(keys[at]), &err) &&
               store_get(store, keys[at], &contents, &err) && strcmp(buf_text(&contents), keys[at]) == 0 &&
               store_stat(store, keys[at], &size, &err) && size == strlen(keys[at]);
    }
    report(held, "objects come back as they were put", &err);
    buf_reset(&contents);
    held = store_put(store, "empty", "", 0, &err) && store_get(store, "empty", &contents, &err) &&
           contents.size == 0 && store_stat(store, "empty", &size, &err) && size == 0;
    report(held, "an object may be empty", &err);
    report(!store_get(store, "absent", &contents, &err) && err.code == ERR_NOT_FOUND,
           "an absent object is not found", &err);
    report(!store_stat(store, "absent", &size, &err) && err.code == ERR_NOT_FOUND, "nor has it a size", &err);
    held = store_delete(store, "one", &err) && !store_get(store, "one", &contents, &err) &&
           err.code == ERR_NOT_FOUND && store_delete(store, "one", &err);
    report(held, "a deleted object is gone, and may be deleted again", &err);
}

static void test_large_object(struct store *store)
{
    CLEANUP(freep) uint8_t *bytes = xmalloc(LARGE_SIZE);
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(LARGE_SIZE);
    struct err err = {0};

    fill_pattern(bytes, LARGE_SIZE, 7);
    report(store_create(store, "large", bytes, LARGE_SIZE, &err) &&
               store_get(store, "large", &contents, &err) && contents.size == LARGE_SIZE &&
               memcmp(contents.bytes, bytes, LARGE_SIZE) == 0,
           "9 MiB travel whole", &err);
}

static void test_create(struct store *store)
{
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(64);
    struct err err = {0};

    report(store_create(store, "once", "first", 5, &err), "an absent object is created", &err);
    report(!store_create(store, "once", "second", 6, &err) && err.code == ERR_CONFLICT,
           "an existing one conflicts", &err);
    report(store_get(store, "once", &contents, &err) && strcmp(buf_text(&contents), "first") == 0,
           "and is as it was", &err);
}

struct race {
    struct store *store;
    atomic_int won;
    int number;
};

static bool run_race(void *context, struct err *err)
{
    struct race *race = context;
    char key[32], bytes[32];

    (void)snprintf(key, sizeof(key), "race/%d", race->number);
    (void)snprintf(bytes, sizeof(bytes), "%lx", (unsigned long)pthread_self());
    if (store_create(race->store, key, bytes, strlen(bytes), err))
        atomic_fetch_add(&race->won, 1);
    else if (err->code != ERR_CONFLICT)
        return false;
    return true;
}

static void test_races(struct store *store, struct pool *pool)
{
    struct race race = {.store = store};
    struct task_group group;
    struct err err = {0};
    bool held = true;

    for (race.number = 0; held && race.number < RACES; race.number++) {
        atomic_store(&race.won, 0);
        group_init(&group, pool, WRITERS);
        for (int writer = 0; writer < WRITERS; writer++)
            group_submit(&group, run_race, &race);
        held = group_wait(&group, &err) && atomic_load(&race.won) == 1;
    }
    report(held, "of 8 writers exactly one creates each of 20 objects", &err);
}

struct job {
    struct store *store;
    size_t number, size;
};

static bool put_one(void *context, struct err *err)
{
    CLEANUP(freep) struct job *job = context;
    CLEANUP(freep) uint8_t *bytes = xmalloc(job->size + 1);
    char key[64];

    fill_pattern(bytes, job->size, (uint32_t)job->number);
    (void)snprintf(key, sizeof(key), "many/%05zu", job->number);
    return store_put(job->store, key, bytes, job->size, err);
}

static bool get_one(void *context, struct err *err)
{
    CLEANUP(freep) struct job *job = context;
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(job->size);
    char key[64];

    (void)snprintf(key, sizeof(key), "many/%05zu", job->number);
    return store_get(job->store, key, &contents, err);
}

static bool run_jobs(struct store *store, struct pool *pool, size_t count, size_t size,
                     bool (*run)(void *context, struct err *err), struct err *err)
{
    struct task_group group;

    group_init(&group, pool, WRITERS * 2);
    for (size_t number = 0; number < count; number++) {
        struct job *job = xmalloc(sizeof(*job));
        *job = (struct job){store, number, size};
        group_submit(&group, run, job);
    }
    return group_wait(&group, err);
}

/* The keys many/00000 to many/01233, none left out. */
static bool expect_next(void *context, const struct store_entry *entry, struct err *err)
{
    size_t *next = context;
    char key[64];

    (void)snprintf(key, sizeof(key), "many/%05zu", (*next)++);
    if (strcmp(entry->key, key) != 0 || entry->size != 10)
        return err_set(err, ERR_CORRUPT, "%s (%" PRIu64 " bytes) came in the place of %s", entry->key,
                       entry->size, key);
    return true;
}

static void test_listings(struct store *store, struct pool *pool)
{
    struct err err = {0};
    size_t next = 0, count = 0;

    report(run_jobs(store, pool, MANY_KEYS, 10, put_one, &err), "1234 objects are put by 8 threads", &err);
    report(store_list(store, "many/", NULL, 0, expect_next, &next, &err) && next == MANY_KEYS,
           "and listed in order, over pages", &err);
    next = 1001;
    report(store_list(store, "many/", "many/01000", 7, expect_next, &next, &err) && next == 1008,
           "from any key on, as many as wanted", &err);
    report(store_list(store, "nothing/", NULL, 0, count_entry, &count, &err) && count == 0,
           "a prefix without objects lists nothing", &err);
    report(store_list(store, "many/0123", NULL, 0, count_entry, &count, &err) && count == 4,
           "a prefix may end within a name", &err);
}

static void test_clock(struct store *store)
{
    int64_t skew_s = store_clock_skew_ns(store) / (int64_t)NS_PER_SECOND;
    struct err err = {.text = "the clocks of one machine differ"};

    report(skew_s >= -2 && skew_s <= 2, "the server's clock is ours", &err);
}

static int conformance(struct store *store, struct pool *pool)
{
    test_objects(store);
    test_large_object(store);
    test_create(store);
    test_races(store, pool);
    test_listings(store, pool);
    test_clock(store);
    printf("1..%d\n", tests);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static double mib_per_second(size_t count, size_t size, uint64_t begun_ns)
{
    return (double)count * (double)size / 1048576 / ((double)(clock_monotonic_ns() - begun_ns) / 1e9);
}

static int fill(struct store *store, struct pool *pool, size_t count, size_t size)
{
    struct err err = {0};
    uint64_t begun_ns = clock_monotonic_ns();
    double put_rate;

    if (!run_jobs(store, pool, count, size, put_one, &err)) {
        printf("%s: %s\n", err_code_name(err.code), err.text);
        return EXIT_FAILURE;
    }
    put_rate = mib_per_second(count, size, begun_ns);
    begun_ns = clock_monotonic_ns();
    if (!run_jobs(store, pool, count, size, get_one, &err)) {
        printf("%s: %s\n", err_code_name(err.code), err.text);
        return EXIT_FAILURE;
    }
    printf("put %.1f MiB/s, get %.1f MiB/s\n", put_rate, mib_per_second(count, size, begun_ns));
    return EXIT_SUCCESS;
}

int main(int count, char **words)
{
    __attribute__((cleanup(store_config_clear))) struct store_config config = {0};
    CLEANUP(store_freep) struct store *store = NULL;
    struct pool *pool = NULL;
    struct err err = {0};
    int status = EXIT_FAILURE;

    if (!read_environment(&config, &err) || !store_open(&config, NULL, NULL, &store, &err) ||
        !pool_open(WRITERS, "worker", &pool, &err)) {
        printf("%s: %s\n", err_code_name(err.code), err.text);
        return EXIT_FAILURE;
    }
    if (count == 2 && strcmp(words[1], "probe") == 0)
        status = probe(store);
    else if (count == 2 && strcmp(words[1], "conformance") == 0)
        status = conformance(store, pool);
    else if (count == 4 && strcmp(words[1], "fill") == 0)
        status = fill(store, pool, strtoul(words[2], NULL, 10), strtoul(words[3], NULL, 10));
    else
        printf("usage: store_tool probe | conformance | fill COUNT SIZE\n");
    pool_free(pool);
    return status;
}
