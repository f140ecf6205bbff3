/* The promise that `sync` rests on: whatever a program changed before, the counter read after it has moved.
 * Under threads that read it at once, and after any sequence of changes to the tree. */
#include "snapshot/watch.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/thread.h"
#include "base/walk.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <stdatomic.h>

enum { RACE_MS = 10000 };

static struct globs *exclude(void)
{
    struct globs *globs = NULL;
    struct err err;

    if (!globs_parse("tmp", &globs, &err))
        abort();
    return globs;
}

/* xorshift: the same sequence for the same seed. */
static uint32_t next_random(uint64_t *state, uint32_t limit)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 20) % limit;
}

struct writer {
    struct watch *watch;
    int directory_fd;
    int number;
    int missed;
    atomic_int *running;
};

/* Each change of a thread's own must have moved the counter when it looks, whoever read the event. */
static void *write_and_look(void *context)
{
    struct writer *writer = context;

    for (int round = 0; round < 300; round++) {
        char path[64];
        uint64_t before = watch_drain(writer->watch);
        (void)snprintf(path, sizeof(path), "%d/%d/file", writer->number, round / 10);
        scratch_write(writer->directory_fd, path, "x");
        writer->missed += watch_drain(writer->watch) <= before;
    }
    atomic_fetch_sub(writer->running, 1);
    return NULL;
}

TEST(whoever_reads_the_events_every_writer_sees_the_counter_move)
{
    enum { WRITERS = 4 };
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(globs_freep) struct globs *globs = exclude();
    CLEANUP(watch_freep) struct watch *watch = NULL;
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    atomic_int running = WRITERS;
    uint64_t last = 0;
    struct err err;

    scratch_open(&scratch);
    REQUIRE_OK(watch_open(scratch.fd, globs, &watch, &err), &err);
    for (int at = 0; at < WRITERS; at++) {
        writers[at] =
            (struct writer){.watch = watch, .directory_fd = scratch.fd, .number = at, .running = &running};
        REQUIRE_OK(thread_start(&threads[at], "writer", write_and_look, &writers[at], &err), &err);
    }
    while (atomic_load(&running) > 0) {
        uint64_t now = watch_drain(watch);
        EXPECT(now >= last);
        last = now;
        watch_ignore_database(watch, "0/db");
        watch_forget_database(watch, "0/db");
        EXPECT(!watch_is_partial(watch));
    }
    for (int at = 0; at < WRITERS; at++) {
        (void)pthread_join(threads[at], NULL);
        EXPECT_INT(writers[at].missed, 0);
    }
}

/* A directory of the tree, picked at random; "" is the top. */
static void pick(int top_fd, uint64_t *random, char path[256])
{
    CLEANUP(walk_clearp) struct walk walk = {0};
    uint32_t seen = 0;
    struct err err;

    path[0] = '\0';
    walk_begin(&walk, top_fd);
    while (walk_next(&walk, &err)) {
        if (strlen(walk.path) < 60 && next_random(random, ++seen) == 0)
            (void)snprintf(path, 256, "%s%s", walk.path, *walk.path ? "/" : "");
        if (!walk_list(&walk, &err))
            abort();
        for (size_t at = 0; at < walk.count; at++)
            if (walk_is_directory(&walk, at))
                walk_enter(&walk, walk_join(&walk, walk_name(&walk, at)));
    }
}

static const char *const entries[] = {"a", "b", "c", "tmp", "db"};

static bool is_watched(const struct globs *globs, const char *path)
{
    return !globs_match(globs, path);
}

/* One change; *ret_seen: whether it happened and is one that must be seen. */
static void change(int top_fd, const struct globs *globs, uint64_t *random, bool *ret_seen)
{
    char from[512], to[512], directory[256];
    bool done, both = false;

    pick(top_fd, random, directory);
    (void)snprintf(from, sizeof(from), "%s%s", directory, entries[next_random(random, 5)]);
    switch (next_random(random, 6)) {
    case 0:
    case 1:
        done = mkdirat(top_fd, from, 0755) == 0;
        break;
    case 2:
        done = unlinkat(top_fd, from, next_random(random, 2) ? AT_REMOVEDIR : 0) == 0;
        break;
    case 3:
        pick(top_fd, random, directory);
        (void)snprintf(to, sizeof(to), "%s%s", directory, entries[next_random(random, 5)]);
        done = strcmp(from, to) != 0 && renameat(top_fd, from, top_fd, to) == 0;
        both = done && is_watched(globs, to);
        break;
    default: {
        CLEANUP(close_fdp) int fd = openat(top_fd, from, O_WRONLY | O_CREAT, 0644);
        done = fd >= 0 && write(fd, "x", 1) == 1;
    }
    }
    *ret_seen = done && (is_watched(globs, from) || both);
}

