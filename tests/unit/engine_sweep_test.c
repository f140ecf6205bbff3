/* Every single store request of a life fails once, in every way a request can fail, and for good.
 *
 * A life is: first boot, ship version 1, ship version 2 (a changed large file, a deletion), flush; then a
 * restore onto a wiped disk. For n = 1, 2, … the n-th request fails, until a life passes without meeting the
 * fault. After each, whatever was reported as durable is in the store, every point that the store offers is a
 * whole state, and a failure says what it is and leaves the directory alone.
 *
 * make check takes every few n; TEST_SWEEP=all takes all of them. */
#include "tests/double/life.h"

#include "base/clock.h"
#include "snapshot/reader.h"
#include "tests/tap.h"

#include <dirent.h>
#include <fcntl.h>

enum { BIG_SIZE = 40000, VERSIONS = 2, COMMITS_EACH = 3 };

struct fault_way {
    const char *name;
    const char *operation;
    enum fault_kind kind;
    enum err_code code;
};

static const struct fault_way ways[] = {
    {"broken before it is sent", NULL, FAULT_BEFORE, ERR_TRANSIENT},
    {"answer lost", NULL, FAULT_AFTER, ERR_TRANSIENT},
    {"refused", NULL, FAULT_BEFORE, ERR_DENIED},
    {"412 after our own success", "create", FAULT_AFTER, ERR_CONFLICT},
    {"flipped", "get", FAULT_FLIP, ERR_NONE},
    {"cut off", "get", FAULT_TRUNCATE, ERR_NONE},
};

enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

/* What must be found later. */
struct promise {
    int64_t durable; /* the version that was reported as durable; 0: none */
    bool final;      /* … by the end of the flush */
};

static void fill(uint8_t *bytes, int version)
{
    uint64_t mixed = (uint64_t)version * 0x9E3779B97F4A7C15U;

    for (size_t at = 0; at < BIG_SIZE; at++) {
        mixed = mixed * 6364136223846793005U + 1442695040888963407U;
        bytes[at] = (uint8_t)(mixed >> 56);
    }
}

/* Files first, the commits that stand for them after that. */
static bool make_version(struct life *life, int version)
{
    static uint8_t big[BIG_SIZE];
    char text[32];

    fill(big, version);
    (void)snprintf(text, sizeof(text), "small %d", version);
    scratch_write_bytes(life->disk.fd, "files/big", big, sizeof(big));
    scratch_write(life->disk.fd, "files/small", text);
    if (version == 1)
        scratch_write(life->disk.fd, "files/gone", "gone in 2");
    if (!life_commit(life, COMMITS_EACH))
        return false;
    if (version == 2)
        (void)unlinkat(life->disk.fd, "files/gone", 0);
    return true;
}

/* The version of a file of this directory; 0: it isn't there, -1: it is neither. */
static int version_of(int directory_fd, const char *path, bool big)
{
    static uint8_t wanted[BIG_SIZE];
    char *text;
    int found = -1;

    if (!scratch_exists(directory_fd, path))
        return 0;
    text = scratch_read(directory_fd, path);
    for (int version = 1; version <= VERSIONS; version++) {
        char small[32];
        fill(wanted, version);
        (void)snprintf(small, sizeof(small), "small %d", version);
        if (big ? scratch_stat(directory_fd, path).st_size == BIG_SIZE && memcmp(text, wanted, BIG_SIZE) == 0
                : strcmp(text, small) == 0)
            found = version;
    }
    free(text);
    return found;
}

/* A whole state: the database is sound, and nothing that it stands for is missing. Its version, or -1. */
static int64_t judge(int directory_fd, const char *path)
{
    int64_t value = life_value(path);
    int64_t version = value / COMMITS_EACH;
    int big = version_of(directory_fd, "files/big", true);
    int small = version_of(directory_fd, "files/small", false);

    /* At version 0 nothing is stood for: files may be there, half written. */
    if (value < 0 || (version > 0 && (big < version || small < version)) ||
        (version == 1 && !scratch_exists(directory_fd, "files/gone"))) {
        printf("# a mixture: value %d, big %d, small %d, gone %d\n", (int)value, big, small,
               scratch_exists(directory_fd, "files/gone"));
        return -1;
    }
    return version;
}

