/* Drills beside an engine: what they find is told and nothing else happens; what they leave is nothing. */
#include "snapshot/drill.h"

#include "base/clock.h"
#include "base/thread.h"
#include "tests/double/reading.h"
#include "tests/tap.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

enum { INTERVAL_MS = 20, LIMIT_MS = 20000, TELLS_MAX = 64 };

struct stand {
    struct life life;
    struct scratch place; /* the data directory that scratch goes into, where it isn't the engine's */
    atomic_bool canceled;
    struct drill *drill;
    int told_fd;

    pthread_mutex_t mutex; /* guards what follows */
    size_t count[DRILL_SKIPPED + 1];
    char last[DRILL_SKIPPED + 1][1200];
    int priority; /* of the thread that tells */
};

static struct stand stand;

static void tell(void *context, enum drill_event event, const char *text)
{
    (void)context;
    MUTEX_GUARD(&stand.mutex);
    stand.count[event]++;
    (void)snprintf(stand.last[event], sizeof(stand.last[event]), "%s", text);
    stand.priority = getpriority(PRIO_PROCESS, (id_t)gettid());
    event_raise(stand.told_fd);
}

static size_t count_of(enum drill_event event)
{
    MUTEX_GUARD(&stand.mutex);
    return stand.count[event];
}

/* A store with points in it, and a place for scratch. */
static void set_up(void)
{
    struct err err = {0};

    life_set_up(&stand.life);
    scratch_open(&stand.place);
    scratch_mkdir(stand.place.fd, ".holdfast");
    pthread_mutex_init(&stand.mutex, NULL);
    REQUIRE_OK(event_open(&stand.told_fd, &err), &err);
}

static void open_drill(const char *directory)
{
    struct drill_config config = {.store = stand.life.faulty,
                                  .data_directory = directory,
                                  .interval_ms = INTERVAL_MS,
                                  .canceled = &stand.canceled,
                                  .tell = tell};
    struct err err = {0};

    REQUIRE_OK(drill_open(&config, &stand.drill, &err), &err);
    REQUIRE_OK(drill_begin(stand.drill, &err), &err);
}

static void tear_down(void)
{
    drill_free(stand.drill);
    scratch_close(&stand.place);
    life_tear_down(&stand.life);
}

/* Waits until that was told once more; false after the limit. */
static bool await_more(enum drill_event event)
{
    uint64_t limit_ms = clock_monotonic_ms() + LIMIT_MS;
    size_t before = count_of(event);

    while (count_of(event) == before && clock_monotonic_ms() < limit_ms)
        (void)event_wait(stand.told_fd, 100);
    return EXPECT(count_of(event) > before);
}

TEST(a_sound_store_passes_again_and_again_and_leaves_nothing)
{
    struct drill_status status;

    set_up();
    REQUIRE(reading_fill(&stand.life));
    scratch_write(stand.place.fd, ".holdfast/drill/holdfast-verify-killed/db.sqlite3",
                  "left by a killed process");
    open_drill(stand.place.path);
    drill_status(stand.drill, &status);
    EXPECT(status.failures == 0 && status.failure_ns == 0);
    REQUIRE(await_more(DRILL_PASSED) && await_more(DRILL_PASSED));
    drill_status(stand.drill, &status);
    EXPECT(status.success_ns > 0 && !status.problem[0] && status.failures == 0);
    EXPECT(strstr(stand.last[DRILL_PASSED], "2 points"));
    EXPECT_INT(stand.priority, 19);
    drill_free(MOVE(stand.drill));
    EXPECT(!scratch_exists(stand.place.fd, ".holdfast/drill"));
    EXPECT_INT(count_of(DRILL_FAILED) + count_of(DRILL_SKIPPED) + count_of(DRILL_DAMAGE), 0);
    tear_down();
}

TEST(a_damaged_object_is_named_and_a_later_drill_takes_that_back)
{
    struct drill_status status;
    struct some_key key;

    set_up();
    REQUIRE(reading_fill(&stand.life));
    key = key_below(stand.life.mem, "blob/", 0);
    store_fault_add(stand.life.faulty,
                    &(struct store_fault){.operation = "get", .key = key.text, .kind = FAULT_FLIP});
    open_drill(stand.place.path);
    REQUIRE(await_more(DRILL_FAILED));
    drill_status(stand.drill, &status);
    EXPECT(status.failures >= 1 && status.failure_ns > 0 && status.success_ns == 0);
    EXPECT(strncmp(status.problem, key.text, strlen(key.text)) == 0);
    EXPECT(strncmp(stand.last[DRILL_DAMAGE], key.text, strlen(key.text)) == 0);
    store_fault_clear(stand.life.faulty);
    REQUIRE(await_more(DRILL_PASSED));
    drill_status(stand.drill, &status);
    EXPECT(status.success_ns > status.failure_ns && !status.problem[0]);
    EXPECT(status.failures >= 1);
    tear_down();
}

