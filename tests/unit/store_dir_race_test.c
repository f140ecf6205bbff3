/* A directory store whose users race, are killed, or share it between threads. */
#include "snapshot/store/config.h"

#include "base/thread.h"
#include "tests/double/dir_place.h"

#include <signal.h>

enum { RACERS = 8, ROUNDS = 25 };

/* Eight processes, each with a store of its own, create the same keys; each writes down how often it won. */
static int race(struct store *store, int gate_fd, int racer)
{
    char byte, key[16], bytes[16];
    int won = 0;

    if (read(gate_fd, &byte, 1) != 0)
        return 255;
    for (int round = 0; round < ROUNDS; round++) {
        struct err err = {0};
        (void)snprintf(key, sizeof(key), "log/%d", round);
        (void)snprintf(bytes, sizeof(bytes), "racer %d", racer);
        won += store_create(store, key, bytes, strlen(bytes), &err);
        if (err.code != ERR_NONE && err.code != ERR_CONFLICT)
            return 255;
    }
    return won;
}

TEST(of_eight_processes_exactly_one_creates_each_object)
{
    int gate[2], won = 0;
    uint64_t size;
    pid_t racers[RACERS];
    PLACE();

    REQUIRE(pipe(gate) == 0);
    for (int racer = 0; racer < RACERS; racer++) {
        racers[racer] = fork();
        if (racers[racer] == 0) {
            (void)close(gate[1]);
            _exit(race(open_directory_store(place.directory, NULL), gate[0], racer));
        }
    }
    (void)close(gate[0]);
    (void)close(gate[1]); /* all begin now */
    for (int racer = 0; racer < RACERS; racer++) {
        int status = 0;
        EXPECT(waitpid(racers[racer], &status, 0) == racers[racer] && WIFEXITED(status));
        won += WEXITSTATUS(status);
    }
    EXPECT_INT(won, ROUNDS);
    EXPECT_OK(store_stat(place.store, "log/24", &size, &err), &err);
}

/* Creates objects until it is killed. */
static void create_for_ever(struct store *store, const char *bytes, size_t size, int began_fd)
{
    struct err err = {0};
    char key[32];

    for (unsigned number = 0;; number++) {
        (void)snprintf(key, sizeof(key), "log/%x-%x", (unsigned)getpid(), number);
        if (!store_create(store, key, bytes, size, &err) || (number == 1 && write(began_fd, "x", 1) != 1))
            _exit(1);
    }
}

static bool expect_whole(void *context, const struct store_entry *entry, struct err *err)
{
    ++*(size_t *)context;
    return entry->size == 100000 || err_set(err, ERR_CORRUPT, "%s is not whole", entry->key);
}

TEST(a_killed_process_leaves_whole_objects_only)
{
    CLEANUP(freep) char *bytes = xcalloc(1, 100000);
    size_t count = 0;
    PLACE();

    for (int round = 0; round < 20; round++) {
        int began[2];
        char byte;
        pid_t child;
        REQUIRE(pipe(began) == 0);
        child = fork();
        if (child == 0)
            create_for_ever(place.store, bytes, 100000, began[1]);
        EXPECT(read(began[0], &byte, 1) == 1);
        EXPECT(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
        (void)close(began[0]);
        (void)close(began[1]);
    }
    EXPECT_OK(store_list(place.store, "", NULL, 0, expect_whole, &count, &err), &err);
    EXPECT(count >= 40);
}

static bool count_entry(void *context, const struct store_entry *entry, struct err *err)
{
    (void)entry, (void)err;
    ++*(size_t *)context;
    return true;
}

static bool put_many(void *context, struct err *err)
{
    struct store *store = context;
    char key[32];

    for (int number = 0; number < 20; number++) {
        (void)snprintf(key, sizeof(key), "part/%02d/%lx", number, (unsigned long)pthread_self());
        if (!store_put(store, key, key, strlen(key), err))
            return false;
    }
    return true;
}

TEST(threads_share_a_store)
{
    struct pool *pool = NULL;
    struct task_group group;
    size_t count = 0;
    PLACE();

    REQUIRE_OK(pool_open(4, "put", &pool, &err), &err);
    group_init(&group, pool, 8);
    for (int task = 0; task < 8; task++)
        group_submit(&group, put_many, place.store);
    EXPECT_OK(group_wait(&group, &err), &err);
    pool_free(pool);
    EXPECT_OK(store_list(place.store, "part/", NULL, 0, count_entry, &count, &err), &err);
    EXPECT(count >= 20 && count <= 80 && count % 20 == 0); /* each thread that worked put its own 20 */
}

TAP_MAIN()
