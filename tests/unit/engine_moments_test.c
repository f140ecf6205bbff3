/* Where an application always commits to one database before the other, no restored state shows the second
 * without the first: every record is one moment of all databases. */
#include "snapshot/reader.h"

#include "tests/double/life.h"
#include "tests/double/script.h"
#include "tests/tap.h"

#include <sqlite3.h>
#include <stdlib.h>

enum { RECORDS = 15, STEPS = 25, POINTS_MAX = 1000 };

struct points {
    uint64_t records[POINTS_MAX];
    size_t count;
};

static bool note_point(void *context, const struct reader_point *point)
{
    struct points *points = context;

    if (points->count < POINTS_MAX)
        points->records[points->count++] = point->record;
    return true;
}

/* The counter of a restored database; -1 without one. */
static int counter_of(const char *directory, const char *name)
{
    CLEANUP(freep) char *path = xasprintf("%s/%s", directory, name);
    sqlite3 *connection = NULL;
    sqlite3_stmt *statement = NULL;
    int counter = -1;

    if (sqlite3_open_v2(path, &connection, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(connection, "SELECT n FROM counter", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        counter = sqlite3_column_int(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(connection);
    return counter;
}

static void check_point(struct store *store, uint64_t record, int *ret_first)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result;
    struct err err = {0};
    int first, second;

    scratch_open(&copy);
    EXPECT_OK(reader_restore(store, copy.path, record, NULL, NULL, &result, &err), &err);
    first = counter_of(copy.path, "first");
    second = counter_of(copy.path, "second");
    if (first < second || first > second + 1)
        printf("# record %llu: first %d, second %d\n", (unsigned long long)record, first, second);
    EXPECT(first >= second && first <= second + 1);
    *ret_first = first;
}

static void count_on(struct script *application)
{
    CLEANUP(buf_clearp) struct buf sql = BUF_INIT(64 * 1024);

    for (int at = 0; at < STEPS; at++)
        buf_add_text(&sql, "UPDATE counter SET n = n + 1; UPDATE other.counter SET n = n + 1;");
    REQUIRE(script_run(application, buf_text(&sql)));
}

TEST(no_record_shows_the_later_of_two_databases_without_the_earlier)
{
    struct life life;
    struct script application;
    struct points points = {.count = 0};
    CLEANUP(freep) char *first = NULL;
    CLEANUP(freep) char *second = NULL;
    struct err err = {0};
    int newest = 0, before, steps = 0;
    size_t records;

    life_set_up(&life);
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    first = xasprintf("%s/first", life.disk.path);
    second = xasprintf(
        "ATTACH '%s/second' AS other; CREATE TABLE counter (n); CREATE TABLE other.counter (n);"
        "INSERT INTO counter VALUES (0); INSERT INTO other.counter VALUES (0);",
        life.disk.path);
    script_start(&application, first);
    REQUIRE(script_run(&application, second));
    REQUIRE(life_settle(&life));
    records = store_fault_count(life.faulty, "create", "log/") + RECORDS;
    for (; store_fault_count(life.faulty, "create", "log/") < records; steps += STEPS)
        count_on(&application);
    script_stop(&application);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    EXPECT_OK(reader_list(life.mem, note_point, &points, &err), &err);
    before = steps;
    for (size_t at = 0; at < points.count; at++) {
        check_point(life.mem, points.records[at], &newest);
        EXPECT(newest <= before); /* newest first */
        before = newest;
        if (at == 0)
            EXPECT_INT(newest, steps);
        if (newest <= 0)
            break;
    }
    printf("# %zu points, %d steps\n", points.count, steps);
    EXPECT(points.count > RECORDS / 2);
    life_tear_down(&life);
}

TAP_MAIN()
