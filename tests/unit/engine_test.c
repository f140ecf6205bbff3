/* The engine over a store in memory and a real directory with real databases: lives that follow each other.
 */
#include "snapshot/engine.h"

#include "base/clock.h"
#include "base/fs.h"
#include "tests/double/sample.h"
#include "tests/double/scratch.h"
#include "tests/double/store_fault.h"
#include "tests/double/store_mem.h"
#include "tests/double/writer.h"
#include "tests/tap.h"

#include "base/thread.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { LIMIT_MS = 20000 };

struct life {
    struct store *mem;
    struct store *faulty;
    struct scratch disk;
    struct engine_config config;
    struct engine *engine;
    atomic_bool canceled;
};

static void set_up(struct life *life)
{
    *life = (struct life){.mem = store_mem_new()};
    life->faulty = store_fault_new(life->mem);
    scratch_open(&life->disk);
    life->config = (struct engine_config){
        .store = life->faulty,
        .data_directory = life->disk.path,
        .exclude = "tmp",
        .databases = "*",
        .version = "test",
        .sync_interval_ms = 50,
        .retention_ms = 60000,
        .start_timeout_ms = 2000,
        .takeover_wait_ms = 300,
    };
}

static void tear_down(struct life *life)
{
    engine_free(life->engine);
    scratch_close(&life->disk);
    store_free(life->faulty);
    store_free(life->mem);
}

/* Waits for what `wanted` says of a status; false after the limit. */
static bool await(struct life *life, bool (*wanted)(const struct engine_status *status),
                  struct engine_status *status)
{
    uint64_t limit_ms = clock_monotonic_ms() + LIMIT_MS;

    do {
        engine_status(life->engine, status);
        if (wanted(status))
            return true;
        (void)event_wait(engine_event_fd(life->engine), 20);
    } while (clock_monotonic_ms() < limit_ms);
    printf("# phase %d, step %s, position %d of %d, error %s\n", (int)status->phase, status->step,
           (int)status->durable_position, (int)status->position, status->err.text);
    return false;
}

static bool is_ready(const struct engine_status *status)
{
    return status->phase != ENGINE_STARTING;
}

static bool is_durable(const struct engine_status *status)
{
    return status->phase == ENGINE_SERVING && status->published && !status->has_changes && !status->degraded;
}

static bool is_over(const struct engine_status *status)
{
    return status->phase >= ENGINE_DONE;
}

static bool begin(struct life *life)
{
    struct engine_status status;
    struct err err = {0};

    if (!engine_open(&life->config, &life->canceled, &life->engine, &err)) {
        printf("# %s\n", err.text);
        return false;
    }
    return await(life, is_ready, &status) &&
           (status.phase == ENGINE_RESTORED || (printf("# %s\n", status.err.text), false));
}

static bool settle(struct life *life)
{
    struct engine_status status;

    return await(life, is_durable, &status);
}

static enum engine_phase end(struct life *life)
{
    struct engine_status status = {0};

    engine_flush(life->engine, 5000);
    (void)await(life, is_over, &status);
    if (status.phase != ENGINE_DONE)
        printf("# ended with %s\n", status.err.text);
    engine_free(life->engine);
    life->engine = NULL;
    return status.phase;
}

static void wipe(struct life *life)
{
    struct err err = {0};
    char name[64];

    (void)snprintf(name, sizeof(name), "%s", life->disk.path);
    EXPECT_OK(fs_remove_tree(AT_FDCWD, name, &err), &err);
    (void)close(life->disk.fd);
    EXPECT_INT(mkdir(name, 0755), 0);
    life->disk.fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void write_plan(struct life *life, struct writer_plan *plan, uint64_t commits)
{
    *plan = (struct writer_plan){.commits_max = commits, .rate = 200, .bytes = 2000};
    (void)snprintf(plan->paths[0], sizeof(plan->paths[0]), "%s/db.sqlite3", life->disk.path);
}

static int64_t value_on_disk(struct life *life)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/db.sqlite3", life->disk.path);
    return sample_value(path);
}

TEST(what_was_shipped_is_back_after_the_disk_is_gone)
{
    struct life life;
    struct writer writer = {0};
    struct writer_plan plan;
    char *text;

    set_up(&life);
    REQUIRE(begin(&life));
    write_plan(&life, &plan, 0);
    REQUIRE(writer_start(&writer, &plan));
    scratch_write(life.disk.fd, "storage/small", "small content");
    scratch_mkdir(life.disk.fd, "storage/empty");
    scratch_symlink(life.disk.fd, "small", "storage/link");
    engine_answered(life.engine);
    REQUIRE(writer_wait(&writer, 20));
    EXPECT(writer_stop(&writer));
    REQUIRE(settle(&life));
    EXPECT_INT(end(&life), ENGINE_DONE);
    int64_t before = (int64_t)writer.stats->commits;
    wipe(&life);
    REQUIRE(begin(&life));
    EXPECT_INT(value_on_disk(&life), before);
    text = scratch_read(life.disk.fd, "storage/small");
    EXPECT(text && strcmp(text, "small content") == 0);
    free(text);
    EXPECT(S_ISDIR(scratch_stat(life.disk.fd, "storage/empty").st_mode));
    EXPECT(S_ISLNK(scratch_stat(life.disk.fd, "storage/link").st_mode));
    EXPECT_INT(end(&life), ENGINE_DONE);
    tear_down(&life);
}

