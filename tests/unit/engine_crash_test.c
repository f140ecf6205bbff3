/* What leads from one row of the start's table to another: crashes, lost answers, disks that were set back,
 * containers that take turns, restores that are cut off (protocol.md: H5, H6, H19). */
#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/key.h"
#include "tests/double/life_story.h"
#include "tests/tap.h"

#include <fcntl.h>

/* cp -a of the whole disk, state file and all; the engine is not running. */
static void copy_disk(const char *from, const char *to)
{
    CLEANUP(freep) char *source = xasprintf("%s/.", from);
    pid_t child = fork();

    if (child == 0) {
        (void)execlp("cp", "cp", "-a", source, to, (char *)NULL);
        _exit(127);
    }
    (void)waitpid(child, NULL, 0);
}

TEST(a_crash_keeps_the_local_tail_where_the_disk_proves_what_was_shipped)
{
    struct life life;
    size_t bases;

    life_set_up(&life);
    REQUIRE(life_live(&life, 5, "one"));
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    REQUIRE(life_settle(&life));
    store_fault_add(life.faulty,
                    &(struct store_fault){.operation = "put", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    REQUIRE(life_commit(&life, 4));
    scratch_write(life.disk.fd, "text", "tail");
    life_cut_off(&life);
    store_fault_clear(life.faulty);
    bases = store_mem_count(life.mem, "base/");
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_value(life.disk.path), 9);
    EXPECT(life_says(&life, "text", "tail"));
    EXPECT(!scratch_exists(life.disk.fd, ".holdfast/aside"));
    engine_answered(life.engine);
    REQUIRE(life_settle(&life));
    EXPECT_INT(store_mem_count(life.mem, "base/"), bases); /* engine_warm_test.c */
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_value(life.disk.path), 9);
    life_tear_down(&life);
}

static void forget_hashes(const struct life *life)
{
    struct err err = {0};

    EXPECT_OK(fs_remove_tree(life->disk.fd, ".holdfast/hashes", &err), &err);
}

/* The open is confirmed, and a record more. */
static bool has_drained(const struct engine_status *status)
{
    return status->durable_record > status->epoch;
}

