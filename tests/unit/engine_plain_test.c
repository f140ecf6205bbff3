/* Databases that travel as plain files, and what lies beside them: at no point that the store offers may a
 * journal of an earlier life be rolled back into them. */
#include "snapshot/reader.h"
#include "tests/double/following.h"
#include "tests/unit/databases_life.h"

/* A journal that SQLite would roll back: its writer was killed while the disk had half of what it wrote. */
static void put_journal(const struct life *life, const char *name)
{
    struct writer_plan plan = writer_plan_for(sample_path("killed.db"), 0);
    CLEANUP(freep) char *journal = xasprintf("%s-journal", plan.paths[0]);
    struct writer writer = {0};

    REQUIRE(writer_make(plan.paths[0], 3, NULL));
    plan.idle = true;
    (void)snprintf(
        plan.sql, sizeof(plan.sql), "%s",
        "PRAGMA cache_size=1;BEGIN;UPDATE pair SET a=9;CREATE TABLE more AS SELECT zeroblob(99999)");
    REQUIRE(writer_start(&writer, &plan));
    EXPECT_INT(rename(journal, path_of(life, name)), 0);
    writer_kill(&writer);
}

static void expect_sound_points(struct life *life, const char *name)
{
    struct life_points points;
    uint64_t seen = 0;
    struct err err;

    REQUIRE_OK(life_list_points(life->mem, &points, &err), &err);
    for (size_t at = 0; at < points.count; at++) {
        CLEANUP(scratch_closep) struct scratch copy;
        CLEANUP(freep) char *path = NULL;
        struct reader_result result;
        scratch_open(&copy);
        REQUIRE_OK(reader_restore(life->mem, copy.path, points.records[at], NULL, NULL, &result, &err), &err);
        path = xasprintf("%s/%s", copy.path, name);
        if (!sample_exists(path))
            continue;
        seen++;
        EXPECT_INT(sample_value(path), 9);
    }
    EXPECT(seen > 0);
}

/* HOLDFAST_DATABASES leaves plain.db out, and its name is that of one that was deleted but for its journal.
 */
static void begin_with_journal(struct life *life)
{
    life_set_up(life);
    life->config.databases = "db.sqlite3";
    REQUIRE(life_begin(life));
    REQUIRE(life_commit(life, 20));
    engine_answered(life->engine);
    put_journal(life, "plain.db-journal");
    REQUIRE(life_settle(life));
}

/* The journal goes first; in the store it stays for a minute. */
static void put_plain(struct life *life)
{
    EXPECT_INT(unlinkat(life->disk.fd, "plain.db-journal", 0), 0);
    replace(life, "plain.db", 9, NULL);
    REQUIRE(life_settle(life));
    REQUIRE(life_commit(life, 1));
    REQUIRE(life_settle(life));
}

TEST(a_journal_of_an_earlier_one_is_not_restored_beside_it)
{
    struct life life;

    begin_with_journal(&life);
    put_plain(&life);
    expect_sound_points(&life, "plain.db");
    life_cut_off(&life);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(value(&life, "plain.db"), 9);
    life_tear_down(&life);
}

TEST(nor_does_a_follower_put_it_there)
{
    for (int early = 0; early < 2; early++) {
        struct following following;
        struct life life;
        CLEANUP(freep) char *path = NULL;

        begin_with_journal(&life);
        following_begin(&following, life.mem);
        if (early) {
            EXPECT(following_advance(&following));
            EXPECT(scratch_exists(following.copy.fd, "plain.db-journal"));
        }
        put_plain(&life);
        EXPECT(following_advance(&following));
        path = xasprintf("%s/plain.db", following.copy.path);
        EXPECT_INT(sample_value(path), 9);
        following_end(&following);
        end(&life);
    }
}

/* Its pages and their journal may vanish before the files are read; the one without the other is nothing. */
TEST(one_whose_first_transaction_is_under_way_is_not_in_a_base)
{
    static const uint8_t large[1 << 20] = {1};
    struct life_points points;
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result;
    struct writer writer = {0};
    struct writer_plan plan;
    struct life life;
    struct err err;

    life_set_up(&life);
    scratch_open(&copy);
    plan = writer_plan_for(path_of(&life, "new.db"), 0);
    plan.idle = true;
    (void)snprintf(plan.sql, sizeof(plan.sql), "%s",
                   "PRAGMA cache_size=1;BEGIN;CREATE TABLE more AS SELECT zeroblob(99999)");
    REQUIRE(writer_start(&writer, &plan));
    EXPECT(scratch_stat(life.disk.fd, "new.db").st_size > 0);
    scratch_write_bytes(life.disk.fd, "a large file, read first", large, sizeof(large));
    store_fault_add(life.faulty,
                    &(struct store_fault){.operation = "put", .key = "blob/", .kind = FAULT_HOLD});
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    store_fault_await(life.faulty, "put", "blob/", 1);
    writer_kill(&writer);
    EXPECT_INT(unlinkat(life.disk.fd, "new.db", 0), 0);
    EXPECT_INT(unlinkat(life.disk.fd, "new.db-journal", 0), 0);
    store_fault_clear(life.faulty);
    REQUIRE(life_settle(&life));
    REQUIRE_OK(life_list_points(life.mem, &points, &err), &err);
    REQUIRE(points.count > 0);
    REQUIRE_OK(
        reader_restore(life.mem, copy.path, points.records[points.count - 1], NULL, NULL, &result, &err),
        &err);
    EXPECT(!scratch_exists(copy.fd, "new.db"));
    end(&life);
}

TAP_MAIN()
