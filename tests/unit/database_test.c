/* Attaching, noticing commits, freezing, thawing: with a real application in a process of its own. */
#include "snapshot/database.h"

#include "base/clock.h"
#include "tests/double/sample.h"
#include "tests/double/writer.h"
#include "tests/tap.h"

static atomic_bool never;

static uint64_t in_ms(uint64_t ms)
{
    return clock_monotonic_ms() + ms;
}

static struct writer_plan plan_of(const char *path, uint64_t rate)
{
    struct writer_plan plan = {.rate = rate, .bytes = 3000};

    (void)snprintf(plan.paths[0], sizeof(plan.paths[0]), "%s", path);
    return plan;
}

TEST(a_frozen_database_is_one_moment_while_the_writer_goes_on)
{
    const char *path = sample_path("db");
    struct writer writer = {0};
    struct writer_plan plan = plan_of(path, 50);
    CLEANUP(database_detachp) struct database *database = NULL;
    struct err err = {0};
    int64_t before = 0;

    REQUIRE(writer_start(&writer, &plan));
    REQUIRE_OK(database_convert(path, in_ms(2000), &never, &err), &err);
    REQUIRE_OK(database_attach(path, in_ms(2000), &never, &database, &err), &err);
    for (int round = 0; round < 20; round++) {
        const char *copy = sample_path("copy");
        uint64_t acknowledged = atomic_load(&writer.stats->commits), hash, begun = clock_monotonic_ns();
        int64_t value;
        REQUIRE_OK(database_freeze(&database, 1, in_ms(2000), &never, &err), &err);
        printf("# freeze %lu us\n", (unsigned long)((clock_monotonic_ns() - begun) / 1000));
        hash = sample_hash_frozen(database);
        REQUIRE_OK(sample_copy_frozen(database, copy, &err), &err);
        REQUIRE(writer_wait(&writer, 5));
        EXPECT(sample_hash_frozen(database) == hash);
        database_thaw(database);
        REQUIRE_OK(database_tend(database, &err), &err);
        value = sample_value(copy);
        EXPECT(value >= before && value >= (int64_t)acknowledged);
        before = value;
    }
    EXPECT(writer_stop(&writer));
    printf("# worst %lu us\n", (unsigned long)atomic_load(&writer.stats->worst_us));
}

TAP_MAIN()
