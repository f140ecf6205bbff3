/* An engine in a process of its own is killed at any instant, also while it starts, and its disk is kept: no
 * base is ever cut again, and whatever the store offers is sound.
 *
 * TEST_KILLS=n sets the number of kills, TEST_SEED=n the order of things. */
#include "tests/unit/warm_life.h"

#include "tests/double/engine_process.h"

#include <dirent.h>
#include <poll.h>

enum { PAGES = 200 };

struct world {
    struct scratch disk;
    struct scratch store_directory;
    struct engine_process engine;
    struct writer writer;
    uint64_t random;
};

static uint64_t draw(struct world *world, uint64_t below)
{
    world->random = world->random * 6364136223846793005U + 1442695040888963407U;
    return (world->random >> 33) % below;
}

static void pause_ms(uint64_t span_ms)
{
    (void)poll(NULL, 0, (int)span_ms);
}

static struct writer_plan plan_for(const struct world *world, uint64_t rate)
{
    struct writer_plan plan = {.rate = rate, .bytes = 400};

    (void)snprintf(plan.paths[0], sizeof(plan.paths[0]), "%s/db.sqlite3", world->disk.path);
    return plan;
}

static void set_up(struct world *world)
{
    struct writer_plan plan;

    *world = (struct world){.random = getenv("TEST_SEED") ? strtoull(getenv("TEST_SEED"), NULL, 10) : 1};
    scratch_open(&world->disk);
    scratch_open(&world->store_directory);
    engine_process_init(&world->engine, &world->writer, world->disk.path, world->store_directory.path);
    world->engine.config.sync_interval_ms = 10;
    world->engine.config.retention_ms = 60000;
    plan = plan_for(world, 0);
    plan.commits_max = 1;
    (void)snprintf(
        plan.then, sizeof(plan.then),
        "CREATE TABLE filler(v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT "
        "%d) INSERT INTO filler SELECT randomblob(3800) FROM n",
        PAGES);
    REQUIRE(writer_start(&world->writer, &plan));
    REQUIRE(writer_finish(&world->writer));
}

static size_t count_bases(const struct world *world)
{
    CLEANUP(freep) char *path = xasprintf("%s/base", world->store_directory.path);
    DIR *folder = opendir(path);
    size_t count = 0;

    for (struct dirent *entry; folder && (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    if (folder)
        (void)closedir(folder);
    return count;
}

static bool await_bases(const struct world *world)
{
    for (int waited_ms = 0; count_bases(world) == 0 && waited_ms < LIFE_LIMIT_MS; waited_ms++)
        pause_ms(1);
    return count_bases(world) == 1;
}

/* The first base, and as much as is shipped until nothing is left. */
static void begin(struct world *world)
{
    engine_process_start(&world->engine);
    REQUIRE(engine_process_await(&world->engine, ENGINE_RESTORED));
    atomic_store(&world->engine.board->order, ORDER_ANSWERED);
    EXPECT(engine_process_await(&world->engine, ENGINE_SERVING) && await_bases(world));
    atomic_store(&world->engine.board->order, ORDER_FLUSH);
    EXPECT(engine_process_await(&world->engine, ENGINE_DONE));
    engine_process_wait(&world->engine);
}

static void live_once(struct world *world)
{
    static const uint64_t rates[] = {50, 300, 0};
    struct writer_plan plan = plan_for(world, rates[draw(world, 3)]);

    engine_process_start(&world->engine);
    if (draw(world, 4) == 0) {
        pause_ms(draw(world, 25));
        engine_process_kill(&world->engine);
        return;
    }
    if (!EXPECT(engine_process_await(&world->engine, ENGINE_RESTORED)) ||
        !EXPECT(writer_start(&world->writer, &plan)))
        return;
    if (draw(world, 4) > 0) /* else it never gets so far */
        atomic_store(&world->engine.board->order, ORDER_ANSWERED);
    pause_ms(draw(world, 90));
    engine_process_kill(&world->engine);
    if (draw(world, 3) == 0)
        pause_ms(draw(world, 20)); /* the application goes on alone */
    writer_kill(&world->writer);
}

TEST(no_death_on_a_kept_disk_costs_a_base)
{
    struct world world;
    size_t kills = getenv("TEST_KILLS") ? strtoul(getenv("TEST_KILLS"), NULL, 10) : 12, kill = 0;
    struct store *store;

    tap_allow_ms((int)(kills * 5000 + 60000));
    set_up(&world);
    begin(&world);
    for (; kill < kills && tap_failures == 0; kill++) {
        live_once(&world);
        EXPECT_INT(count_bases(&world), 1);
    }
    begin(&world);
    store = engine_process_store(&world.engine);
    open_all_points(store);
    expect_copy(store, &world.disk, "db.sqlite3");
    store_free(store);
    scratch_close(&world.disk);
    scratch_close(&world.store_directory);
}

TAP_MAIN()
