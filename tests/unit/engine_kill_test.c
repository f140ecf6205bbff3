/* An engine in a process of its own, over a store in a directory, is killed at any instant, often together
 * with the application; the disk is wiped or kept, and the next one starts.
 *
 * The oracle is kept outside: what the application had acknowledged before a position was taken that later
 * was durable. After each death every point that the store offers is restored into a scratch directory and
 * opened, not only the newest: a state that is wrong may be mended by the next one, and nobody would see it.
 *
 * TEST_KILLS=n sets the number of kills, TEST_SEED=n the order of things. */
#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/reader.h"
#include "tests/double/engine_process.h"
#include "tests/double/life.h"
#include "tests/double/sample.h"
#include "tests/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* One of the files is a database, which each of its versions replaces. */
enum { FILES = 3, DATABASE_FILE = 2, USER_VERSION_AT = 60, POINTS_MAX = 4096 };

struct world {
    struct scratch disk;
    struct scratch store_directory;
    struct engine_process engine;
    struct writer writer;
    uint64_t random;
    uint64_t opened[POINTS_MAX]; /* records that were restored and judged; the oldest are forgotten */
    size_t opened_count;
    int64_t newest_value; /* of the newest point: later ones and the disk are never behind it */
    int64_t newest_files;
    unsigned wiped, kept, interrupted;
};

static void name_file(int64_t file, char path[static 16])
{
    (void)snprintf(path, 16, "files/%d", (int)file);
}

static uint64_t draw(struct world *world, uint64_t below)
{
    world->random = world->random * 6364136223846793005U + 1442695040888963407U;
    return (world->random >> 33) % below;
}

static void set_up(struct world *world)
{
    *world = (struct world){.random = getenv("TEST_SEED") ? strtoull(getenv("TEST_SEED"), NULL, 10) : 1};
    scratch_open(&world->disk);
    scratch_open(&world->store_directory);
    engine_process_init(&world->engine, &world->writer, world->disk.path, world->store_directory.path);
    /* Once, so that its counts are there to be shared. */
    (void)writer_start(&world->writer, &(struct writer_plan){.idle = true});
    (void)writer_stop(&world->writer);
}

static void pause_ms(uint64_t span_ms)
{
    (void)poll(NULL, 0, (int)span_ms);
}

/* The value of a database that may be in use: of a copy of it and its log. */
static int64_t value_of_disk(struct world *world)
{
    CLEANUP(scratch_closep) struct scratch copy;
    static const char *const names[] = {"db.sqlite3", "db.sqlite3-wal"};

    scratch_open(&copy);
    for (size_t at = 0; at < 2; at++) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(SIZE_MAX / 2);
        struct err err = {0};
        if (fs_read_file(world->disk.fd, names[at], &bytes, &err))
            scratch_write_bytes(copy.fd, names[at], bytes.bytes, bytes.size);
    }
    return life_value(copy.path);
}

/* The version of a small database whose application is gone. */
static int64_t database_version(int directory_fd, const char *path)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(SIZE_MAX / 2);
    uint32_t version;
    struct err err = {0};

    if (!fs_read_file(directory_fd, path, &bytes, &err) || bytes.size < USER_VERSION_AT + sizeof(version))
        return 0;
    memcpy(&version, bytes.bytes + USER_VERSION_AT, sizeof(version));
    return ntohl(version);
}

static int64_t file_version(int directory_fd, int file)
{
    CLEANUP(freep) char *text = NULL;
    char path[16];
    int64_t version;

    name_file(file, path);
    if (file == DATABASE_FILE)
        return database_version(directory_fd, path);
    text = scratch_read(directory_fd, path);
    version = text ? strtoll(text, NULL, 10) : 0;
    /* Whole: small ones repeat their number, large ones have a page of it. */
    if (!text || strstr(text, "end"))
        return version;
    printf("# file %d is torn: %.40s\n", file, text);
    return -1;
}

/* The versions of the files: 1, 2, 3 … went to file 1, 2, 0, 1 … in turn. How many of them are there, if each
 * file has one of its own; -1 otherwise. */
static int64_t files_of(int directory_fd)
{
    int64_t newest = 0;

    for (int file = 0; file < FILES; file++) {
        int64_t version = file_version(directory_fd, file);
        if (version > 0 && version % FILES != file)
            printf("# file %d holds version %lld\n", file, (long long)version);
        if (version < 0 || (version > 0 && version % FILES != file))
            return -1;
        if (version > newest)
            newest = version;
    }
    return newest;
}

