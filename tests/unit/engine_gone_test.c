/* Databases that were deleted or replaced just before a crash, on a disk that is kept: what the application
 * had done to them stays done, and the others keep what was not shipped. */
#include "tests/unit/gone_life.h"

#include <dirent.h>

static size_t count_tables(const struct life *life)
{
    CLEANUP(freep) char *path = xasprintf("%s/.holdfast/hashes", life->disk.path);
    DIR *folder = opendir(path);
    size_t count = 0;

    if (!EXPECT(folder))
        return SIZE_MAX;
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.' && strcmp(entry->d_name, "journal") != 0;
    (void)closedir(folder);
    return count;
}

TEST(what_became_of_a_database_before_a_crash_does_not_cost_the_others_their_tail)
{
    for (size_t at = 0; at < 3; at++) {
        struct life life;
        size_t bases;
        REQUIRE(begin_with_two(&life));
        bases = store_mem_count(life.mem, "base/");
        crash_after(&life, acts[at]);
        REQUIRE(life_begin(&life));
        expect_kept(&life, BEFORE + 2 * TAIL);
        EXPECT_INT(has_sub(&life.disk), at > 0);
        engine_answered(life.engine);
        REQUIRE(life_settle(&life));
        EXPECT_INT(store_mem_count(life.mem, "base/"), bases); /* in the next record, as ever */
        EXPECT_INT(count_tables(&life), at > 0 ? 2 : 1);
        REQUIRE(crash_with(&life, TAIL)); /* … and the tables are right */
        expect_difference(&life, FEW_BYTES);
        expect_shipped(&life);
        life_tear_down(&life);
    }
}

/* What comes back has the database, which this start may not treat as one. */
TEST(a_database_that_may_not_be_followed_any_more_becomes_a_file)
{
    struct life life;

    REQUIRE(begin_with_two(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    for (int wiped = 1; wiped >= 0; wiped--) {
        life.config.databases = wiped ? "db.sqlite3" : "*";
        life_wipe(&life);
        scratch_mkdir(life.disk.fd, "tmp");
        REQUIRE(life_begin(&life));
        engine_answered(life.engine);
        REQUIRE(life_commit(&life, TAIL));
        expect_shipped(&life);
    }
    life_tear_down(&life);
}

/* Nothing can be shipped by several lives, and the application goes on in each. */
TEST(crashes_before_it_is_shipped_lose_nothing)
{
    for (size_t at = 0; at < 3; at++) {
        struct life life;
        REQUIRE(begin_with_two(&life));
        crash_after(&life, acts[at]);
        for (int crashes = 0; crashes < 2; crashes++) {
            struct stat before;
            REQUIRE(life_begin(&life));
            EXPECT(is_noted(&life));
            lose_store(&life);
            before = scratch_stat(life.disk.fd, ".holdfast/state");
            REQUIRE(life_commit(&life, TAIL));
            EXPECT(remembers(&life, before)); /* the log that this began */
            engine_answered(life.engine);
            if (crashes == 1 && has_sub(&life.disk)) { /* what took its place goes too */
                delete_sub(&life);
                REQUIRE(await_note(&life));
            }
            crash(&life);
        }
        REQUIRE(life_begin(&life));
        expect_kept(&life, BEFORE + 4 * TAIL);
        EXPECT(!has_sub(&life.disk));
        engine_answered(life.engine);
        expect_shipped(&life);
        life_tear_down(&life);
    }
}

/* The record that says so landed, and nobody heard of it; or it never arrived. */
TEST(the_record_that_says_so_may_have_landed_or_not)
{
    static const enum fault_kind kinds[] = {FAULT_BEFORE, FAULT_AFTER};

    for (size_t at = 0; at < 2; at++) {
        struct life life;
        size_t sent;
        REQUIRE(begin_with_two(&life));
        sent = store_fault_count(life.faulty, "create", "log/");
        store_fault_add(life.faulty, &(struct store_fault){
                                         .operation = "create", .kind = kinds[at], .code = ERR_TRANSIENT});
        store_fault_add(life.faulty, &(struct store_fault){
                                         .operation = "get", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
        delete_sub(&life);
        store_fault_await(life.faulty, "create", "log/", sent + 2);
        REQUIRE(await_note(&life));
        REQUIRE(life_commit(&life, TAIL));
        crash(&life);
        REQUIRE(life_begin(&life));
        expect_kept(&life, BEFORE + TAIL);
        EXPECT(!has_sub(&life.disk));
        engine_answered(life.engine);
        expect_shipped(&life);
        life_tear_down(&life);
    }
}

/* Seen and noted while the engine's thread waits for a record to arrive. */
TEST(what_happens_while_a_record_is_on_its_way_is_noted_at_once)
{
    struct life life;
    size_t sent;

    REQUIRE(begin_with_two(&life));
    sent = store_fault_count(life.faulty, "create", "log/");
    store_fault_add(life.faulty,
                    &(struct store_fault){.operation = "create", .key = "log/", .kind = FAULT_HOLD});
    REQUIRE(life_commit(&life, TAIL));
    store_fault_await(life.faulty, "create", "log/", sent + 1);
    delete_sub(&life);
    REQUIRE(await_note(&life));
    replace_sub(&life);
    REQUIRE(await_note(&life));
    crash(&life);
    REQUIRE(life_begin(&life));
    expect_kept(&life, BEFORE + TAIL);
    engine_answered(life.engine);
    expect_shipped(&life);
    life_tear_down(&life);
}

TEST(what_is_shipped_is_not_noted_any_longer)
{
    for (size_t at = 0; at < 3; at++) {
        struct life life;
        REQUIRE(begin_with_two(&life));
        acts[at](&life);
        REQUIRE(life_commit(&life, TAIL));
        REQUIRE(life_settle(&life));
        REQUIRE(life_commit(&life, TAIL)); /* the state file is written with the next record */
        REQUIRE(life_settle(&life));
        EXPECT_INT(count_notes(&life), 0);
        crash(&life);
        if (has_sub(&life.disk))
            delete_sub(&life);
        REQUIRE(life_begin(&life));
        EXPECT_INT(has_sub(&life.disk), at > 0); /* by hand: the store wins */
        life_tear_down(&life);
    }
}

TAP_MAIN()
