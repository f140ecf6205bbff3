/* Databases are born, written to, killed in the middle of a commit and deleted, several at once and without a
 * pause, while bases and records are cut by a slow store, and an engine is cut off now and then. Afterwards
 * every point that the store offers is restored, not the last alone: in each, each database is a state that
 * it once had; and the newest of them lacks nothing.
 *
 * A later record mends what an earlier one has wrong, so only this finds a base that was torn. TEST_LIVES
 * says how many lives there are, TEST_SEED where they begin. */
#include "snapshot/reader.h"
#include "snapshot/scan.h"
#include "tests/double/lives.h"
#include "tests/unit/databases_life.h"

#include <errno.h>
#include <poll.h>

enum { OTHERS = 4, STEPS = 25, LIVES = 3, PLAIN = 3 };

static const char *const suffixes[] = {"-journal", "-wal", "-shm"};
static const char no_database[] = "no database";

struct story {
    struct life life;
    struct writer writers[OTHERS];
    bool writes[OTHERS];
    bool killed[OTHERS]; /* the last writer that had it open was */
    bool is_plain;       /* 3.db, in whichever folder */
    unsigned random;
};

static unsigned draw(struct story *story, unsigned below)
{
    return (unsigned)rand_r(&story->random) % below;
}

static const char *name_of(unsigned other)
{
    static const char *const names[OTHERS] = {"0.db", "1.db", "tenants/2.db", "tenants/3.db"};

    return names[other];
}

static void make_folder(struct story *story)
{
    if (mkdirat(story->life.disk.fd, "tenants", 0755) != 0)
        EXPECT_INT(errno, EEXIST);
}

static void launch(struct story *story, unsigned other)
{
    static const char large[] =
        "CREATE TABLE IF NOT EXISTS large AS WITH RECURSIVE c(n) AS "
        "(SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<200) SELECT n,zeroblob(900) FROM c";
    static const char *const sql[] = {"", "PRAGMA journal_mode=WAL", "PRAGMA journal_mode=PERSIST",
                                      "PRAGMA page_size=1024", large};
    struct writer_plan plan = writer_plan_for(path_of(&story->life, name_of(other)), draw(story, 2) * 200);

    plan.bytes = 100 + draw(story, 3000);
    plan.commits_max = draw(story, 2) * (1 + draw(story, 20));
    (void)snprintf(plan.sql, sizeof(plan.sql), "%s", sql[draw(story, 5)]);
    plan.idle = draw(story, 8) == 0; /* in the middle of a transaction, of which some is on the disk */
    if (plan.idle)
        (void)snprintf(plan.sql, sizeof(plan.sql), "PRAGMA cache_size=1;BEGIN;%s", large);
    story->writes[other] = writer_launch(&story->writers[other], &plan);
    REQUIRE(story->writes[other]);
}

/* One that is killed leaves a journal or a log behind. */
static void end_writer(struct story *story, unsigned other)
{
    if (!story->writes[other])
        return;
    story->writes[other] = false;
    if (atomic_load(&story->writers[other].stats->is_open)) /* and has found what the last one left */
        story->killed[other] = false;
    if (draw(story, 2)) {
        writer_kill(&story->writers[other]);
        story->killed[other] = true;
    } else {
        (void)writer_stop(&story->writers[other]);
    }
}

static void forget_sides(struct story *story, unsigned other)
{
    for (size_t at = 0; at < 3; at++) {
        CLEANUP(freep) char *side = xasprintf("%s%s", name_of(other), suffixes[at]);
        (void)unlinkat(story->life.disk.fd, side, 0);
    }
}

/* The file goes first: without its journal it could be of the middle of a commit. */
static void delete_one(struct story *story, unsigned other)
{
    end_writer(story, other);
    (void)unlinkat(story->life.disk.fd, name_of(other), 0);
    forget_sides(story, other);
}

/* A file that is none takes the name. Never in place: whoever has the database open may be writing to it. */
static void overwrite(struct story *story, unsigned other, const char *text)
{
    delete_one(story, other);
    scratch_write(story->life.disk.fd, name_of(other), text);
}

/* A complete one takes the name. */
static void replace_one(struct story *story, unsigned other)
{
    const char *outside = sample_path("outside");

    REQUIRE(writer_make(outside, 1 + draw(story, 9), NULL));
    delete_one(story, other);
    EXPECT_INT(rename(outside, path_of(&story->life, name_of(other))), 0);
}

/* There and back, with all that is in it. */
static void move_folder(struct story *story)
{
    int fd = story->life.disk.fd;

    end_writer(story, 2);
    end_writer(story, 3);
    if (renameat(fd, "moved", fd, "tenants") != 0)
        (void)renameat(fd, "tenants", fd, "moved");
}

static void begin_engine(struct life *life)
{
    REQUIRE(life_begin(life));
    engine_answered(life->engine);
}

/* The machine stops, or the container does, and starts with the disk or without. */
static void start_again(struct story *story)
{
    life_cut_off(&story->life);
    for (unsigned other = 0; other < OTHERS; other++)
        end_writer(story, other);
    if (draw(story, 2))
        life_wipe(&story->life);
    begin_engine(&story->life);
}

static void change_one(struct story *story)
{
    unsigned other = draw(story, OTHERS);
    struct err ignored = {0}; /* there may be none to ask just then */
    uint64_t request = 0;

    switch (draw(story, 16)) {
    case 0:
    case 1:
        delete_one(story, other);
        return;
    case 2:
    case 3:
        end_writer(story, other);
        return;
    case 4:
        (void)!engine_ask_base(story->life.engine, &request, &ignored);
        return;
    case 5:
        start_again(story);
        return;
    case 6:
    case 7:
        make_folder(story);
        replace_one(story, other);
        return;
    case 8:
        move_folder(story);
        return;
    case 9:
        make_folder(story);
        overwrite(story, other, draw(story, 2) ? "" : no_database);
        return;
    default:
        make_folder(story);
        if (!story->writes[other])
            launch(story, other);
    }
}

