/* Databases that are missing or another on a disk that was kept, where nobody saw the application do it, or
 * what is there now isn't what was seen: they prove nothing. */
#include "tests/unit/gone_life.h"

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
    EXPECT(life_warned(&life, "(sub.sqlite3 is missing or can't be followed)"));
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

static void change_boot(const struct life *life)
{
    struct state state;
    struct err err = {0};

    REQUIRE_OK(state_load(life->disk.fd, &state, &err), &err);
    state.gone.boot[0] = state.gone.boot[0] == '0' ? '1' : '0';
    EXPECT_OK(state_save(life->disk.fd, &state, &err), &err);
    state_clear(&state);
}

/* A life that has followed what took its place, and shipped nothing. */
static void live_on(struct life *life, bool writes)
{
    REQUIRE(life_begin(life));
    expect_kept(life, BEFORE);
    if (writes && has_sub(&life->disk))
        REQUIRE(run_application(life, "sub.sqlite3", "", 3));
    crash(life);
}

/* However well what took its place is known. */
TEST(what_was_seen_before_the_machine_started_anew_lets_the_store_win)
{
    for (size_t at = 0; at < 3; at++)
        for (int lives = 0; lives < 3; lives++) {
            struct life life;
            REQUIRE(begin_with_two(&life));
            lose_store(&life);
            acts[at](&life);
            REQUIRE(await_note(&life));
            crash(&life);
            for (int lived = 0; lived < lives; lived++)
                live_on(&life, lived == 0);
            change_boot(&life);
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