TEST(a_large_file_travels_in_pieces_that_are_uploaded_once)
{
    struct life life;
    enum { SIZE = 20 << 20 };
    uint8_t *bytes = malloc(SIZE);
    struct stat status;
    size_t blobs;
    char *back;

    set_up(&life);
    for (size_t at = 0; at < SIZE; at++)
        bytes[at] = (uint8_t)((at * 2654435761U >> 13) + (at >> 23));
    REQUIRE(begin(&life));
    scratch_write_bytes(life.disk.fd, "big", bytes, SIZE);
    engine_answered(life.engine);
    REQUIRE(settle(&life));
    blobs = store_mem_count(life.mem, "blob/");
    EXPECT_INT(blobs, 3);
    scratch_write(life.disk.fd, "other", "x");
    REQUIRE(settle(&life));
    EXPECT_INT(end(&life), ENGINE_DONE);
    EXPECT_INT(store_mem_count(life.mem, "blob/"), 3);
    wipe(&life);
    REQUIRE(begin(&life));
    status = scratch_stat(life.disk.fd, "big");
    EXPECT_INT(status.st_size, SIZE);
    back = scratch_read(life.disk.fd, "big");
    EXPECT(back && memcmp(back, bytes, SIZE) == 0);
    free(back);
    EXPECT_INT(end(&life), ENGINE_DONE);
    free(bytes);
    tear_down(&life);
}

TEST(nothing_is_published_before_the_backend_has_answered)
{
    struct life life;

    set_up(&life);
    REQUIRE(begin(&life));
    scratch_write(life.disk.fd, "half", "initialised");
    EXPECT_INT(end(&life), ENGINE_DONE);
    EXPECT_INT(store_mem_count(life.mem, "base/"), 0);
    EXPECT_INT(store_mem_count(life.mem, "log/"), 2); /* open and close */
    /* The next start finds an unfinished first boot: it goes aside. */
    REQUIRE(begin(&life));
    EXPECT(!scratch_exists(life.disk.fd, "half"));
    EXPECT_INT(end(&life), ENGINE_DONE);
    tear_down(&life);
}

TEST(a_warm_disk_that_is_as_shipped_ships_nothing)
{
    struct life life;
    struct writer writer = {0};
    struct writer_plan plan;
    size_t bases;

    set_up(&life);
    REQUIRE(begin(&life));
    write_plan(&life, &plan, 20);
    REQUIRE(writer_start(&writer, &plan));
    engine_answered(life.engine);
    REQUIRE(writer_wait(&writer, 10));
    EXPECT(writer_stop(&writer));
    EXPECT_INT(end(&life), ENGINE_DONE);
    bases = store_mem_count(life.mem, "base/");
    REQUIRE(begin(&life));
    engine_answered(life.engine);
    REQUIRE(settle(&life));
    EXPECT_INT(end(&life), ENGINE_DONE);
    EXPECT_INT(store_mem_count(life.mem, "base/"), bases);
    tear_down(&life);
}

TEST(a_second_owner_fences_the_first)
{
    struct life first, second;
    struct engine_status status;

    set_up(&first);
    set_up(&second);
    second.config.store = first.faulty;
    REQUIRE(begin(&first));
    scratch_write(first.disk.fd, "a", "1");
    engine_answered(first.engine);
    REQUIRE(settle(&first));
    REQUIRE(begin(&second));
    EXPECT(scratch_exists(second.disk.fd, "a"));
    scratch_write(first.disk.fd, "b", "too late");
    REQUIRE(await(&first, is_over, &status));
    EXPECT_INT(status.phase, ENGINE_FENCED);
    EXPECT_INT(status.err.code, ERR_FENCED);
    EXPECT_INT(end(&second), ENGINE_DONE);
    tear_down(&second);
    tear_down(&first);
}

TEST(a_store_that_is_away_degrades_and_nothing_is_lost)
{
    struct life life;
    struct engine_status status;

    set_up(&life);
    life.config.start_timeout_ms = 300;
    REQUIRE(begin(&life));
    engine_answered(life.engine);
    scratch_write(life.disk.fd, "a", "1");
    REQUIRE(settle(&life));
    store_fault_add(life.faulty, &(struct store_fault){.kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    scratch_write(life.disk.fd, "b", "2");
    for (int tries = 0; tries < 1000; tries++) {
        engine_status(life.engine, &status);
        if (status.degraded)
            break;
        (void)event_wait(engine_event_fd(life.engine), 20);
    }
    EXPECT(status.degraded);
    EXPECT(status.has_changes);
    store_fault_clear(life.faulty);
    REQUIRE(settle(&life));
    engine_status(life.engine, &status);
    EXPECT(!status.degraded);
    EXPECT_INT(end(&life), ENGINE_DONE);
    wipe(&life);
    REQUIRE(begin(&life));
    EXPECT(scratch_exists(life.disk.fd, "b"));
    EXPECT_INT(end(&life), ENGINE_DONE);
    tear_down(&life);
}

TEST(a_flush_that_fails_says_so)
{
    struct life life;
    struct engine_status status;

    set_up(&life);
    life.config.start_timeout_ms = 200;
    REQUIRE(begin(&life));
    engine_answered(life.engine);
    scratch_write(life.disk.fd, "a", "1");
    REQUIRE(settle(&life));
    store_fault_add(life.faulty, &(struct store_fault){.kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    scratch_write(life.disk.fd, "b", "2");
    engine_flush(life.engine, 1000);
    REQUIRE(await(&life, is_over, &status));
    EXPECT_INT(status.phase, ENGINE_FAILED);
    EXPECT_INT(status.err.code, ERR_TRANSIENT);
    tear_down(&life);
}

TAP_MAIN()