static void begin_story(struct story *story, unsigned seed)
{
    struct life *life = &story->life;

    *story = (struct story){.random = seed};
    life_set_up(life);
    life->config.snapshot_interval_ms = 100;
    life->config.sync_interval_ms = 10;
    story->is_plain = draw(story, 2);
    if (story->is_plain)
        life->config.databases = "db.sqlite3:[0-2].db";
    EXPECT_INT(mkdirat(life->disk.fd, "tenants", 0755), 0);
    store_fault_add(life->faulty,
                    &(struct store_fault){.operation = "put", .kind = FAULT_DELAY, .delay_ms = 8});
    if (draw(story, 2)) /* else nothing is there when the first base is cut */
        REQUIRE(life_commit(life, 40));
    begin_engine(life);
}

/* The tables are made by four commits, and the first row after that. */
static bool is_state(const char *path)
{
    struct sample_state state = sample_read(path);

    return state.is_sound && state.a == state.b &&
           (state.a == state.rows || (state.a < 0 && state.rows <= 0));
}

static bool is_text(const struct scratch *copy, const char *name)
{
    CLEANUP(freep) char *text = scratch_read(copy->fd, name);

    return text && strcmp(text, no_database) == 0;
}

static bool is_alone(const struct scratch *copy, const char *name)
{
    bool alone = true;

    for (size_t at = 0; at < 3; at++) {
        CLEANUP(freep) char *side = xasprintf("%s%s", name, suffixes[at]);
        alone = alone && !scratch_exists(copy->fd, side);
    }
    return alone;
}

static bool is_right(const struct story *story, const struct scratch *copy, const char *name)
{
    CLEANUP(freep) char *path = xasprintf("%s/%s", copy->path, name);
    bool is_plain = story->is_plain && strcmp(strrchr(name, '/') + 1, "3.db") == 0;

    if (!sample_exists(path) || is_text(copy, name))
        return true;
    if (is_plain)
        return is_alone(copy, name) || !scan_begins_like_database(copy->fd, name);
    if (is_state(path))
        return true;
    (void)sample_value(path);
    return false;
}

static void expect_states(const struct story *story, uint64_t record)
{
    static const char *const names[] = {"./db.sqlite3", "./0.db",     "./1.db",    "tenants/2.db",
                                        "tenants/3.db", "moved/2.db", "moved/3.db"};
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result;
    struct err err = {0};

    scratch_open(&copy);
    REQUIRE_OK(reader_restore(story->life.mem, copy.path, record, NULL, NULL, &result, &err), &err);
    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++)
        if (!EXPECT(is_right(story, &copy, names[at])))
            printf("# %s of record %llu\n", names[at], (unsigned long long)record);
}

static struct sample_state state_in(const char *directory, const char *name)
{
    CLEANUP(freep) char *path = xasprintf("%s/%s", directory, name);
    struct sample_state empty = {.is_sound = true, .a = -1, .b = -1, .rows = -1};

    return sample_exists(path) ? sample_read(path) : empty; /* SQLite knows no difference */
}

/* What ended well has shipped everything. The frames of a commit may be in the log of a writer that was
 * killed before it published them, and was told nothing: it is found by whoever opens the database next. */
static void expect_all_there(const struct story *story)
{
    const struct life *life = &story->life;
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result;
    struct err err = {0};

    scratch_open(&copy);
    REQUIRE_OK(reader_restore(life->mem, copy.path, READER_LATEST, NULL, NULL, &result, &err), &err);
    for (unsigned other = 0; other < OTHERS; other++) {
        if (story->is_plain && other == PLAIN)
            continue; /* its file alone is there */
        struct sample_state wanted = state_in(life->disk.path, name_of(other));
        struct sample_state found = state_in(copy.path, name_of(other));
        int64_t missing = wanted.rows - found.rows;
        if (!EXPECT(found.is_sound == wanted.is_sound && missing >= 0 && missing <= story->killed[other]))
            printf("# %s: rows %lld, not %lld\n", name_of(other), (long long)found.rows,
                   (long long)wanted.rows);
    }
}

static void end_story(struct story *story)
{
    static struct life_points points;
    struct life *life = &story->life;
    struct err err = {0};

    for (unsigned other = 0; other < OTHERS; other++)
        end_writer(story, other);
    if (story->is_plain) /* or the end would name what is beside it */
        for (size_t at = 0; at < 2; at++)
            (void)unlinkat(life->disk.fd, at ? "tenants/3.db" : "moved/3.db", 0);
    EXPECT_INT(life_end(life), ENGINE_DONE);
    expect_all_there(story);
    REQUIRE_OK(life_list_points(life->mem, &points, &err), &err);
    for (size_t at = 0; at < points.count; at++)
        expect_states(story, points.records[at]);
    printf("# %zu points\n", points.count);
    life_tear_down(life);
}

static void live_through(unsigned seed)
{
    static struct story story;

    begin_story(&story, seed);
    for (unsigned step = 0; step < STEPS; step++) {
        change_one(&story);
        (void)poll(NULL, 0, (int)draw(&story, 30)); /* the application's own pace */
    }
    end_story(&story);
}

TEST(at_every_point_each_database_is_a_state_that_it_once_had)
{
    lives_draw(LIVES, live_through);
}

TAP_MAIN()
