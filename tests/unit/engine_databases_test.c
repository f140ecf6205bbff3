/* Databases that come, go and take each other's place while an engine ships: each is in the next record, and
 * no base has to be cut for it. */
#include "base/thread.h"
#include "snapshot/reader.h"
#include "tests/unit/databases_life.h"

static bool is_flushing(const struct engine_status *status)
{
    return status->phase == ENGINE_FLUSHING;
}

TEST(one_that_appears_comes_with_a_record)
{
    struct life life;
    size_t before;

    begin(&life);
    before = bases(&life);
    make(&life, "other.db", 3, NULL);
    EXPECT_INT(chmod(path_of(&life, "other.db"), 0640), 0); /* before its record, or after it */
    REQUIRE(life_settle(&life));
    EXPECT_INT(bases(&life), before);
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 3);
    EXPECT_INT(mode_of(&life, "other.db"), 0640);
    EXPECT_INT(life_value(life.disk.path), COMMITS);
    /* What the records brought counts too. */
    EXPECT_INT(life.status.restored_bytes, scratch_stat(life.disk.fd, "db.sqlite3").st_size +
                                               scratch_stat(life.disk.fd, "other.db").st_size);
    end(&life);
}

/* A copy of its file, made while it is written to, could be torn. */
TEST(one_that_is_born_while_a_base_is_read_is_not_in_it)
{
    static const uint8_t large[1 << 20] = {1};
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result;
    struct life life;
    struct life_points points;
    struct err err;

    life_set_up(&life);
    scratch_open(&copy);
    scratch_write_bytes(life.disk.fd, "a large file, read first", large, sizeof(large));
    scratch_write(life.disk.fd, "new.db", "");
    store_fault_add(life.faulty,
                    &(struct store_fault){.operation = "put", .key = "blob/", .kind = FAULT_HOLD});
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    store_fault_await(life.faulty, "put", "blob/", 1);
    make(&life, "new.db", 5, NULL);
    store_fault_clear(life.faulty);
    REQUIRE(life_settle(&life));
    REQUIRE_OK(life_list_points(life.mem, &points, &err), &err);
    REQUIRE(points.count > 0);
    /* The oldest comes last, and is the base. */
    REQUIRE_OK(
        reader_restore(life.mem, copy.path, points.records[points.count - 1], NULL, NULL, &result, &err),
        &err);
    EXPECT(!scratch_exists(copy.fd, "new.db"));
    begin_again(&life);
    EXPECT_INT(value(&life, "new.db"), 5);
    end(&life);
}

/* No event tells of them: they go with the next record, or with the last one. */
TEST(attributes_that_change_later_follow)
{
    struct life life;

    begin(&life);
    make(&life, "other.db", 3, NULL);
    REQUIRE(life_settle(&life));
    EXPECT_INT(chmod(path_of(&life, "other.db"), 0604), 0);
    REQUIRE(life_commit(&life, 1));
    REQUIRE(life_settle(&life));
    life_cut_off(&life);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    EXPECT_INT(mode_of(&life, "other.db"), 0604);
    EXPECT_INT(chmod(path_of(&life, "db.sqlite3"), 0606), 0);
    begin_again(&life);
    EXPECT_INT(mode_of(&life, "db.sqlite3"), 0606);
    EXPECT_INT(mode_of(&life, "other.db"), 0604);
    end(&life);
}

/* A record keeps its bytes while the store doesn't answer. What is seen meanwhile goes with the next one. */
TEST(attributes_that_change_while_a_record_waits_follow_it)
{
    struct life life;
    size_t sent;

    begin(&life);
    sent = store_fault_count(life.faulty, "create", "log/");
    store_fault_add(life.faulty,
                    &(struct store_fault){
                        .operation = "create", .key = "log/", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    REQUIRE(life_commit(&life, 1));
    store_fault_await(life.faulty, "create", "log/", sent + 1);
    EXPECT_INT(chmod(path_of(&life, "db.sqlite3"), 0606), 0);
    engine_flush(life.engine, LIFE_LIMIT_MS);
    REQUIRE(life_await(&life, is_flushing));
    sent = store_fault_count(life.faulty, "create", "log/");
    store_fault_await(life.faulty, "create", "log/", sent + 2); /* the last look lies before the second */
    store_fault_clear(life.faulty);
    begin_again(&life);
    EXPECT_INT(mode_of(&life, "db.sqlite3"), 0606);
    EXPECT_INT(life_value(life.disk.path), COMMITS + 1);
    end(&life);
}

TEST(its_commits_follow)
{
    struct life life;
    struct writer writer = {0};
    struct writer_plan plan;
    size_t before;

    begin(&life);
    before = bases(&life);
    plan = writer_plan_for(path_of(&life, "other.db"), 0);
    plan.commits_max = 10;
    REQUIRE(writer_start(&writer, &plan) && writer_finish(&writer));
    REQUIRE(life_settle(&life));
    REQUIRE(writer_start(&writer, &plan) && writer_finish(&writer) && life_commit(&life, 5));
    REQUIRE(life_settle(&life));
    EXPECT_INT(bases(&life), before);
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 20);
    EXPECT_INT(life_value(life.disk.path), COMMITS + 5);
    end(&life);
}

TEST(one_that_is_replaced_begins_anew_and_one_that_is_deleted_is_gone)
{
    struct life life;
    size_t before;

    begin(&life);
    before = bases(&life);
    make(&life, "other.db", 3, NULL);
    make(&life, "third.db", 4, NULL);
    REQUIRE(life_settle(&life));
    replace(&life, "other.db", 7, "PRAGMA page_size=512; VACUUM");
    delete (&life, "third.db");
    REQUIRE(life_settle(&life));
    EXPECT_INT(bases(&life), before);
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 7);
    EXPECT_INT(value(&life, "third.db"), 0);
    make(&life, "third.db", 2, NULL);
    REQUIRE(life_settle(&life));
    begin_again(&life);
    EXPECT_INT(value(&life, "third.db"), 2);
    end(&life);
}