/* A careful application closes the old one, and leaves no log of it behind that the new one would get. */
static void replace_database(struct world *world, int64_t version, const char *path)
{
    CLEANUP(freep) char *sql = xasprintf("PRAGMA user_version=%lld", (long long)version);
    CLEANUP(freep) char *log = xasprintf("%s-wal", path);
    CLEANUP(freep) char *index = xasprintf("%s-shm", path);

    if (!writer_make(sample_path("replacement"), 1, sql) ||
        (mkdirat(world->disk.fd, "files", 0755) != 0 && errno != EEXIST))
        abort();
    (void)unlinkat(world->disk.fd, index, 0);
    (void)unlinkat(world->disk.fd, log, 0);
    if (renameat(AT_FDCWD, sample_path("replacement"), world->disk.fd, path) != 0)
        abort();
}

static void write_file(struct world *world)
{
    int64_t version = atomic_load(&world->engine.board->files_written) + 1;
    int size = version % 2 == 0 ? 50000 : 20;
    CLEANUP(freep) char *text = xasprintf("%-*lldend", size, (long long)version);
    char path[16];

    name_file(version % FILES, path);
    if (version % FILES == DATABASE_FILE) {
        replace_database(world, version, path);
    } else {
        /* As a careful application would: whole, under its final name. */
        scratch_write(world->disk.fd, "files/new", text);
        if (renameat(world->disk.fd, "files/new", world->disk.fd, path) != 0)
            abort();
    }
    atomic_store(&world->engine.board->files_written, version);
}

static bool judge(const char *what, int64_t value, int64_t files, int64_t wanted_value, int64_t wanted_files)
{
    if (value >= wanted_value && files >= wanted_files)
        return true;
    printf("# %s: value %lld and files %lld, not %lld and %lld\n", what, (long long)value, (long long)files,
           (long long)wanted_value, (long long)wanted_files);
    return false;
}

static bool was_opened(const struct world *world, uint64_t record)
{
    for (size_t at = 0; at < world->opened_count; at++)
        if (world->opened[at] == record)
            return true;
    return false;
}

struct points {
    const struct world *world;
    uint64_t records[POINTS_MAX];
    size_t count;
};

static bool note_point(void *context, const struct reader_point *point)
{
    struct points *points = context;

    if (!was_opened(points->world, point->record))
        points->records[points->count++] = point->record;
    return points->count < POINTS_MAX;
}

/* The small database, in a copy that nobody else uses. */
static bool is_sound(const struct scratch *copy)
{
    CLEANUP(freep) char *path = xasprintf("%s/files/%d", copy->path, DATABASE_FILE);

    return access(path, F_OK) != 0 || sample_value(path) == 1;
}

static void open_point(struct world *world, struct store *store, uint64_t record)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result;
    struct err err = {0};
    int64_t value, files;

    scratch_open(&copy);
    if (!EXPECT(reader_restore(store, copy.path, record, NULL, NULL, &result, &err))) {
        printf("#   record %llu: %s\n", (unsigned long long)record, err.text);
        return;
    }
    value = life_value(copy.path);
    files = files_of(copy.fd);
    EXPECT(is_sound(&copy));
    EXPECT(judge("a point", value, files, world->newest_value, world->newest_files));
    world->newest_value = value;
    world->newest_files = files;
    world->opened[world->opened_count++ % POINTS_MAX] = record;
}

/* Restores every point that is new since the last death, oldest first. */
static void open_points(struct world *world)
{
    static struct points points;
    struct store *store = engine_process_store(&world->engine);
    const struct engine_board *board = world->engine.board;
    struct err err = {0};

    points = (struct points){.world = world};
    if (!reader_list(store, note_point, &points, &err) && err.code != ERR_CONFIG)
        EXPECT_OK(false, &err);
    for (size_t at = points.count; at > 0; at--)
        open_point(world, store, points.records[at - 1]);
    EXPECT(judge("the newest point", world->newest_value, world->newest_files,
                 atomic_load(&board->durable_value), atomic_load(&board->durable_files)));
    store_free(store);
}

