/* An owner prunes beside its shipping, past what is damaged. */
#include "snapshot/reader.h"

#include "tests/double/life_story.h"
#include "tests/double/reading.h"
#include "tests/tap.h"

/* The base records, newest first. */
struct bases {
    uint64_t records[64];
    size_t count;
};

static bool note_base(void *context, const struct reader_point *point)
{
    struct bases *bases = context;

    if (point->kind == RECORD_BASE)
        bases->records[bases->count++] = point->record;
    return bases->count < 64;
}

TEST(a_damaged_base_record_is_said_and_does_not_end_pruning)
{
    struct life life;
    struct bases bases = {.count = 0};
    struct err err = {0};
    struct key damaged;
    size_t manifests;

    life_set_up(&life);
    REQUIRE(reading_fill(&life));
    REQUIRE_OK(reader_list(life.mem, note_base, &bases, &err), &err);
    REQUIRE(bases.count >= 3);
    damaged = key_log(bases.records[1]);
    EXPECT_OK(store_put(life.mem, damaged.text, "junk", 4, &err), &err);
    manifests = store_mem_count(life.mem, "base/");
    life.config.retention_ms = 0;
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    REQUIRE(life_commit(&life, 3) && life_settle(&life));
    store_fault_await(life.faulty, "delete", "base/", manifests);
    while (!life_warned(&life, damaged.text))
        if (!life_await(&life, life_is_ready))
            break;
    EXPECT(life_warned(&life, "retention"));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    EXPECT_INT(store_mem_count(life.mem, "base/"), 1);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT(life_value(life.disk.path) > 0);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TAP_MAIN()