TEST(where_most_bytes_are_new_a_base_is_cut)
{
    struct life life;
    size_t before;

    begin(&life);
    before = bases(&life);
    replace(&life, "other.db", 3 * COMMITS, NULL);
    REQUIRE(life_settle(&life));
    EXPECT(bases(&life) > before);
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 3 * COMMITS);
    EXPECT_INT(life_value(life.disk.path), COMMITS);
    end(&life);
}

TEST(a_start_on_the_same_disk_has_nothing_to_fetch_or_ship)
{
    struct life life;
    size_t fetched, stored;

    begin(&life);
    make(&life, "other.db", 3, NULL);
    REQUIRE(life_settle(&life));
    life_cut_off(&life);
    fetched = store_fault_count(life.faulty, "get", "part/");
    stored = store_fault_count(life.faulty, "put", "part/");
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    EXPECT_INT(store_fault_count(life.faulty, "get", "part/"), fetched);
    REQUIRE(life_commit(&life, 1));
    REQUIRE(life_settle(&life));
    EXPECT_INT(store_fault_count(life.faulty, "put", "part/"), stored);
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 3);
    EXPECT_INT(life_value(life.disk.path), COMMITS + 1);
    end(&life);
}

/* The image is in a record whose answer was lost, or that was refused for a while. */
TEST(a_store_that_fails_at_that_record_gets_it_again)
{
    static const enum fault_kind kinds[] = {FAULT_BEFORE, FAULT_AFTER};

    for (size_t at = 0; at < 2; at++) {
        struct life life;
        size_t before;
        begin(&life);
        before = bases(&life);
        store_fault_add(
            life.faulty,
            &(struct store_fault){
                .operation = "create", .key = "log/", .times = 3, .kind = kinds[at], .code = ERR_TRANSIENT});
        make(&life, "other.db", 3, NULL);
        REQUIRE(life_commit(&life, 2));
        REQUIRE(life_settle(&life));
        EXPECT_INT(bases(&life), before);
        begin_again(&life);
        EXPECT_INT(value(&life, "other.db"), 3);
        EXPECT_INT(life_value(life.disk.path), COMMITS + 2);
        end(&life);
    }
}

/* It was begun before the database came, and does not hold it; the records behind it do. */
TEST(a_base_that_is_cut_meanwhile_goes_on)
{
    enum engine_answer answer;
    struct engine_base base;
    uint64_t request = 0;
    struct life life;
    struct err err = {0};

    begin(&life);
    make(&life, "old.db", 2, NULL);
    REQUIRE(life_settle(&life));
    store_fault_add(life.faulty, &(struct store_fault){
                                     .operation = "put", .key = "part/", .times = 1, .kind = FAULT_HOLD});
    REQUIRE_OK(engine_ask_base(life.engine, &request, &err), &err);
    store_fault_await(life.faulty, "put", "part/", 1);
    make(&life, "other.db", 3, NULL);
    REQUIRE(life_settle(&life));
    store_fault_release(life.faulty);
    while ((answer = engine_answer_base(life.engine, request, &base)) == ENGINE_ANSWER_WAITS)
        (void)event_wait(engine_event_fd(life.engine), 20);
    EXPECT_INT(answer, ENGINE_ANSWER_BASE);
    REQUIRE(life_commit(&life, 1));
    REQUIRE(life_settle(&life));
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 3);
    EXPECT_INT(value(&life, "old.db"), 2);
    EXPECT_INT(life_value(life.disk.path), COMMITS + 1);
    end(&life);
}

TAP_MAIN()
