/* Readers: what can be restored, older points, and an owner that prunes under their hands (protocol.md: H7,
 * P6, P8). */
#include "snapshot/reader.h"

#include "base/thread.h"
#include "snapshot/record.h"
#include "tests/double/life_story.h"
#include "tests/double/reading.h"
#include "tests/tap.h"

enum { POINTS_MAX = 64 };

struct points {
    struct reader_point list[POINTS_MAX];
    size_t count;
};

static bool note_point(void *context, const struct reader_point *point)
{
    struct points *points = context;

    points->list[points->count++] = *point;
    return points->count < POINTS_MAX;
}

static struct points list(struct store *store)
{
    struct points points = {0};
    struct err err = {0};

    EXPECT_OK(reader_list(store, note_point, &points, &err), &err);
    return points;
}

TEST(every_point_can_be_listed_and_restored)
{
    struct life life;
    struct points points;
    int64_t before = INT64_MAX;

    life_set_up(&life);
    REQUIRE(reading_fill(&life));
    points = list(life.mem);
    EXPECT(points.count >= 3);
    for (size_t at = 0; at < points.count; at++) {
        CLEANUP(scratch_closep) struct scratch copy;
        struct reader_result result;
        int64_t value;
        struct err err = {0};
        scratch_open(&copy);
        REQUIRE_OK(reader_restore(life.mem, copy.path, points.list[at].record, NULL, NULL, &result, &err),
                   &err);
        value = life_value(copy.path);
        EXPECT(value >= 0 && value <= before);
        EXPECT_INT(result.record, points.list[at].record);
        EXPECT_INT(result.bytes, points.list[at].bytes);
        EXPECT_INT(points.list[at].kind, RECORD_BASE);
        EXPECT(at == 0 || points.list[at].time_ns <= points.list[at - 1].time_ns);
        EXPECT(at > 0 || value == 6);
        before = value;
    }
    life_tear_down(&life);
}

TEST(the_size_of_the_newest_base_is_told_without_restoring_it)
{
    struct life life;
    uint64_t bytes = 1;
    struct err err = {0};

    life_set_up(&life);
    EXPECT(!reader_newest_bytes(life.mem, &bytes, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT_INT(bytes, 1);
    REQUIRE(reading_fill(&life));
    REQUIRE_OK(reader_newest_bytes(life.mem, &bytes, &err), &err);
    EXPECT_INT(bytes, list(life.mem).list[0].bytes);
    life_tear_down(&life);
}

TEST(a_record_between_two_points_gives_the_one_before_it)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct life life;
    struct reader_result result;
    struct points points;
    struct err err = {0};

    life_set_up(&life);
    scratch_open(&copy);
    REQUIRE(reading_fill(&life));
    points = list(life.mem);
    /* The close. */
    REQUIRE_OK(reader_restore(life.mem, copy.path, points.list[0].record + 1, NULL, NULL, &result, &err),
               &err);
    EXPECT_INT(result.record, points.list[0].record);
    life_tear_down(&life);
}

TEST(what_can_not_be_restored_is_refused_and_why)
{
    static const struct {
        uint64_t at;
        const char *why;
    } refused[] = {{1, "pruned"}, {1000, "does not exist"}};

    struct life life;
    struct reader_result result;
    CLEANUP(scratch_closep) struct scratch copy;
    struct err err = {0};

    life_set_up(&life);
    scratch_open(&copy);
    EXPECT(!reader_restore(life.mem, copy.path, READER_LATEST, NULL, NULL, &result, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT(strstr(err.text, "prefix or directory") != NULL); /* nobody knows here which of them it is */
    REQUIRE(reading_fill(&life));
    for (size_t at = 0; at < 2; at++) {
        EXPECT(!reader_restore(life.mem, copy.path, refused[at].at, NULL, NULL, &result, &err));
        EXPECT_INT(err.code, ERR_CONFIG);
        EXPECT(strstr(err.text, refused[at].why) != NULL);
    }
    scratch_write(copy.fd, "something", "mine");
    EXPECT(!reader_restore(life.mem, copy.path, READER_LATEST, NULL, NULL, &result, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT(strstr(err.text, "not empty") != NULL);
    EXPECT(scratch_exists(copy.fd, "something"));
    life_tear_down(&life);
}

struct reading {
    struct store *store;
    const char *directory;
    uint64_t at;
    struct reader_result result;
    struct damages damages;
    struct err err;
    bool verifies;
    bool succeeded;
};

static void *read_store(void *context)
{
    struct reading *reading = context;

    reading->succeeded = reading->verifies ? damages_find(reading->store, &reading->damages, &reading->err)
                                           : reader_restore(reading->store, reading->directory, reading->at,
                                                            NULL, NULL, &reading->result, &reading->err);
    return NULL;
}

/* A reader is stopped at its first part; an owner ships with no retention at all, and prunes. */
static void read_while_pruned(struct reading *reading, uint64_t at, bool verifies)
{
    struct life life;
    struct scratch copy;
    struct store *held;
    pthread_t thread;
    struct err err = {0};

    life_set_up(&life);
    scratch_open(&copy);
    REQUIRE(reading_fill(&life));
    held = store_fault_new(life.mem);
    store_fault_add(held, &(struct store_fault){.operation = "get", .key = "part/", .kind = FAULT_HOLD});
    *reading = (struct reading){.store = held, .directory = copy.path, .at = at, .verifies = verifies};
    REQUIRE(thread_start(&thread, "reader", read_store, reading, &err));
    store_fault_await(held, "get", "part/", 1);
    life.config.retention_ms = 0;
    for (int round = 0; round < 3; round++)
        REQUIRE(life_live(&life, 1, round % 2 ? "odd" : "even"));
    store_fault_release(held);
    (void)pthread_join(thread, NULL);
    if (reading->succeeded && !verifies)
        EXPECT_INT(life_value(copy.path), 9);
    store_free(held);
    scratch_close(&copy);
    life_tear_down(&life);
}

TEST(the_newest_state_is_restored_although_the_owner_prunes)
{
    struct reading reading;

    read_while_pruned(&reading, READER_LATEST, false);
    EXPECT_OK(reading.succeeded, &reading.err);
}

TEST(an_older_point_that_is_pruned_meanwhile_is_refused_as_pruned)
{
    struct reading reading;

    read_while_pruned(&reading, 3, false);
    EXPECT(!reading.succeeded);
    EXPECT_INT(reading.err.code, ERR_CONFIG);
    EXPECT(strstr(reading.err.text, "pruned") != NULL);
}

TEST(pruning_is_no_damage)
{
    struct reading reading;

    read_while_pruned(&reading, 0, true);
    EXPECT_OK(reading.succeeded, &reading.err);
    EXPECT_INT(reading.damages.count, 0);
}

TAP_MAIN()