static void wipe(struct world *world)
{
    struct err err = {0};

    if (!fs_remove_tree(AT_FDCWD, world->disk.path, &err) || mkdir(world->disk.path, 0755) != 0)
        abort();
    (void)close(world->disk.fd);
    world->disk.fd = open(world->disk.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The application writes for a while. */
static void use(struct world *world, uint64_t span_ms)
{
    uint64_t end_ms = clock_monotonic_ms() + span_ms;

    while (clock_monotonic_ms() < end_ms && atomic_load(&world->engine.board->phase) < ENGINE_DONE) {
        if (draw(world, 4) == 0)
            write_file(world);
        pause_ms(1 + draw(world, 8));
    }
}

static bool begin_writer(struct world *world)
{
    static const uint64_t rates[] = {20, 200, 0};
    struct writer_plan plan = {.rate = rates[draw(world, 3)], .bytes = 300};

    (void)snprintf(plan.paths[0], sizeof(plan.paths[0]), "%s/db.sqlite3", world->disk.path);
    return writer_start(&world->writer, &plan);
}

static void end_writer(struct world *world)
{
    if (draw(world, 2) == 0)
        writer_kill(&world->writer);
    else
        EXPECT(writer_stop(&world->writer));
}

/* A stop as it should be, which may be cut short. */
static void stop_engine(struct world *world)
{
    end_writer(world);
    atomic_store(&world->engine.board->order, ORDER_FLUSH);
    if (draw(world, 2) == 0) {
        EXPECT(engine_process_await(&world->engine, ENGINE_DONE));
        engine_process_wait(&world->engine);
        return;
    }
    pause_ms(draw(world, 30));
    engine_process_kill(&world->engine);
}

/* From a start that succeeded to a death of the engine. */
static void serve_and_kill(struct world *world)
{
    struct engine_board *board = world->engine.board;
    int64_t value = value_of_disk(world), files = files_of(world->disk.fd);

    EXPECT(judge("the disk", value, files, world->newest_value, world->newest_files));
    atomic_store(&board->value_before, value);
    atomic_store(&board->files_written, files);
    atomic_store(&world->writer.stats->commits, 0);
    if (!EXPECT(begin_writer(world)))
        return;
    atomic_store(&board->order, ORDER_ANSWERED);
    use(world, 20 + draw(world, 300));
    if (draw(world, 5) == 0) {
        stop_engine(world);
        return;
    }
    engine_process_kill(&world->engine);
    if (draw(world, 3) == 0)
        use(world, draw(world, 60)); /* the application goes on alone */
    end_writer(world);
}

static void live_once(struct world *world)
{
    static const uint64_t retentions_ms[] = {0, 300, 60000};
    /* In half of the lives bases are due all the time, and cut beside the records. */
    static const uint64_t intervals_ms[] = {1, 24 * 3600 * 1000};

    world->engine.config.retention_ms = retentions_ms[draw(world, 3)];
    world->engine.config.snapshot_interval_ms = intervals_ms[draw(world, 2)];
    engine_process_start(&world->engine);
    if (draw(world, 6) == 0) {
        pause_ms(draw(world, 25)); /* killed in the start, in a restore perhaps */
        engine_process_kill(&world->engine);
        world->interrupted++;
    } else if (EXPECT(engine_process_await(&world->engine, ENGINE_RESTORED))) {
        serve_and_kill(world);
    } else {
        engine_process_kill(&world->engine);
    }
    open_points(world);
    if (draw(world, 2) == 0) {
        world->kept++;
        return;
    }
    wipe(world);
    world->wiped++;
}

TEST(what_was_durable_survives_every_death)
{
    struct world world;
    size_t lives = getenv("TEST_KILLS") ? strtoul(getenv("TEST_KILLS"), NULL, 10) : 20, life = 0;

    tap_allow_ms((int)(lives * 10000 + 60000));
    set_up(&world);
    for (; life < lives && tap_failures == 0; life++)
        live_once(&world);
    printf(
        "# %zu lives (%u wiped, %u kept, %u ended while starting), %zu points opened, value %lld, files "
        "%lld\n",
        life, world.wiped, world.kept, world.interrupted, world.opened_count, (long long)world.newest_value,
        (long long)world.newest_files);
    scratch_close(&world.disk);
    scratch_close(&world.store_directory);
}

TAP_MAIN()
