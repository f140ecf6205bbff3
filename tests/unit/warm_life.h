/* Starts on a disk that holds more than was shipped: what goes over the line, and what the store holds then.
 */
#ifndef TESTS_UNIT_WARM_LIFE_H
#define TESTS_UNIT_WARM_LIFE_H

#include "snapshot/reader.h"

#include "base/clock.h"
#include "base/fs.h"
#include "tests/double/life_story.h"
#include "tests/double/sample.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/stat.h>

enum {
    SMALL = 200, /* pages of a database */
    LARGE = 2600,
    WARM_POINTS_MAX = 1000,
};

/* What a data record and the ends of two lives take beside pages. */
#define FEW_BYTES (UINT64_C(256) << 10)

struct traffic {
    _Atomic uint64_t sent_bytes;
};

static struct traffic traffic;

static inline void count_request(void *context, const char *operation, enum err_code outcome,
                                 uint64_t sent_bytes, uint64_t received_bytes)
{
    struct traffic *counted = context;

    (void)operation;
    (void)received_bytes;
    if (outcome == ERR_NONE)
        atomic_fetch_add(&counted->sent_bytes, sent_bytes);
}

static const struct store_observer observer = {count_request, &traffic};

/* An application that runs `sql`, makes so many commits, and ends. */
static inline bool run_application(struct life *life, const char *name, const char *sql, uint64_t commits)
{
    struct writer_plan plan = {.bytes = 500, .commits_max = commits, .idle = commits == 0};
    bool ran;

    (void)snprintf(plan.paths[0], sizeof(plan.paths[0]), "%s/%s", life->disk.path, name);
    (void)snprintf(plan.then, sizeof(plan.then), "%s", sql);
    ran = writer_start(&life->writer, &plan);
    if (ran && commits > 0)
        (void)writer_wait(&life->writer, UINT32_MAX);
    ran = ran && atomic_load(&life->writer.stats->commits) == commits;
    return writer_stop(&life->writer) && ran;
}

/* Rows that fill a page each. */
static inline bool fill_database(struct life *life, const char *name, unsigned pages)
{
    CLEANUP(freep)
    char *sql = xasprintf(
        "CREATE TABLE IF NOT EXISTS filler(v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
        "SELECT i+1 FROM n LIMIT %u) INSERT INTO filler SELECT randomblob(3800) FROM n",
        pages);

    return run_application(life, name, sql, 1);
}

/* A database of so many pages is there before the first start, and shipped as the first base. */
static inline bool begin_with(struct life *life, unsigned pages)
{
    life_set_up(life);
    life->faulty->observer = &observer;
    return fill_database(life, "db.sqlite3", pages) && life_begin(life) &&
           (engine_answered(life->engine), life_settle(life));
}

