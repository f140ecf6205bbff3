/* Attaching, holding a lock at every instant, noticing commits, keeping the log short, letting go. The
 * application is a process of its own. */
#include "snapshot/database.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/guarded_file.h"
#include "snapshot/sqlite.h"
#include "tests/double/lock_watch.h"
#include "tests/double/scene.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

static atomic_bool never;

enum { GENEROUS_MS = 10000, TEND_MS = 100 };

TEST(only_a_database_in_wal_mode_is_attached_and_no_file_appears)
{
    const char *path = sample_path("db");
    CLEANUP(database_detachp) struct database *database = NULL;
    struct err err = {0};

    EXPECT(!database_attach(path, 0, &never, &database, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    REQUIRE(writer_make(path, 3, NULL));
    EXPECT(!database_attach(path, 0, &never, &database, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
    EXPECT(!sample_exists(sample_path("db-wal")) && !sample_exists(sample_path("db-shm")));
    EXPECT(!database);
}

TEST(an_attached_file_is_known_under_every_name)
{
    const char *path = sample_path("db");
    CLEANUP(database_detachp) struct database *database = NULL, *second = NULL;
    struct stat status, index;
    struct err err = {0};

    REQUIRE(writer_make(path, 3, NULL));
    REQUIRE(stat(path, &status) == 0);
    EXPECT(!database_is_attached(status.st_dev, status.st_ino));
    REQUIRE_OK(scene_attach(path, &database, &err), &err);
    REQUIRE(link(path, sample_path("link")) == 0);
    REQUIRE(stat(sample_path("db-shm"), &index) == 0);
    EXPECT(database_is_attached(status.st_dev, status.st_ino));
    EXPECT(database_is_attached(index.st_dev, index.st_ino));
    EXPECT(!database_attach(sample_path("link"), 0, &never, &second, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
    database_detach(MOVE(database));
    EXPECT(!database_is_attached(status.st_dev, status.st_ino));
    EXPECT(!database_is_attached(index.st_dev, index.st_ino));
}

TEST(the_position_grows_with_each_commit_and_only_then)
{
    struct scene scene;
    struct writer second = {0};
    uint64_t position;

    REQUIRE(scene_begin(&scene, 200, 3000));
    position = database_position(scene.database);
    for (unsigned commit = 0; commit < 50; commit++) {
        uint64_t next;
        REQUIRE(writer_wait(&scene.writer, 1));
        next = database_position(scene.database);
        EXPECT(next > position);
        position = next;
    }
    REQUIRE(writer_stop(&scene.writer));
    position = database_position(scene.database);
    for (unsigned look = 0; look < 50; look++) {
        EXPECT_OK(database_tend(scene.database, &scene.err), &scene.err);
        EXPECT_INT(database_position(scene.database), position);
    }
    scene.plan.commits_max = 1;
    REQUIRE(writer_start(&second, &scene.plan) && writer_finish(&second));
    EXPECT(database_position(scene.database) > position);
    database_detach(scene.database);
}

static void *look_for_ever(void *context)
{
    struct scene *scene = context;
    uint64_t position = 0, commits = 0;

    while (commits < 300) {
        uint64_t next = database_position(scene->database);
        EXPECT(next >= position);
        position = next;
        commits = atomic_load(&scene->writer.stats->commits);
    }
    return NULL;
}

TEST(any_thread_may_ask_for_the_position)
{
    struct scene scene;
    pthread_t threads[3];

    REQUIRE(scene_begin(&scene, 0, 3000));
    for (unsigned at = 0; at < 3; at++)
        REQUIRE(pthread_create(&threads[at], NULL, look_for_ever, &scene) == 0);
    EXPECT_OK(scene_tend(scene.database, 500, &scene.err), &scene.err);
    for (unsigned at = 0; at < 3; at++)
        REQUIRE(pthread_join(threads[at], NULL) == 0);
    EXPECT(scene_end(&scene, 0));
}

/* Everything that takes and releases locks, while another process asks the kernel all the time. */
static void watch_a_lock_held(uint64_t rate, unsigned rounds)
{
    struct scene scene;
    struct lock_watch watch;

    REQUIRE(scene_begin(&scene, rate, 20000));
    lock_watch_start(&watch, scene.path);
    for (unsigned round = 0; round < rounds; round++) {
        EXPECT_OK(scene_freeze(scene.database, &scene.err), &scene.err);
        lock_watch_wait(&watch, 50);
        database_thaw(scene.database);
        lock_watch_wait(&watch, 50);
        for (unsigned tend = 0; tend < 10; tend++)
            EXPECT(database_tend(scene.database, &scene.err) || scene.err.code == ERR_TRANSIENT);
    }
    EXPECT_INT(atomic_load(&watch.counts->gaps), 0);
    EXPECT(atomic_load(&watch.counts->ours) > 1000);
    printf("# %lu looks, %lu saw us first\n", (unsigned long)atomic_load(&watch.counts->looks),
           (unsigned long)atomic_load(&watch.counts->ours));
    lock_watch_stop(&watch);
    EXPECT(scene_end(&scene, 0));
}

TEST(a_lock_is_held_at_every_instant_at_50_hz)
{
    watch_a_lock_held(50, 100);
}

TEST(a_lock_is_held_at_every_instant_under_an_application_that_never_pauses)
{
    watch_a_lock_held(0, 60);
}

/* The control: the usual way, which the watch must catch. */
TEST(releasing_the_mark_around_a_checkpoint_leaves_a_gap)
{
    CLEANUP(sqlite_closep) struct sqlite *reader = NULL;
    struct err err = {0};
    struct lock_watch watch;
    const char *path = sample_path("db");
    uint64_t deadline_ms;

    REQUIRE(writer_make(path, 5, "PRAGMA journal_mode=WAL"));
    REQUIRE_OK(sqlite_open(path, &reader, &err), &err);
    REQUIRE_OK(sqlite_begin_read(reader, &err), &err);
    lock_watch_start(&watch, path);
    lock_watch_wait(&watch, 1000);
    EXPECT_INT(atomic_load(&watch.counts->gaps), 0);
    /* The gap is some microseconds; how often the watcher meets one is up to the scheduler. */
    deadline_ms = clock_monotonic_ms() + 6 * SCENE_GENEROUS_MS;
    while (atomic_load(&watch.counts->gaps) == 0 && clock_monotonic_ms() < deadline_ms) {
        sqlite_end(reader);
        REQUIRE_OK(sqlite_checkpoint(reader, SQLITE_PASSIVE, &err), &err);
        REQUIRE_OK(sqlite_begin_read(reader, &err), &err);
        lock_watch_wait(&watch, 2);
    }
    EXPECT(atomic_load(&watch.counts->gaps) > 0);
    sqlite_end(reader);
    lock_watch_stop(&watch);
}

TEST(detaching_changes_no_file)
{
    struct scene scene;
    CLEANUP(buf_clearp) struct buf before = BUF_INIT(16 << 20), after = BUF_INIT(16 << 20);

    REQUIRE(scene_begin(&scene, 0, 3000));
    REQUIRE(writer_wait(&scene.writer, 50));
    REQUIRE(writer_stop(&scene.writer));
    REQUIRE_OK(fs_read_file(AT_FDCWD, sample_path("db-wal"), &before, &scene.err), &scene.err);
    database_detach(scene.database);
    REQUIRE_OK(fs_read_file(AT_FDCWD, sample_path("db-wal"), &after, &scene.err), &scene.err);
    EXPECT(before.size > 0 && before.size == after.size &&
           memcmp(before.bytes, after.bytes, before.size) == 0);
    EXPECT(sample_exists(sample_path("db-shm")));
}

TEST(every_page_size_is_followed)
{
    for (unsigned page_size = 512; page_size <= 65536; page_size *= 2) {
        struct scene scene;
        CLEANUP(freep) char *sql = xasprintf("PRAGMA page_size=%u", page_size);
        REQUIRE(writer_make(sample_path("db"), 1, sql));
        REQUIRE(scene_begin(&scene, 0, 3000));
        REQUIRE(writer_wait(&scene.writer, 30));
        EXPECT_OK(scene_freeze(scene.database, &scene.err), &scene.err);
        EXPECT_INT(database_frozen(scene.database)->page_size, page_size);
        database_thaw(scene.database);
        EXPECT_OK(database_tend(scene.database, &scene.err), &scene.err);
        EXPECT(scene_end(&scene, 1));
        REQUIRE(unlink(scene.path) == 0); /* the check's own connection has removed the others */
    }
}

/* The trap that the table of attached files is there for, and that it is closed. */
TEST(opening_and_closing_a_hard_link_would_drop_the_locks)
{
    const char *path = sample_path("db");
    CLEANUP(database_detachp) struct database *database = NULL;
    struct err err = {0};
    struct lock_watch watch;
    int fd = -1;

    REQUIRE(writer_make(path, 3, NULL));
    REQUIRE_OK(scene_attach(path, &database, &err), &err);
    REQUIRE(link(sample_path("db-shm"), sample_path("link")) == 0);
    lock_watch_start(&watch, path);
    EXPECT(!guarded_file_open(AT_FDCWD, sample_path("link"), &fd, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
    lock_watch_wait(&watch, 1000);
    EXPECT_INT(atomic_load(&watch.counts->gaps), 0);
    fd = open(sample_path("link"), O_RDONLY | O_CLOEXEC);
    (void)close(fd);
    lock_watch_wait(&watch, 1000);
    EXPECT(atomic_load(&watch.counts->gaps) > 0);
    lock_watch_stop(&watch);
}

TAP_MAIN()