static bool is_empty(int directory_fd)
{
    DIR *directory = fdopendir(openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct dirent *entry;
    bool empty = true;

    while ((entry = readdir(directory)))
        if (entry->d_name[0] != '.') {
            printf("# %s was left behind\n", entry->d_name);
            empty = false;
        }
    (void)closedir(directory);
    return empty;
}

static bool says_why(const struct err *err)
{
    bool clear = err->text[0] && (err->code == ERR_CONFIG || err->code == ERR_DENIED ||
                                  err->code == ERR_CORRUPT || err->code == ERR_TRANSIENT);

    if (!clear)
        printf("# unclear: code %d, %s\n", (int)err->code, err->text);
    return clear;
}

static bool is_settled_or_stuck(const struct engine_status *status)
{
    return life_is_durable(status) || status->degraded || life_is_over(status);
}

/* Waits until the version is durable, or trouble was reported; a fault that happens once is given the time to
 * be forgotten. */
static void ship_version(struct life *life, int version, bool once, struct promise *promise)
{
    if (!EXPECT(make_version(life, version)))
        return;
    if (!EXPECT(life_await(life, once ? life_is_durable : is_settled_or_stuck)))
        return;
    if (life_is_durable(&life->status))
        promise->durable = version;
}

static struct promise live(struct life *life, bool once)
{
    struct promise promise = {0};

    if (!life_try_begin(life)) {
        EXPECT(says_why(&life->status.err));
        EXPECT(is_empty(life->disk.fd));
        life_cut_off(life);
        return promise;
    }
    engine_answered(life->engine);
    ship_version(life, 1, once, &promise);
    ship_version(life, 2, once, &promise);
    engine_flush(life->engine, once ? 5000 : 700);
    EXPECT(life_await(life, life_is_over));
    if (life->status.phase == ENGINE_DONE)
        promise = (struct promise){.durable = 2, .final = true};
    else
        EXPECT(!once && says_why(&life->status.err));
    life_cut_off(life);
    return promise;
}

static void check_promise(int directory_fd, const char *path, const struct promise *promise)
{
    int64_t version = judge(directory_fd, path);

    EXPECT(version >= promise->durable);
    if (promise->final)
        EXPECT(!scratch_exists(directory_fd, "files/gone"));
}

struct points {
    uint64_t records[64];
    size_t count;
};

static bool note_point(void *context, const struct reader_point *point)
{
    struct points *points = context;

    points->records[points->count++] = point->record;
    return points->count < 64;
}

static void ignore_damage(void *context, const char *key, const char *reason)
{
    (void)context;
    printf("# damaged: %s: %s\n", key, reason);
}

/* Everything that the undamaged store offers. */
static void open_all_points(struct life *life, const struct promise *promise)
{
    struct points points = {0};
    struct reader_damage damage = {ignore_damage, NULL};
    struct reader_result result;
    struct err err = {0};

    if (store_mem_count(life->mem, "base/") == 0 || !reader_list(life->mem, note_point, &points, &err)) {
        EXPECT(promise->durable == 0);
        return;
    }
    for (size_t at = 0; at < points.count; at++) {
        struct scratch copy;
        scratch_open(&copy);
        if (EXPECT(reader_restore(life->mem, copy.path, points.records[at], NULL, NULL, &result, &err)))
            EXPECT(judge(copy.fd, copy.path) >= (at == 0 ? promise->durable : 0));
        else
            printf("# %s\n", err.text);
        scratch_close(&copy);
    }
    EXPECT_OK(reader_verify(life->mem, &damage, NULL, NULL, &result, &err), &err);
}

/* Faults may still be met here; the fresh start after it has none. */
static void start_again(struct life *life, const struct promise *promise)
{
    life_wipe(life);
    if (life_try_begin(life)) {
        check_promise(life->disk.fd, life->disk.path, promise);
    } else {
        EXPECT(says_why(&life->status.err));
        EXPECT(is_empty(life->disk.fd));
    }
    life_cut_off(life);
    store_fault_clear(life->faulty);
    life_wipe(life);
    if (EXPECT(life_begin(life))) {
        check_promise(life->disk.fd, life->disk.path, promise);
        EXPECT_INT(life_end(life), ENGINE_DONE);
    }
    life_cut_off(life);
}

/* False once the life had fewer than n such requests. */
static bool sweep_one(const struct fault_way *way, bool once, size_t n)
{
    struct life life;
    struct promise promise;
    bool met;
    int before = tap_failures;

    life_set_up(&life);
    life.config.start_timeout_ms = 200;
    life.config.retention_ms = n % 2 == 0 ? 0 : 60000;
    store_fault_add(
        life.faulty,
        &(struct store_fault){
            .operation = way->operation, .skip = n - 1, .times = once, .kind = way->kind, .code = way->code});
    promise = live(&life, once);
    open_all_points(&life, &promise);
    start_again(&life, &promise);
    met = store_fault_count(life.faulty, way->operation, NULL) >= n;
    life_tear_down(&life);
    if (tap_failures > before)
        printf("# … with request %zu %s %s\n", n, way->name, once ? "once" : "for good");
    return met;
}

static void sweep(const struct fault_way *way, bool once, size_t first, size_t step)
{
    const char *wanted = getenv("TEST_SWEEP");
    size_t n = first, lives = 0;

    tap_allow_ms(3600 * 1000);
    if (wanted) {
        n = strcmp(wanted, "all") == 0 ? 1 : strtoul(wanted, NULL, 10);
        step = 1;
    }
    while (sweep_one(way, once, n) && (!wanted || strcmp(wanted, "all") == 0)) {
        n += step;
        lives++;
    }
    printf("# %s %s: %zu lives\n", way->name, once ? "once" : "for good", lives + 1);
}

#define SWEEP(name, way, once, first, step)           \
    TEST(name)                                        \
    {                                                 \
        sweep(&ways[(way)], (once), (first), (step)); \
    }

SWEEP(a_request_that_breaks_once_costs_nothing, 0, true, 3, 13)
SWEEP(a_store_that_goes_away_loses_nothing_that_was_durable, 0, false, 5, 17)
SWEEP(an_answer_that_is_lost_once_costs_nothing, 1, true, 7, 13)
SWEEP(answers_that_are_lost_for_good_lose_nothing_that_was_durable, 1, false, 2, 17)
SWEEP(a_request_that_is_refused_for_good_is_named, 2, false, 4, 17)
SWEEP(our_own_success_answered_with_412_fences_nobody, 3, true, 1, 3)
SWEEP(an_object_flipped_once_is_told_or_read_again, 4, true, 1, 5)
SWEEP(objects_flipped_for_good_are_told, 4, false, 2, 5)
SWEEP(an_object_cut_off_once_is_told_or_read_again, 5, true, 3, 5)
SWEEP(objects_cut_off_for_good_are_told, 5, false, 4, 5)

TAP_MAIN()