/* The store is away from here on. */
static inline void lose_store(struct life *life)
{
    store_fault_add(life->faulty,
                    &(struct store_fault){.operation = "put", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    store_fault_add(life->faulty, &(struct store_fault){
                                      .operation = "create", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
}

static inline void crash(struct life *life)
{
    life_cut_off(life);
    store_fault_clear(life->faulty);
}

/* Dies with so many commits that were never shipped. */
static inline bool crash_with(struct life *life, uint64_t commits)
{
    bool committed;

    lose_store(life);
    committed = life_commit(life, commits);
    crash(life);
    return committed;
}

/* Waits until the state file is written another time. */
static inline bool remembers(const struct life *life, struct stat before)
{
    uint64_t limit_ms = clock_monotonic_ms() + LIFE_LIMIT_MS;
    struct stat now;

    do {
        now = scratch_stat(life->disk.fd, ".holdfast/state");
        if (now.st_ino != before.st_ino || now.st_mtim.tv_nsec != before.st_mtim.tv_nsec)
            return true;
    } while (clock_pause(1, NULL) && clock_monotonic_ms() < limit_ms);
    return false;
}

/* Starts again, and ships what there is: without a new base, and nothing of a base comes back. */
static inline void expect_difference(struct life *life, uint64_t bytes_max)
{
    size_t bases = store_mem_count(life->mem, "base/");
    size_t fetched = store_fault_count(life->faulty, "get", "part/");

    atomic_store(&traffic.sent_bytes, 0);
    REQUIRE(life_begin(life));
    engine_answered(life->engine);
    REQUIRE(life_settle(life));
    EXPECT_INT(store_mem_count(life->mem, "base/"), bases);
    EXPECT_INT(store_fault_count(life->faulty, "get", "part/"), fetched);
    if (!EXPECT(atomic_load(&traffic.sent_bytes) < bytes_max))
        printf("# %llu bytes were sent\n", (unsigned long long)atomic_load(&traffic.sent_bytes));
    EXPECT(!scratch_exists(life->disk.fd, ".holdfast/aside"));
}

static inline void expect_base(struct life *life)
{
    size_t bases = store_mem_count(life->mem, "base/");

    REQUIRE(life_begin(life));
    engine_answered(life->engine);
    REQUIRE(life_settle(life));
    EXPECT_INT(store_mem_count(life->mem, "base/"), bases + 1);
}

struct points {
    uint64_t records[WARM_POINTS_MAX];
    size_t count;
};

static inline bool note_point(void *context, const struct reader_point *point)
{
    struct points *points = context;

    points->records[points->count++] = point->record;
    return points->count < WARM_POINTS_MAX;
}

/* Every state that the store offers can be restored, and is sound. */
static inline void open_all_points(struct store *store)
{
    static struct points points;
    struct reader_result result;
    struct err err = {0};
    int64_t newer = INT64_MAX;

    points.count = 0;
    REQUIRE_OK(reader_verify(store, NULL, NULL, NULL, &result, &err), &err);
    REQUIRE_OK(reader_list(store, note_point, &points, &err), &err);
    EXPECT(points.count > 0);
    for (size_t at = 0; at < points.count; at++) {
        CLEANUP(scratch_closep) struct scratch copy;
        int64_t value;
        scratch_open(&copy);
        REQUIRE_OK(reader_restore(store, copy.path, points.records[at], NULL, NULL, &result, &err), &err);
        value = life_value(copy.path);
        EXPECT(value >= 0 && value <= newer);
        newer = value;
    }
}

/* The bytes of a database that nobody has open, with its log. */
static inline void read_database(const struct scratch *disk, const char *name, struct buf *bytes)
{
    CLEANUP(scratch_closep) struct scratch copy;
    CLEANUP(freep) char *log = xasprintf("%s-wal", name), *path = NULL;
    struct err err = {0};

    scratch_open(&copy);
    path = xasprintf("%s/%s", copy.path, name);
    for (int at = 0; at < 2; at++) {
        CLEANUP(buf_clearp) struct buf content = BUF_INIT(1 << 28);
        const char *file = at == 0 ? name : log;
        if (at == 0 || scratch_exists(disk->fd, file)) {
            REQUIRE_OK(fs_read_file(disk->fd, file, &content, &err), &err);
            scratch_write_bytes(copy.fd, file, content.bytes, content.size);
        }
    }
    EXPECT(sample_value(path) >= 0); /* its last connection brings the log into the file */
    REQUIRE_OK(fs_read_file(copy.fd, name, bytes, &err), &err);
}

/* The store holds exactly what the disk does. */
static inline void expect_copy(struct store *store, const struct scratch *disk, const char *name)
{
    CLEANUP(scratch_closep) struct scratch copy;
    CLEANUP(buf_clearp) struct buf here = BUF_INIT(1 << 28), there = BUF_INIT(1 << 28);
    struct reader_result result;
    struct err err = {0};

    scratch_open(&copy);
    REQUIRE_OK(reader_restore(store, copy.path, READER_LATEST, NULL, NULL, &result, &err), &err);
    read_database(disk, name, &here);
    read_database(&copy, name, &there);
    EXPECT(here.size == there.size && memcmp(here.bytes, there.bytes, here.size) == 0);
}

/* Ends it well; every state that the store offers then is sound, and the newest one that of the disk. */
static inline void expect_same(struct life *life, const char *name)
{
    EXPECT_INT(life_end(life), ENGINE_DONE);
    expect_copy(life->mem, &life->disk, name);
    open_all_points(life->mem);
}

#endif
