/* Databases that were deleted or replaced just before a crash, on a disk that is kept: what the application
 * had done to them stays done, and the others keep what was not shipped. */
#include "snapshot/state.h"
#include "tests/unit/warm_life.h"

#include <unistd.h>

enum { BEFORE = 1, TAIL = 5 };

/* One that stays and one that goes, both shipped. */
static bool begin_with_two(struct life *life)
{
    life_set_up(life);
    life->faulty->observer = &observer;
    scratch_mkdir(life->disk.fd, "tmp"); /* not protected */
    scratch_write(life->disk.fd, "text", "there");
    return fill_database(life, "db.sqlite3", SMALL) && fill_database(life, "sub.sqlite3", 20) &&
           life_begin(life) && (engine_answered(life->engine), life_settle(life));
}

static void unlink_sides(const struct life *life)
{
    (void)unlinkat(life->disk.fd, "sub.sqlite3-wal", 0);
    (void)unlinkat(life->disk.fd, "sub.sqlite3-shm", 0);
}

static void delete_sub(const struct life *life)
{
    EXPECT_INT(unlinkat(life->disk.fd, "sub.sqlite3", 0), 0);
    unlink_sides(life);
}

/* Complete when it takes the name, and larger. */
static void replace_sub(struct life *life)
{
    REQUIRE(fill_database(life, "tmp/new.sqlite3", 30));
    unlink_sides(life);
    EXPECT_INT(renameat(life->disk.fd, "tmp/new.sqlite3", life->disk.fd, "sub.sqlite3"), 0);
}

/* Whether the state file says that sub.sqlite3 is gone, and what stands there instead is what does. */
static bool is_noted(const struct life *life)
{
    struct file_id now = {0};
    struct state state;
    struct err err = {0};
    bool noted = false;

    if (!state_load(life->disk.fd, &state, &err) || !file_id_at(life->disk.fd, "sub.sqlite3", &now))
        return false;
    for (size_t at = 0; at < state.gone.count; at++) {
        const struct gone_database *gone = &state.gone.databases[at];
        noted = noted || (strcmp(gone->path, "sub.sqlite3") == 0 && file_id_same(&gone->now, &now) &&
                          file_id_differs(&gone->was, &gone->now));
    }
    state_clear(&state);
    return noted;
}

static bool await_note(const struct life *life)
{
    uint64_t limit_ms = clock_monotonic_ms() + LIFE_LIMIT_MS;

    while (!is_noted(life))
        if (!clock_pause(1, NULL) || clock_monotonic_ms() > limit_ms)
            return false;
    return true;
}

static bool has_sub(const struct scratch *disk)
{
    return scratch_exists(disk->fd, "sub.sqlite3");
}

/* The application commits to one database and does something to the other; then all is killed. */
static void crash_after(struct life *life, void (*act)(struct life *life))
{
    lose_store(life);
    REQUIRE(life_commit(life, TAIL));
    act(life);
    REQUIRE(await_note(life));
    REQUIRE(life_commit(life, TAIL));
    crash(life);
}

static void act_delete(struct life *life)
{
    delete_sub(life);
}

static void act_replace(struct life *life)
{
    replace_sub(life);
}

static void act_recreate(struct life *life)
{
    delete_sub(life);
    REQUIRE(await_note(life));
    REQUIRE(fill_database(life, "sub.sqlite3", 15));
}

static void (*const acts[])(struct life *life) = {act_delete, act_replace, act_recreate};

static void expect_kept(struct life *life, int64_t value)
{
    EXPECT(!life_warned(life, "the store wins"));
    EXPECT(!scratch_exists(life->disk.fd, ".holdfast/aside"));
    EXPECT_INT(life_value(life->disk.path), value);
}

/* The store has what the disk has, and nothing else. */
static void expect_shipped(struct life *life)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result;
    struct err err = {0};

    REQUIRE(life_settle(life));
    expect_same(life, "db.sqlite3");
    scratch_open(&copy);
    REQUIRE_OK(reader_restore(life->mem, copy.path, READER_LATEST, NULL, NULL, &result, &err), &err);
    EXPECT_INT(has_sub(&copy), has_sub(&life->disk));
    if (has_sub(&life->disk))
        expect_copy(life->mem, &life->disk, "sub.sqlite3");
}

