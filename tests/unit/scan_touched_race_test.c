/* What is touched is told, whatever happens while it is taken and looked at: nothing that was done before a
 * look may be missing in what it finds. */
#include "base/thread.h"
#include "tests/double/looking.h"
#include "tests/double/scanning.h"
#include "tests/double/upheaval.h"

#include <stdatomic.h>

struct storm {
    struct upheaval upheaval;
    unsigned operations;
    atomic_int *running;
    pthread_t thread;
};

static void *rage(void *context)
{
    struct storm *storm = context;

    upheaval_go_on(&storm->upheaval, storm->operations);
    atomic_fetch_sub(storm->running, 1);
    return NULL;
}

static void storm_begin(struct storm *storm, int disk, int outside, unsigned seed)
{
    struct err err;

    upheaval_begin(&storm->upheaval, disk, outside, seed);
    atomic_fetch_add(storm->running, 1);
    if (!thread_start(&storm->thread, "storm", rage, storm, &err))
        abort();
}

TEST(after_a_storm_nothing_has_been_missed)
{
    enum { STORMS = 3 };
    CLEANUP(looking_close) struct looking looking;
    CLEANUP(scratch_closep) struct scratch outside;
    struct storm storms[STORMS];
    atomic_int running = 0;
    unsigned looks = 0;

    looking_open(&looking, "tmp", "*");
    scratch_open(&outside);
    for (unsigned at = 0; at < STORMS; at++) {
        storms[at] = (struct storm){.operations = 4000, .running = &running};
        storm_begin(&storms[at], looking.disk.fd, outside.fd, 2 + 2 * at);
    }
    for (; atomic_load(&running) > 0 && tap_failures == 0; looks++)
        EXPECT(looking_look(&looking));
    for (unsigned at = 0; at < STORMS; at++)
        (void)pthread_join(storms[at].thread, NULL);
    printf("# %u looks, %u at everything\n", looks, looking.wholes);
    EXPECT(looking_look(&looking) && looking_is_right(&looking));
    EXPECT(looking_look(&looking) && looking_is_right(&looking));
}

/* Writes a file in a directory of its own, which it moves about, and must find it as it is. */
struct writer {
    struct looking *looking;
    pthread_mutex_t *mutex; /* guards looking */
    unsigned number;
    unsigned missed;
    pthread_t thread;
};

static bool finds(struct writer *writer, const char *path, size_t size)
{
    const struct tree_entry *entry;
    bool found;

    mutex_locked(writer->mutex);
    found = looking_look(writer->looking);
    entry = found ? tree_find(writer->looking->found.tree, path) : NULL;
    found = entry && entry->size == size;
    (void)pthread_mutex_unlock(writer->mutex);
    return found;
}

static void *write_and_find(void *context)
{
    struct writer *writer = context;
    int disk = writer->looking->disk.fd;
    char home[32], other[64], path[96], text[200] = "";

    memset(text, 'x', sizeof(text) - 1);
    (void)snprintf(home, sizeof(home), "w%u/sub", writer->number);
    scratch_mkdir(disk, home);
    for (unsigned round = 0; round < 150; round++) {
        (void)snprintf(home, sizeof(home), "w%u%s", writer->number, round % 4 < 2 ? "" : "moved");
        (void)snprintf(other, sizeof(other), "w%u%s", writer->number, round % 4 < 2 ? "moved" : "");
        (void)snprintf(path, sizeof(path), "%s/sub/%u", home, round % 3);
        scratch_write(disk, path, text + round % 150);
        writer->missed += !finds(writer, path, sizeof(text) - 1 - round % 150);
        if (round % 2 == 1 && renameat(disk, home, disk, other) != 0)
            abort();
        (void)snprintf(path, sizeof(path), "%s/new%u/below/file", round % 2 == 1 ? other : home, round);
        scratch_write(disk, path, "x");
        writer->missed += !finds(writer, path, 1);
    }
    return NULL;
}

TEST(whoever_has_done_something_finds_it_done)
{
    enum { WRITERS = 3 };
    CLEANUP(looking_close) struct looking looking;
    CLEANUP(scratch_closep) struct scratch outside;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct writer writers[WRITERS];
    atomic_int running = 0;
    struct storm storm = {.operations = 4000, .running = &running};
    struct err err;

    looking_open(&looking, "tmp", "*");
    scratch_open(&outside);
    for (unsigned at = 0; at < WRITERS; at++) {
        writers[at] = (struct writer){.looking = &looking, .mutex = &mutex, .number = at};
        REQUIRE_OK(thread_start(&writers[at].thread, "writer", write_and_find, &writers[at], &err), &err);
    }
    storm_begin(&storm, looking.disk.fd, outside.fd, 2);
    for (unsigned at = 0; at < WRITERS; at++) {
        (void)pthread_join(writers[at].thread, NULL);
        EXPECT_INT(writers[at].missed, 0);
    }
    (void)pthread_join(storm.thread, NULL);
    printf("# %u looks at everything\n", looking.wholes);
    EXPECT(looking_look(&looking) && looking_is_right(&looking));
}

TAP_MAIN()
