/* HOLDFAST_RESTORE_AT: an earlier state becomes the newest one, once for each value, whatever the disk. */
#include "snapshot/engine.h"

#include "snapshot/identity.h"
#include "snapshot/log.h"
#include "snapshot/reader.h"
#include "tests/double/past.h"
#include "tests/tap.h"

static struct record_header read_header(struct life *life, uint64_t position)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record = {.body = NULL};
    struct id lineage;
    struct err err = {0};

    EXPECT_OK(identity_read(life->mem, &lineage, &err), &err);
    EXPECT_OK(log_read(life->mem, &lineage, position, &bytes, &record, &err), &err);
    return record.header;
}

struct listed {
    uint64_t superseded;
    uint64_t others;
    uint64_t taken_from;
};

static bool count_point(void *context, const struct reader_point *point)
{
    struct listed *listed = context;

    listed->superseded += point->superseded;
    listed->others += !point->superseded;
    if (point->taken_from > 0)
        listed->taken_from = point->taken_from;
    return true;
}

static void expect_points(struct past *past)
{
    struct listed listed = {.superseded = 0};
    struct reader_result result;
    struct err err = {0};

    EXPECT(past_restores(past, past->record[1], "one"));
    EXPECT(past_restores(past, past->record[2], "two"));
    EXPECT(past_restores(past, past->record[3], "three"));
    EXPECT(past_restores(past, READER_LATEST, "four"));
    EXPECT_OK(reader_verify(past->life.mem, NULL, NULL, NULL, &result, &err), &err);
    EXPECT_OK(reader_list(past->life.mem, count_point, &listed, &err), &err);
    EXPECT_INT(listed.taken_from, past->record[2]);
    EXPECT(listed.superseded >= 1); /* version 3 */
    EXPECT(listed.others >= 4);     /* one, two, the roll-back, four */
}

TEST(a_warm_disk_is_rolled_back_once_and_what_is_superseded_stays_a_point)
{
    struct past past;
    struct life *life = &past.life;
    size_t fetched;

    REQUIRE(past_set_up(&past));
    past_ask_for(&past, POINT_RECORD, past.record[2]);
    REQUIRE(past_starts(&past, ROLL_BACK_DONE));
    EXPECT_INT(life->status.taken_from, past.record[2]);
    EXPECT(past_holds(&past, "two", 2));
    EXPECT(scratch_exists(life->disk.fd, "old") && !scratch_exists(life->disk.fd, "new"));
    EXPECT(life_is_aside(life, "text", "three") && life_warned(life, "set aside"));
    engine_answered(life->engine);
    scratch_write(life->disk.fd, "text", "four");
    REQUIRE(life_settle(life));
    life_cut_off(life); /* kill -9 */
    fetched = store_fault_count(life->faulty, "get", "part/");
    REQUIRE(past_starts(&past, ROLL_BACK_EARLIER));
    EXPECT_INT(store_fault_count(life->faulty, "get", "part/"), fetched); /* the disk proves itself */
    EXPECT(past_holds(&past, "four", 2));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    expect_points(&past);
    past_tear_down(&past);
}

/* What a start that has just rolled back has appended. */
static void expect_announced(struct life *life)
{
    struct record_header header = read_header(life, life->status.durable_record);

    EXPECT_INT(header.kind, RECORD_BASE);
    EXPECT_INT(header.data_position, header.position);
    EXPECT(point_equal(&header.roll_back, &life->config.restore_at));
    EXPECT(life->status.published && !life->status.has_changes);
}

static bool forget(void *context, const struct store_entry *entry, struct err *err)
{
    return store_delete(context, entry->key, err);
}

/* As pruning does once the horizon is there: so many blobs of before, which come first. */
static void forget_blobs(struct life *life, size_t count)
{
    struct err err = {0};

    EXPECT_INT(store_mem_count(life->mem, "blob/"), count + 1);
    EXPECT_OK(store_list(life->mem, "blob/", NULL, count, forget, life->mem, &err), &err);
}

TEST(an_empty_disk_is_rolled_back_once_and_needs_nothing_that_may_be_pruned)
{
    struct past past;
    struct life *life = &past.life;
    struct record_header header;

    REQUIRE(past_set_up(&past));
    past_ask_for(&past, POINT_RECORD, past.record[2]);
    life_wipe(life);
    REQUIRE(past_starts(&past, ROLL_BACK_DONE));
    EXPECT(past_holds(&past, "two", 2));
    EXPECT(!scratch_exists(life->disk.fd, ".holdfast/aside") && !life_warned(life, "set aside"));
    expect_announced(life);
    life_cut_off(life);                /* the backend never answered */
    forget_blobs(life, PAST_VERSIONS); /* the second one's too: the third had dropped it */
    life_wipe(life);
    REQUIRE(past_starts(&past, ROLL_BACK_EARLIER));
    EXPECT(past_holds(&past, "two", 2));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life->config.restore_at = (struct point){.kind = POINT_NONE};
    REQUIRE(past_starts(&past, ROLL_BACK_NONE));
    header = read_header(life, life->status.durable_record);
    EXPECT_INT(header.roll_back.value, past.record[2]); /* remembered all the same */
    past_tear_down(&past);
}