TEST(of_many_damaged_objects_ten_are_told_and_the_number)
{
    set_up();
    REQUIRE(reading_fill(&stand.life));
    store_fault_add(stand.life.faulty,
                    &(struct store_fault){.operation = "get", .key = "blob/", .kind = FAULT_FLIP});
    store_fault_add(stand.life.faulty,
                    &(struct store_fault){.operation = "get", .key = "part/", .kind = FAULT_FLIP});
    open_drill(stand.place.path);
    REQUIRE(await_more(DRILL_FAILED));
    drill_free(MOVE(stand.drill));
    EXPECT(count_of(DRILL_DAMAGE) <= 10 * (count_of(DRILL_FAILED) + 1));
    EXPECT(strstr(stand.last[DRILL_FAILED], "objects of HOLDFAST_STORE are damaged or missing"));
    tear_down();
}

TEST(a_store_out_of_reach_is_a_failure_and_an_empty_one_nothing_to_do)
{
    struct drill_status status;

    set_up();
    open_drill(stand.place.path);
    REQUIRE(await_more(DRILL_SKIPPED));
    drill_status(stand.drill, &status);
    EXPECT(strstr(status.problem, "holds nothing of holdfast") && status.failures == 0 &&
           status.success_ns == 0);
    drill_free(MOVE(stand.drill));
    atomic_store(&stand.canceled, false);
    store_fault_add(stand.life.faulty, &(struct store_fault){.kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    open_drill(stand.place.path);
    REQUIRE(await_more(DRILL_FAILED));
    drill_status(stand.drill, &status);
    EXPECT(status.failures >= 1 && status.problem[0]);
    tear_down();
}

TEST(without_room_for_two_copies_there_is_no_drill)
{
    struct drill_status status;

    set_up();
    REQUIRE(reading_fill(&stand.life));
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("none", stand.place.path, "tmpfs", 0, "size=40k") == 0) {
        open_drill(stand.place.path);
        REQUIRE(await_more(DRILL_SKIPPED));
        drill_status(stand.drill, &status);
        EXPECT(strstr(status.problem, "fit twice") && status.failures == 0);
        drill_free(MOVE(stand.drill));
        EXPECT_INT(umount2(stand.place.path, 0), 0);
    } else {
        printf("# no mount here\n");
    }
    tear_down();
}

TEST(a_stop_ends_it_in_the_middle_without_a_verdict)
{
    struct drill_status status;
    size_t gets;

    set_up();
    REQUIRE(reading_fill(&stand.life));
    gets = store_fault_count(stand.life.faulty, "get", "blob/");
    store_fault_add(stand.life.faulty,
                    &(struct store_fault){.operation = "get", .key = "blob/", .kind = FAULT_HOLD});
    open_drill(stand.place.path);
    store_fault_await(stand.life.faulty, "get", "blob/", gets + 1);
    drill_status(stand.drill, &status);
    EXPECT(status.running);
    drill_cancel(stand.drill);
    store_fault_clear(stand.life.faulty);
    drill_free(MOVE(stand.drill));
    EXPECT(!scratch_exists(stand.place.fd, ".holdfast/drill"));
    for (enum drill_event event = DRILL_DAMAGE; event <= DRILL_SKIPPED; event++)
        EXPECT_INT(count_of(event), 0);
    tear_down();
}

/* The one thing that a drill might break is the engine's locks: SQLite opens and closes databases in this
 * process, beside the attached ones. */
TEST(an_engine_ships_on_beside_it)
{
    set_up();
    REQUIRE(life_begin(&stand.life));
    engine_answered(stand.life.engine);
    REQUIRE(life_commit(&stand.life, 5));
    REQUIRE(life_settle(&stand.life));
    open_drill(stand.life.disk.path);
    for (int round = 0; round < 3; round++) {
        REQUIRE(life_commit(&stand.life, 20));
        REQUIRE(await_more(DRILL_PASSED));
    }
    REQUIRE(life_settle(&stand.life));
    drill_free(MOVE(stand.drill));
    EXPECT_INT(life_end(&stand.life), ENGINE_DONE);
    EXPECT_INT(count_of(DRILL_FAILED), 0);
    life_wipe(&stand.life);
    REQUIRE(life_begin(&stand.life));
    EXPECT_INT(life_value(stand.life.disk.path), 65);
    EXPECT_INT(life_end(&stand.life), ENGINE_DONE);
    tear_down();
}

TAP_MAIN()
