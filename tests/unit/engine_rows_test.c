/* Every row of the table "Local or remote at start", end to end (protocol.md: H13, H19, H20). */
#include "snapshot/identity.h"
#include "snapshot/log.h"
#include "tests/double/life_story.h"
#include "tests/tap.h"

#include <sys/statvfs.h>

/* The engine asks how much room there is; here the test answers, unless it is 0. */
static fsblkcnt_t free_mebibytes;

int fstatvfs(int fd, struct statvfs *ret_status)
{
    (void)fd;
    *ret_status = (struct statvfs){
        .f_bsize = 1 << 20, .f_frsize = 1 << 20, .f_bavail = free_mebibytes ? free_mebibytes : 1 << 20};
    return 0;
}

TEST(a_directory_with_data_is_adopted)
{
    struct life life;

    life_set_up(&life);
    REQUIRE(life_commit(&life, 3));
    scratch_write(life.disk.fd, "text", "mine");
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    REQUIRE(life_settle(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_value(life.disk.path), 3);
    EXPECT(life_says(&life, "text", "mine"));
    life_tear_down(&life);
}

TEST(adopted_data_stays_although_its_backend_never_answered)
{
    struct life life;

    life_set_up(&life);
    scratch_write(life.disk.fd, "text", "mine");
    for (int start = 0; start < 3; start++) {
        REQUIRE(life_begin(&life));
        EXPECT(life_says(&life, "text", "mine"));
        if (start == 1)
            life_cut_off(&life);
        else
            EXPECT_INT(life_end(&life), ENGINE_DONE);
    }
    life_tear_down(&life);
}

TEST(an_unfinished_first_boot_is_set_aside)
{
    struct life life;

    life_set_up(&life);
    REQUIRE(life_begin(&life));
    scratch_write(life.disk.fd, "text", "half");
    life_cut_off(&life);
    REQUIRE(life_begin(&life));
    EXPECT(!scratch_exists(life.disk.fd, "text"));
    EXPECT(life_is_aside(&life, "text", "half"));
    EXPECT(life_warned(&life, "set aside"));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(what_served_and_could_not_ship_stays)
{
    struct life life;

    life_set_up(&life);
    REQUIRE(life_begin(&life));
    store_fault_add(life.faulty,
                    &(struct store_fault){.operation = "put", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    engine_answered(life.engine);
    scratch_write(life.disk.fd, "text", "served");
    store_fault_await(life.faulty, "put", NULL, 1);
    life_cut_off(&life);
    store_fault_clear(life.faulty);
    REQUIRE(life_begin(&life));
    EXPECT(life_says(&life, "text", "served"));
    engine_answered(life.engine);
    REQUIRE(life_settle(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(a_store_that_is_empty_is_not_believed_by_a_disk_that_was_kept_in_one)
{
    struct life life;

    life_set_up(&life);
    REQUIRE(life_live(&life, 2, "one"));
    store_free(life.faulty);
    store_free(life.mem);
    life.mem = store_mem_new();
    life.faulty = life.config.store = store_fault_new(life.mem);
    EXPECT(life_refuses(&life, ERR_CONFIG, "HOLDFAST_ADOPT=local"));
    EXPECT_INT(store_mem_count(life.mem, "log/"), 0);
    EXPECT(life_says(&life, "text", "one"));
    life.config.adopt = ADOPT_LOCAL;
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    REQUIRE(life_settle(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life.config.adopt = ADOPT_REFUSE;
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_value(life.disk.path), 2);
    life_tear_down(&life);
}

TEST(two_strangers_need_the_operator)
{
    static const enum engine_adopt adopts[] = {ADOPT_REMOTE, ADOPT_LOCAL};

    for (size_t at = 0; at < 2; at++) {
        struct life life;
        life_set_up(&life);
        REQUIRE(life_live(&life, 2, "remote"));
        life_wipe(&life);
        scratch_write(life.disk.fd, "text", "local");
        EXPECT(life_refuses(&life, ERR_CONFIG, "HOLDFAST_ADOPT"));
        EXPECT(life_says(&life, "text", "local"));
        life.config.adopt = adopts[at];
        REQUIRE(life_begin(&life));
        EXPECT(life_says(&life, "text", at == 0 ? "remote" : "local"));
        EXPECT(life_is_aside(&life, "text", "local") == (at == 0));
        engine_answered(life.engine);
        REQUIRE(life_settle(&life));
        EXPECT_INT(life_end(&life), ENGINE_DONE);
        life.config.adopt = ADOPT_REFUSE;
        life_wipe(&life);
        REQUIRE(life_begin(&life));
        EXPECT(life_says(&life, "text", at == 0 ? "remote" : "local"));
        EXPECT_INT(life_value(life.disk.path), at == 0 ? 2 : 0);
        life_tear_down(&life);
    }
}

TEST(a_disk_of_another_store_is_refused)
{
    struct life life, other;

    life_set_up(&life);
    life_set_up(&other);
    REQUIRE(life_live(&life, 1, "one"));
    REQUIRE(life_live(&other, 1, "other"));
    life.config.store = other.faulty;
    EXPECT(life_refuses(&life, ERR_CONFIG, "lineages differ"));
    EXPECT(life_says(&life, "text", "one"));
    life.config.adopt = ADOPT_REMOTE;
    REQUIRE(life_begin(&life));
    EXPECT(life_says(&life, "text", "other"));
    EXPECT(life_is_aside(&life, "text", "one"));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
    life_tear_down(&other);
}

/* Puts a record of another lineage behind the head. */
static struct key plant_stranger(struct life *life)
{
    uint64_t head = store_mem_count(life->mem, "log/");
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct log_change change = {.kind = RECORD_CLOSE};
    struct id lineage, owner = id_random();
    struct record record;
    struct log log;
    struct err err = {0};

    EXPECT_OK(identity_read(life->mem, &lineage, &err), &err);
    EXPECT_OK(log_read(life->mem, &lineage, head, &bytes, &record, &err), &err);
    record.header.lineage = id_random();
    log_init(&log, life->mem, life->mem, &record.header.lineage);
    log_follow(&log, &record.header, &record.hash);
    log_freeze(&log, &owner, &change);
    EXPECT_OK(log_send(&log, &err), &err);
    log_clear(&log);
    return key_log(head + 1);
}

TEST(a_record_of_another_lineage_is_damage)
{
    struct life life;
    struct key head;

    life_set_up(&life);
    REQUIRE(life_live(&life, 1, "one"));
    head = plant_stranger(&life);
    life_wipe(&life);
    EXPECT(life_refuses(&life, ERR_CORRUPT, head.text));
    life_tear_down(&life);
}

TEST(a_state_file_that_is_damaged_proves_nothing)
{
    struct life life;

    life_set_up(&life);
    REQUIRE(life_live(&life, 1, "one"));
    scratch_write(life.disk.fd, ".holdfast/state", "no state");
    EXPECT(life_refuses(&life, ERR_CONFIG, "HOLDFAST_ADOPT"));
    EXPECT(life_says(&life, "text", "one"));
    life_wipe(&life);
    scratch_write(life.disk.fd, ".holdfast/state", "no state");
    REQUIRE(life_begin(&life));
    EXPECT(life_says(&life, "text", "one"));
    life_tear_down(&life);
}

TEST(too_little_disk_is_said_before_anything_is_fetched)
{
    struct life life;

    life_set_up(&life);
    REQUIRE(life_live(&life, 10, "one"));
    life_wipe(&life);
    free_mebibytes = 10;
    EXPECT(life_refuses(&life, ERR_CONFIG, "not enough disk"));
    EXPECT_INT(store_fault_count(life.faulty, "get", "part/"), 0);
    EXPECT(!scratch_exists(life.disk.fd, "text"));
    free_mebibytes = 0;
    REQUIRE(life_begin(&life));
    life_tear_down(&life);
}

TAP_MAIN()