/* On an empty disk. */
static void expect_roll_back(struct past *past, uint64_t record, const char *text, int version)
{
    struct life *life = &past->life;

    life_wipe(life);
    REQUIRE(past_starts(past, ROLL_BACK_DONE));
    EXPECT_INT(life->status.taken_from, record);
    EXPECT(past_holds(past, text, version));
    life_cut_off(life);
}

TEST(every_other_value_rolls_back_again_to_a_base_a_record_a_time_or_the_head)
{
    struct past past;
    uint64_t time_ns, head;

    REQUIRE(past_set_up(&past));
    time_ns = read_header(&past.life, past.record[2]).time_ns;
    past_ask_for(&past, POINT_RECORD, past.record[1]);
    expect_roll_back(&past, past.record[1], "one", 1);
    past_ask_for(&past, POINT_RECORD, past.record[3]); /* superseded */
    expect_roll_back(&past, past.record[3], "three", 3);
    past_ask_for(&past, POINT_RECORD, past.record[1]); /* only the last value is remembered */
    expect_roll_back(&past, past.record[1], "one", 1);
    past_ask_for(&past, POINT_TIME, time_ns);
    expect_roll_back(&past, past.record[2], "two", 2);
    past_ask_for(&past, POINT_TIME, UINT64_MAX);
    head = store_mem_count(past.life.mem, "log/");
    expect_roll_back(&past, head, "two", 2);
    past_tear_down(&past);
}

TEST(a_container_that_still_runs_is_superseded_and_fenced)
{
    struct past past;
    struct life *life = &past.life, other;

    REQUIRE(past_set_up(&past));
    life_set_up(&other);
    other.config.store = life->faulty;
    REQUIRE(life_begin(&other));
    engine_answered(other.engine);
    scratch_write(other.disk.fd, "text", "four");
    REQUIRE(life_settle(&other));
    past_ask_for(&past, POINT_RECORD, past.record[2]);
    REQUIRE(past_starts(&past, ROLL_BACK_DONE));
    EXPECT(past_holds(&past, "two", 2));
    scratch_write(other.disk.fd, "text", "too late");
    REQUIRE(life_await(&other, life_is_over));
    EXPECT_INT(other.status.phase, ENGINE_FENCED);
    life_cut_off(life);
    life_tear_down(&other);
    past_tear_down(&past);
}

TEST(a_point_that_is_not_there_is_refused_before_anything_is_touched)
{
    struct past past;
    struct life *life = &past.life;
    size_t records;

    REQUIRE(past_set_up(&past));
    records = store_mem_count(life->mem, "log/");
    past_ask_for(&past, POINT_TIME, read_header(life, 1).time_ns - 10000000);
    EXPECT(life_refuses(life, ERR_CONFIG, "HOLDFAST_RESTORE_AT: 2"));
    EXPECT(life_refuses(life, ERR_CONFIG, "before the first point"));
    past_ask_for(&past, POINT_RECORD, 1);
    EXPECT(life_refuses(life, ERR_CONFIG, "record 1 can't be restored"));
    past_ask_for(&past, POINT_RECORD, records + 1);
    EXPECT(life_refuses(life, ERR_CONFIG, "does not exist"));
    EXPECT_INT(store_mem_count(life->mem, "log/"), records); /* nobody was fenced */
    EXPECT(past_holds(&past, "three", 3));
    EXPECT(!scratch_exists(life->disk.fd, ".holdfast/aside"));
    past_tear_down(&past);
}

TEST(an_empty_store_has_no_point)
{
    struct life life;

    life_set_up(&life);
    life.config.restore_at = (struct point){POINT_RECORD, 1};
    EXPECT(life_refuses(&life, ERR_CONFIG, "HOLDFAST_RESTORE_AT"));
    EXPECT_INT(store_mem_count(life.mem, "holdfast.json"), 0);
    life_tear_down(&life);
}

TEST(a_damaged_record_that_is_needed_is_named_and_one_after_the_point_is_not)
{
    struct past past;
    struct life *life = &past.life;
    struct key key;

    REQUIRE(past_set_up(&past));
    key = key_log(past.record[2]);
    store_fault_add(life->faulty,
                    &(struct store_fault){.operation = "get", .key = key.text, .kind = FAULT_FLIP});
    past_ask_for(&past, POINT_RECORD, past.record[2]);
    EXPECT(life_refuses(life, ERR_CORRUPT, key.text));
    EXPECT(past_holds(&past, "three", 3));
    life_wipe(life);
    EXPECT(life_refuses(life, ERR_CORRUPT, key.text));
    EXPECT(!scratch_exists(life->disk.fd, "text"));
    past_ask_for(&past, POINT_RECORD, past.record[1]);
    REQUIRE(past_starts(&past, ROLL_BACK_DONE));
    EXPECT(life_warned(life, "superseded"));
    EXPECT(past_holds(&past, "one", 1));
    EXPECT_INT(life_end(life), ENGINE_DONE);
    past_tear_down(&past);
}

TAP_MAIN()
