/* Owners that fight over one store: they start on empty and on kept disks while others serve, are held up for
 * a while, lose answers, are cut off, and never know of each other but by the log.
 *
 * Each commit has a random tag, so two states are of one history if the tags of the one begin with those of
 * the other. What any owner ever called durable begins everything that is restored afterwards, and all points
 * of the store are of one history. TEST_LIVES says how many lives there are, TEST_SEED where they begin. */
#include "tests/double/life_story.h"
#include "tests/double/lives.h"
#include "tests/double/sample.h"
#include "tests/tap.h"

#include <poll.h>

enum { OWNERS = 3, STEPS = 40, LIVES = 1 };

struct world {
    struct store *mem;
    struct life owners[OWNERS];
    bool runs[OWNERS];
    char *promised; /* the tags of what was called durable last */
    unsigned random;
};

static unsigned draw(struct world *world, unsigned below)
{
    return (unsigned)rand_r(&world->random) % below;
}

static bool begins(const char *tags, const char *whole)
{
    return strncmp(tags, whole, strlen(tags)) == 0;
}

static char *tags_in(const char *directory)
{
    CLEANUP(freep) char *path = xasprintf("%s/db.sqlite3", directory);

    return sample_exists(path) ? sample_tags(path) : xstrdup("");
}

static char *tags_of_record(const struct world *world, uint64_t record)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result;
    struct err err = {0};

    scratch_open(&copy);
    if (!EXPECT(reader_restore(world->mem, copy.path, record, NULL, NULL, &result, &err)))
        printf("# %s\n", err.text);
    return tags_in(copy.path);
}

static void expect_begins(const char *tags, const char *whole, const char *what)
{
    if (!EXPECT(begins(tags, whole)))
        printf("# %s: %zu commits are no beginning of %zu\n", what, strlen(tags) / 16, strlen(whole) / 16);
}

/* The owner has just called all that its disk holds durable. It may be none any more, and not know that yet.
 */
static void promise(struct world *world, unsigned at)
{
    CLEANUP(freep) char *restored = tags_of_record(world, READER_LATEST);
    CLEANUP(freep) char *tags = tags_in(world->owners[at].disk.path);

    expect_begins(tags, restored, "what is durable");
    expect_begins(world->promised, restored, "what was durable before it");
    if (strlen(tags) > strlen(world->promised)) {
        free(world->promised);
        world->promised = MOVE(tags);
    }
}

static void leave(struct world *world, unsigned at)
{
    life_cut_off(&world->owners[at]);
    world->runs[at] = false;
}

static void start(struct world *world, unsigned at)
{
    struct life *life = &world->owners[at];
    CLEANUP(freep) char *found = NULL;

    store_fault_clear(life->faulty);
    if (draw(world, 2))
        life_wipe(life);
    world->runs[at] = true;
    if (!life_try_begin(life)) {
        leave(world, at);
        return;
    }
    found = tags_in(life->disk.path);
    expect_begins(world->promised, found, "what was durable at a start");
    engine_answered(life->engine);
    if (!*found) /* nothing is no state that anybody would ship */
        EXPECT(life_commit(life, 1));
}

static bool is_durable_or_over(const struct engine_status *status)
{
    return life_is_durable(status) || life_is_over(status);
}

static void settle(struct world *world, unsigned at)
{
    struct life *life = &world->owners[at];

    store_fault_clear(life->faulty);
    if (!EXPECT(life_await(life, is_durable_or_over)) || life_is_over(&life->status))
        leave(world, at);
    else
        promise(world, at);
}

static void end(struct world *world, unsigned at)
{
    struct life *life = &world->owners[at];

    store_fault_clear(life->faulty);
    engine_flush(life->engine, 2000);
    if (EXPECT(life_await(life, life_is_over)) && life->status.phase == ENGINE_DONE)
        promise(world, at);
    leave(world, at);
}

/* From its next request on it is held up, or some request to come breaks off or loses its answer. */
static void disturb(struct world *world, unsigned at)
{
    static const enum fault_kind kinds[] = {FAULT_HOLD, FAULT_BEFORE, FAULT_AFTER};
    enum fault_kind kind = kinds[draw(world, 3)];

    store_fault_clear(world->owners[at].faulty);
    store_fault_add(world->owners[at].faulty,
                    &(struct store_fault){.operation = kind == FAULT_HOLD ? NULL : "create",
                                          .skip = draw(world, 3),
                                          .times = kind != FAULT_HOLD,
                                          .kind = kind,
                                          .code = ERR_TRANSIENT});
}

static void take_step(struct world *world)
{
    unsigned at = draw(world, OWNERS);

    if (!world->runs[at]) {
        start(world, at);
        return;
    }
    switch (draw(world, 8)) {
    case 0:
        leave(world, at);
        return;
    case 1:
        end(world, at);
        return;
    case 2:
        disturb(world, at);
        return;
    case 3:
    case 4:
        settle(world, at);
        return;
    default:
        EXPECT(life_commit(&world->owners[at], 1 + draw(world, 4)));
        (void)poll(NULL, 0, (int)draw(world, 60)); /* some of it is shipped, or none */
    }
}

static void set_up(struct world *world, unsigned seed)
{
    *world = (struct world){.mem = store_mem_new(), .promised = xstrdup(""), .random = seed};
    for (unsigned at = 0; at < OWNERS; at++) {
        struct life *life = &world->owners[at];
        life_set_up(life);
        store_free(life->faulty);
        life->faulty = store_fault_new(world->mem);
        life->config.store = life->faulty;
        life->config.takeover_wait_ms = 100;
        life->config.sync_interval_ms = 10;
        life->config.retention_ms = draw(world, 2) ? 60000 : 300;
        if (at < 2) /* their bases come between the records of the others */
            life->config.snapshot_interval_ms = 100;
    }
}

static void tear_down(struct world *world)
{
    for (unsigned at = 0; at < OWNERS; at++)
        life_tear_down(&world->owners[at]);
    store_free(world->mem);
    free(world->promised);
}

static void expect_one_history(const struct world *world)
{
    static struct life_points points;
    CLEANUP(freep) char *latest = tags_of_record(world, READER_LATEST);
    struct err err = {0};

    expect_begins(world->promised, latest, "what was durable in the end");
    REQUIRE_OK(life_list_points(world->mem, &points, &err), &err);
    for (size_t at = 0; at < points.count; at++) {
        CLEANUP(freep) char *tags = tags_of_record(world, points.records[at]);
        expect_begins(tags, latest, "a point");
    }
    printf("# %zu points, %zu commits\n", points.count, strlen(latest) / 16);
}

static void live_through(unsigned seed)
{
    static struct world world;

    set_up(&world, seed);
    for (unsigned step = 0; step < STEPS && tap_failures == 0; step++)
        take_step(&world);
    for (unsigned at = 0; at < OWNERS; at++)
        leave(&world, at);
    if (*world.promised)
        expect_one_history(&world);
    tear_down(&world);
}

TEST(whoever_owns_the_log_nothing_durable_is_lost_and_there_is_one_history)
{
    lives_draw(LIVES, live_through);
}

TAP_MAIN()