static int run_changes(uint64_t seed, uint32_t steps)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(globs_freep) struct globs *globs = exclude();
    CLEANUP(watch_freep) struct watch *watch = NULL;
    uint64_t random = seed, before;
    struct err err;
    int must_see = 0;

    scratch_open(&scratch);
    if (!watch_open(scratch.fd, globs, &watch, &err))
        abort();
    for (uint32_t at = 0; at < steps; at++) {
        bool seen = false, any = false;
        uint32_t burst = 1 + next_random(&random, 4);
        before = watch_drain(watch);
        for (; burst > 0; burst--) {
            change(scratch.fd, globs, &random, &seen);
            any = any || seen;
        }
        must_see += any;
        if (any && !tap_note(watch_drain(watch) > before, "the counter to move", __FILE__, __LINE__)) {
            printf("#   seed %" PRIu64 ", step %" PRIu32 "\n", seed, at);
            return -1;
        }
    }
    return must_see;
}

TEST(after_any_sequence_of_changes_the_next_one_is_seen)
{
    int seen = 0;

    for (uint64_t seed = 1; seed <= 8; seed++) {
        int more = run_changes(seed * 7919, 300);
        REQUIRE(more >= 0);
        seen += more;
    }
    printf("# %d changes seen\n", seen);
    EXPECT(seen > 500);
}

struct mover {
    int directory_fd;
    atomic_bool stop;
};

static void *move_about(void *context)
{
    struct mover *mover = context;
    uint64_t random = 42;

    while (!atomic_load(&mover->stop)) {
        char from[8], to[16];
        (void)snprintf(from, sizeof(from), "%u", next_random(&random, 4));
        (void)snprintf(to, sizeof(to), "%u/%u", next_random(&random, 4), next_random(&random, 4));
        if (renameat(mover->directory_fd, from, mover->directory_fd, to) == 0)
            (void)renameat(mover->directory_fd, to, mover->directory_fd, from);
        (void)mkdirat(mover->directory_fd, to, 0755);
        (void)unlinkat(mover->directory_fd, to, AT_REMOVEDIR);
    }
    return NULL;
}

TEST(directories_that_move_while_the_queue_is_read_are_all_watched_in_the_end)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(globs_freep) struct globs *globs = exclude();
    CLEANUP(watch_freep) struct watch *watch = NULL;
    struct mover mover = {0};
    pthread_t thread;
    uint64_t deadline_ms = clock_monotonic_ms() + RACE_MS, before;
    struct err err;

    scratch_open(&scratch);
    mover.directory_fd = scratch.fd;
    for (int at = 0; at < 4; at++)
        scratch_mkdir(scratch.fd, (char[]){(char)('0' + at), '/', 'x', '/', 'y', '\0'});
    REQUIRE_OK(watch_open(scratch.fd, globs, &watch, &err), &err);
    REQUIRE_OK(thread_start(&thread, "mover", move_about, &mover, &err), &err);
    /* On a tmpfs the mover is so fast that a single round may take 25 ms. */
    for (int round = 0; round < 5000 && clock_monotonic_ms() < deadline_ms; round++)
        (void)watch_drain(watch);
    atomic_store(&mover.stop, true);
    (void)pthread_join(thread, NULL);
    for (int at = 0; at < 4; at++) {
        before = watch_drain(watch);
        scratch_write(scratch.fd, (char[]){(char)('0' + at), '/', 'x', '/', 'y', '/', 'f', '\0'}, "");
        EXPECT(watch_drain(watch) > before);
    }
    EXPECT(!watch_is_partial(watch));
}

TAP_MAIN()