TEST(what_became_of_a_database_before_a_crash_does_not_cost_the_others_their_tail)
{
    for (size_t at = 0; at < 3; at++) {
        struct life life;
        REQUIRE(begin_with_two(&life));
        crash_after(&life, acts[at]);
        REQUIRE(life_begin(&life));
        expect_kept(&life, BEFORE + 2 * TAIL);
        EXPECT_INT(has_sub(&life.disk), at > 0);
        engine_answered(life.engine);
        expect_shipped(&life);
        life_tear_down(&life);
    }
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

    REQUIRE(begin_with_two(&life));
    store_fault_add(life.faulty,
                    &(struct store_fault){.operation = "create", .key = "log/", .kind = FAULT_HOLD});
    REQUIRE(life_commit(&life, TAIL));
    store_fault_await(life.faulty, "create", "log/", store_fault_count(life.faulty, "create", "log/"));
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

static size_t count_notes(const struct life *life)
{
    struct state state;
    struct err err = {0};
    size_t count;

    if (!EXPECT(state_load(life->disk.fd, &state, &err)))
        return SIZE_MAX;
    count = state.gone.count;
    state_clear(&state);
    return count;
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

/* --- what proves nothing ----------------------------------------------------------------------------- */

static void expect_store_wins(struct life *life)
{
    REQUIRE(life_begin(life));
    EXPECT(life_warned(life, "the store wins"));
    EXPECT_INT(life_value(life->disk.path), BEFORE);
    EXPECT(has_sub(&life->disk));
    EXPECT_INT(count_notes(life), 0);
    engine_answered(life->engine);
    expect_shipped(life);
}

TEST(a_database_that_was_deleted_while_nobody_watched_lets_the_store_win)
{
    struct life life;

    REQUIRE(begin_with_two(&life));
    REQUIRE(crash_with(&life, TAIL));
    delete_sub(&life);
    expect_store_wins(&life);
    life_tear_down(&life);
}

static void keep_copy(const struct life *life)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 26);
    struct err err = {0};

    REQUIRE_OK(fs_read_file(life->disk.fd, "sub.sqlite3", &bytes, &err), &err);
    scratch_write_bytes(life->disk.fd, "tmp/copy", bytes.bytes, bytes.size);
}

/* In the place of nothing, and in that of what the application had put there. */
TEST(a_database_that_was_put_back_by_hand_lets_the_store_win)
{
    for (size_t at = 0; at < 3; at++) {
        struct life life;
        REQUIRE(begin_with_two(&life));
        REQUIRE(run_application(&life, "sub.sqlite3", "", 1));
        keep_copy(&life); /* without what the log says */
        REQUIRE(life_settle(&life));
        crash_after(&life, acts[at]);
        if (has_sub(&life.disk))
            delete_sub(&life);
        EXPECT_INT(renameat(life.disk.fd, "tmp/copy", life.disk.fd, "sub.sqlite3"), 0);
        expect_store_wins(&life);
        life_tear_down(&life);
    }
}

/* What is noted of one database says nothing of another. */
TEST(another_database_that_is_missing_lets_the_store_win)
{
    struct life life;

    REQUIRE(begin_with_two(&life));
    crash_after(&life, act_delete);
    EXPECT_INT(unlinkat(life.disk.fd, "db.sqlite3", 0), 0);
    (void)unlinkat(life.disk.fd, "db.sqlite3-wal", 0);
    (void)unlinkat(life.disk.fd, "db.sqlite3-shm", 0);
    expect_store_wins(&life);
    life_tear_down(&life);
}

/* A machine that died may have lost the deletion: what is there then is proved as ever, and no note is left
 * that would speak for it later. */
TEST(a_deletion_that_is_undone_is_no_deletion)
{
    struct life life;

    REQUIRE(begin_with_two(&life));
    EXPECT_INT(linkat(life.disk.fd, "sub.sqlite3", life.disk.fd, "tmp/sub", 0), 0);
    crash_after(&life, act_delete);
    EXPECT_INT(renameat(life.disk.fd, "tmp/sub", life.disk.fd, "sub.sqlite3"), 0);
    REQUIRE(life_begin(&life));
    expect_kept(&life, BEFORE + 2 * TAIL);
    EXPECT(has_sub(&life.disk));
    EXPECT_INT(count_notes(&life), 0);
    crash(&life);
    delete_sub(&life);
    expect_store_wins(&life);
    life_tear_down(&life);
}

/* Without a database that is there, the files have to prove it all. */
TEST(the_only_database_may_go_where_the_files_prove_the_rest)
{
    for (int changed = 0; changed < 2; changed++) {
        struct life life;
        life_set_up(&life);
        REQUIRE(fill_database(&life, "sub.sqlite3", 20));
        scratch_write(life.disk.fd, "text", "shipped");
        REQUIRE(life_begin(&life));
        engine_answered(life.engine);
        REQUIRE(life_settle(&life));
        lose_store(&life);
        delete_sub(&life);
        REQUIRE(await_note(&life));
        crash(&life);
        if (changed)
            scratch_write(life.disk.fd, "text", "another");
        REQUIRE(life_begin(&life));
        EXPECT_INT(has_sub(&life.disk), changed);
        EXPECT(life_says(&life, "text", "shipped"));
        life_tear_down(&life);
    }
}

TAP_MAIN()