TEST(what_landed_although_the_answer_was_lost_counts_as_shipped)
{
    for (int crashes = 1; crashes <= 2; crashes++) {
        struct life life;
        struct key landing;
        life_set_up(&life);
        REQUIRE(life_live(&life, 2, "one"));
        REQUIRE(life_begin(&life));
        engine_answered(life.engine);
        REQUIRE(life_settle(&life));
        landing = key_log(store_mem_count(life.mem, "log/") + 1);
        /* The base record lands, and nothing is heard from the store after that. */
        store_fault_add(life.faulty, &(struct store_fault){
                                         .operation = "create", .kind = FAULT_AFTER, .code = ERR_TRANSIENT});
        store_fault_add(life.faulty, &(struct store_fault){
                                         .operation = "get", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
        scratch_write(life.disk.fd, "text", "two");
        store_fault_await(life.faulty, "get", landing.text, 1); /* it is being read back */
        REQUIRE(life_commit(&life, 1));
        scratch_write(life.disk.fd, "text", "tail");
        life_cut_off(&life);
        for (int crash = 0; crash < crashes; crash++) {
            store_fault_clear(life.faulty);
            forget_hashes(&life); /* so that a base has to be put */
            REQUIRE(life_begin(&life));
            EXPECT(life_says(&life, "text", "tail"));
            EXPECT(!scratch_exists(life.disk.fd, ".holdfast/aside"));
            /* Another attempt to ship that comes to nothing must not make it forget. */
            store_fault_add(life.faulty, &(struct store_fault){
                                             .operation = "put", .kind = FAULT_BEFORE, .code = ERR_DENIED});
            engine_answered(life.engine);
            store_fault_await(life.faulty, "put", NULL, store_fault_count(life.faulty, "put", NULL) + 1);
            engine_drain(life.engine, 1000);
            REQUIRE(life_await(&life, has_drained));
            life_cut_off(&life);
        }
        life_tear_down(&life);
    }
}

TEST(another_container_that_shipped_since_wins_over_a_warm_disk)
{
    struct life first, second;

    life_set_up(&first);
    life_set_up(&second);
    second.config.store = first.faulty;
    REQUIRE(life_live(&first, 3, "first"));
    scratch_write(first.disk.fd, "tail", "not shipped");
    REQUIRE(life_live(&second, 2, "second")); /* restores 3 and goes on to 5 */
    REQUIRE(life_begin(&first));
    EXPECT(life_says(&first, "text", "second"));
    EXPECT_INT(life_value(first.disk.path), 5);
    EXPECT(!scratch_exists(first.disk.fd, "tail"));
    EXPECT(life_is_aside(&first, "tail", "not shipped"));
    EXPECT(life_warned(&first, "set aside"));
    EXPECT_INT(life_end(&first), ENGINE_DONE);
    life_tear_down(&second);
    life_tear_down(&first);
}

TEST(owners_that_alternate_each_find_what_the_other_left)
{
    struct life lives[2];
    char text[32];

    life_set_up(&lives[0]);
    life_set_up(&lives[1]);
    lives[1].config.store = lives[0].faulty;
    for (int turn = 0; turn < 6; turn++) {
        (void)snprintf(text, sizeof(text), "turn %d", turn);
        REQUIRE(life_live(&lives[turn % 2], 1, text));
        EXPECT_INT(life_value(lives[turn % 2].disk.path), turn + 1);
    }
    life_tear_down(&lives[1]);
    life_tear_down(&lives[0]);
}

TEST(a_disk_that_was_set_back_does_not_take_commits_out_of_the_log)
{
    for (int database = 0; database < 2; database++) {
        struct life life;
        struct scratch copy;
        life_set_up(&life);
        scratch_open(&copy);
        REQUIRE(life_live(&life, database ? 3 : 0, "old"));
        copy_disk(life.disk.path, copy.path);
        REQUIRE(life_live(&life, database ? 4 : 0, "new"));
        life_wipe(&life);
        copy_disk(copy.path, life.disk.path);
        EXPECT(life_says(&life, "text", "old"));
        REQUIRE(life_begin(&life));
        EXPECT(life_says(&life, "text", "new"));
        EXPECT_INT(life_value(life.disk.path), database ? 7 : 0);
        EXPECT(life_is_aside(&life, "text", "old"));
        EXPECT_INT(life_end(&life), ENGINE_DONE);
        life_tear_down(&life);
        scratch_close(&copy);
    }
}

TEST(a_database_that_was_put_back_by_hand_beside_the_newest_state_file_proves_nothing)
{
    struct life life;
    struct scratch copy;
    CLEANUP(buf_clearp) struct buf old = BUF_INIT(1 << 26);
    struct err err = {0};

    life_set_up(&life);
    scratch_open(&copy);
    REQUIRE(life_live(&life, 3, "old"));
    copy_disk(life.disk.path, copy.path);
    REQUIRE(life_live(&life, 40, "new"));
    REQUIRE_OK(fs_read_file(copy.fd, "db.sqlite3", &old, &err), &err);
    EXPECT_INT(unlinkat(life.disk.fd, "db.sqlite3", 0), 0);
    (void)unlinkat(life.disk.fd, "db.sqlite3-wal", 0);
    (void)unlinkat(life.disk.fd, "db.sqlite3-shm", 0);
    scratch_write_bytes(life.disk.fd, "db.sqlite3", old.bytes, old.size);
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_value(life.disk.path), 43);
    EXPECT(life_warned(&life, "(db.sqlite3 may lack commits), so the store wins"));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    scratch_close(&copy);
    life_tear_down(&life);
}

TEST(a_restore_that_was_cut_off_is_repeated)
{
    static const char *const held[] = {"part/", "blob/"};

    for (size_t at = 0; at < 2; at++) {
        struct life life;
        char big[50000];
        life_set_up(&life);
        memset(big, 'x', sizeof(big));
        scratch_write_bytes(life.disk.fd, "big", big, sizeof(big));
        REQUIRE(life_live(&life, 3, "one"));
        life_wipe(&life);
        store_fault_add(life.faulty,
                        &(struct store_fault){.operation = "get", .key = held[at], .kind = FAULT_HOLD});
        atomic_store(&life.canceled, false);
        REQUIRE(engine_open(&life.config, &life.canceled, &life.engine, &life.status.err));
        store_fault_await(life.faulty, "get", held[at], 1);
        while (!scratch_exists(life.disk.fd, ".holdfast/state"))
            (void)!clock_pause(1, NULL);
        life_cut_off(&life);
        store_fault_clear(life.faulty);
        EXPECT(!scratch_exists(life.disk.fd, "big"));
        REQUIRE(life_begin(&life));
        EXPECT_INT(life_value(life.disk.path), 3);
        EXPECT_INT(scratch_stat(life.disk.fd, "big").st_size, sizeof(big));
        EXPECT(!scratch_exists(life.disk.fd, ".holdfast/aside"));
        EXPECT_INT(life_end(&life), ENGINE_DONE);
        life_tear_down(&life);
    }
}

TEST(a_takeover_in_the_middle_of_a_base_ignores_what_nobody_announced)
{
    struct life first, second;

    life_set_up(&first);
    life_set_up(&second);
    second.config.store = first.mem;
    first.config.snapshot_interval_ms = 0;
    REQUIRE(life_begin(&first));
    engine_answered(first.engine);
    scratch_write(first.disk.fd, "text", "one");
    REQUIRE(life_settle(&first));
    store_fault_add(first.faulty,
                    &(struct store_fault){.operation = "put", .key = "base/", .kind = FAULT_HOLD});
    scratch_write(first.disk.fd, "text", "two");
    store_fault_await(first.faulty, "put", "base/", 2);
    REQUIRE(life_begin(&second)); /* its part is there, its manifest is on its way */
    EXPECT(life_says(&second, "text", "one"));
    store_fault_release(first.faulty);
    REQUIRE(life_await(&first, life_is_over));
    EXPECT_INT(first.status.phase, ENGINE_FENCED);
    engine_answered(second.engine);
    scratch_write(second.disk.fd, "text", "three");
    REQUIRE(life_settle(&second));
    EXPECT_INT(life_end(&second), ENGINE_DONE);
    /* The manifest that came late is the newest in the listing of its position, and nobody's base. */
    life_wipe(&second);
    REQUIRE(life_begin(&second));
    EXPECT(life_says(&second, "text", "three"));
    life_tear_down(&second);
    life_tear_down(&first);
}

TEST(a_restore_that_fails_leaves_the_directory_empty)
{
    struct life life;

    life_set_up(&life);
    REQUIRE(life_live(&life, 3, "one"));
    life_wipe(&life);
    store_fault_add(life.faulty,
                    &(struct store_fault){.operation = "get", .key = "part/", .kind = FAULT_FLIP});
    EXPECT(life_refuses(&life, ERR_CORRUPT, "part/"));
    EXPECT(!scratch_exists(life.disk.fd, "text"));
    EXPECT(!scratch_exists(life.disk.fd, "db.sqlite3"));
    store_fault_clear(life.faulty);
    REQUIRE(life_begin(&life));
    EXPECT(life_says(&life, "text", "one"));
    life_tear_down(&life);
}

TEST(a_restore_that_fails_over_local_data_leaves_it)
{
    struct life first, second;

    life_set_up(&first);
    life_set_up(&second);
    second.config.store = first.faulty;
    REQUIRE(life_live(&first, 1, "first"));
    REQUIRE(life_live(&second, 1, "second"));
    store_fault_add(first.faulty,
                    &(struct store_fault){.operation = "get", .key = "part/", .kind = FAULT_FLIP});
    EXPECT(life_refuses(&first, ERR_CORRUPT, "part/"));
    EXPECT(life_says(&first, "text", "first"));
    EXPECT_INT(life_value(first.disk.path), 1);
    store_fault_clear(first.faulty);
    REQUIRE(life_begin(&first));
    EXPECT(life_says(&first, "text", "second"));
    EXPECT(life_is_aside(&first, "text", "first"));
    life_tear_down(&second);
    life_tear_down(&first);
}

TAP_MAIN()
