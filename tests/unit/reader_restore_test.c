/* Any record from the horizon on: restored elsewhere, found by its time, listed. */
#include "snapshot/reader.h"

#include "base/clock.h"
#include "tests/double/scratch.h"
#include "tests/double/store_fault.h"
#include "tests/double/story.h"
#include "tests/tap.h"

static bool restores(struct story *story, struct store *store, uint64_t at)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result = {0};
    struct err err = {0};
    bool right;

    scratch_open(&copy);
    right = reader_restore(store, copy.path, at, NULL, NULL, &result, &err);
    if (!right)
        printf("#   record %llu: %s\n", (unsigned long long)at, err.text);
    return right && EXPECT(!scratch_exists(copy.fd, ".holdfast")) &&
           EXPECT(result.record <= (at == READER_LATEST ? history_head(&story->history) : at)) &&
           story_matches(story, at == READER_LATEST ? history_head(&story->history) : at, copy.fd);
}

static void expect_refused(struct store *store, uint64_t at, enum err_code code, const char *why)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result;
    struct err err = {0};

    scratch_open(&copy);
    EXPECT(!reader_restore(store, copy.path, at, NULL, NULL, &result, &err));
    EXPECT_INT(err.code, code);
    if (!EXPECT(strstr(err.text, why) != NULL))
        printf("#   %s\n", err.text);
    EXPECT(!scratch_exists(copy.fd, "db.sqlite3"));
}

TEST(every_record_from_the_horizon_on_is_restored)
{
    for (uint64_t seed = 70; seed < 73; seed++) {
        struct story story;

        story_tell(&story, seed);
        for (uint64_t at = story.history.log.newest.horizon; at <= history_head(&story.history); at++)
            REQUIRE(restores(&story, story.history.mem, at));
        EXPECT(restores(&story, story.history.mem, READER_LATEST));
        story_end(&story);
    }
}

TEST(what_is_not_there_is_refused_and_why)
{
    struct story story;

    story_tell(&story, 73);
    expect_refused(story.history.mem, 1, ERR_CONFIG, "pruned");
    expect_refused(story.history.mem, history_head(&story.history) + 1, ERR_CONFIG, "does not exist");
    story_end(&story);
}

/* The base at the horizon reaches down to records that lie below the horizon: its P is below its record. */
TEST(what_lies_below_the_horizon_is_refused_though_it_could_be_restored)
{
    struct story story;
    uint64_t position;

    story_begin(&story, 73);
    story_step(&story);
    position = history_head(&story.history);
    story_step(&story);
    story.base = 0;
    story.history.log.newest.horizon = 0;
    story_cut(&story, position, 0, false);
    for (uint64_t at = position; at < story.base; at++)
        expect_refused(story.history.mem, at, ERR_CONFIG, "pruned");
    EXPECT(restores(&story, story.history.mem, story.base));
    story_end(&story);
}

TEST(a_record_that_is_missing_damaged_or_foreign_is_named)
{
    struct story story;
    struct store *faulty;
    struct key key;
    uint64_t at;

    story_tell(&story, 74);
    at = history_head(&story.history) - 1; /* behind the newest base */
    key = key_log(at);
    faulty = store_fault_new(story.history.mem);
    store_fault_add(faulty, &(struct store_fault){.operation = "get", .key = key.text, .kind = FAULT_FLIP});
    expect_refused(faulty, READER_LATEST, ERR_CORRUPT, key.text);
    store_fault_clear(faulty);
    store_fault_add(faulty,
                    &(struct store_fault){
                        .operation = "get", .key = key.text, .kind = FAULT_BEFORE, .code = ERR_NOT_FOUND});
    expect_refused(faulty, READER_LATEST, ERR_CORRUPT, key.text);
    store_free(faulty);
    story_end(&story);
}

TEST(a_record_of_another_branch_is_refused)
{
    struct story story;
    struct history other;
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    uint64_t at;

    story_tell(&story, 75);
    at = history_head(&story.history) - 1;
    history_begin(&other);
    other.log.newest.lineage = story.history.lineage;
    history_fill(&other, at - 1, 9);
    history_read(&other, at, &bytes);
    history_replace(&story.history, at, &bytes);
    expect_refused(story.history.mem, READER_LATEST, ERR_CORRUPT, key_log(at).text);
    expect_refused(story.history.mem, at, ERR_CORRUPT, key_log(at).text);
    history_end(&other);
    story_end(&story);
}

/* One fault that goes away is met by the next plan. */
TEST(a_fault_that_passes_is_no_damage)
{
    struct story story;
    struct store *faulty;

    story_tell(&story, 76);
    faulty = store_fault_new(story.history.mem);
    store_fault_add(faulty,
                    &(struct store_fault){
                        .operation = "get", .key = "log/", .skip = 4, .times = 1, .kind = FAULT_TRUNCATE});
    EXPECT(restores(&story, faulty, READER_LATEST));
    store_free(faulty);
    story_end(&story);
}

static atomic_bool canceled;

static void cancel(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    EXPECT(done <= total);
    atomic_store(&canceled, true);
}

TEST(a_restore_ends_when_it_is_canceled_and_leaves_nothing)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_progress progress = {cancel, NULL};
    struct reader_result result;
    struct story story;
    struct err err = {0};

    story_tell(&story, 77);
    scratch_open(&copy);
    EXPECT(!reader_restore(story.history.mem, copy.path, READER_LATEST, &progress, &canceled, &result, &err));
    EXPECT_INT(err.code, ERR_CANCELED);
    EXPECT(!scratch_exists(copy.fd, "db.sqlite3"));
    story_end(&story);
}

/* --- by time, and listed ----------------------------------------------------------------------------- */

static struct record_header header_of(struct story *story, uint64_t position)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;

    history_read(&story->history, position, &bytes);
    if (!record_decode(bytes.bytes, bytes.size, &record, &(struct err){0}))
        abort();
    return record.header;
}

TEST(a_time_gives_the_last_record_that_is_not_later)
{
    struct story story;
    struct store *counted;
    uint64_t head, horizon, found = 1;
    struct err err = {0};

    story_tell(&story, 78);
    counted = store_fault_new(story.history.mem);
    head = history_head(&story.history);
    horizon = story.history.log.newest.horizon;
    for (uint64_t at = horizon; at <= head; at++) {
        uint64_t time_ns = header_of(&story, at).time_ns;
        REQUIRE_OK(reader_find_time(counted, time_ns, &found, &err), &err);
        EXPECT(found >= at && found <= head);
        EXPECT_INT(header_of(&story, found).time_ns / NS_PER_MS, time_ns / NS_PER_MS);
        EXPECT(found == head || header_of(&story, found + 1).time_ns / NS_PER_MS > time_ns / NS_PER_MS);
    }
    EXPECT(store_fault_count(counted, "get", "log/") <= 7 * (head - horizon + 1));
    REQUIRE_OK(reader_find_time(counted, UINT64_MAX, &found, &err), &err);
    EXPECT_INT(found, head);
    REQUIRE_OK(reader_find_time(counted, header_of(&story, horizon).time_ns - NS_PER_MS, &found, &err), &err);
    EXPECT_INT(found, 0);
    store_free(counted);
    story_end(&story);
}

struct listed {
    struct story *story;
    uint64_t previous;
    size_t data;
    size_t bases;
    size_t limit;
};

static bool note_point(void *context, const struct reader_point *point)
{
    struct listed *listed = context;
    struct record_header header = header_of(listed->story, point->record);

    EXPECT_INT(point->kind, header.kind);
    EXPECT_INT(point->time_ns, header.time_ns);
    EXPECT(point->record < listed->previous);
    EXPECT(point->bytes > 0);
    listed->previous = point->record;
    listed->data += point->kind == RECORD_DATA;
    listed->bases += point->kind == RECORD_BASE;
    return listed->data + listed->bases < listed->limit;
}

TEST(bases_and_data_records_are_listed_newest_first)
{
    struct story story;
    struct listed listed = {.story = &story, .previous = UINT64_MAX, .limit = 1000};
    struct store *counted;
    struct err err = {0};

    story_tell(&story, 79);
    counted = store_fault_new(story.history.mem);
    EXPECT_OK(reader_list(counted, note_point, &listed, &err), &err);
    EXPECT_INT(listed.bases, 5);
    EXPECT_INT(listed.data, 28);
    EXPECT_INT(listed.previous, story.history.log.newest.horizon);
    listed = (struct listed){.story = &story, .previous = UINT64_MAX, .limit = 3};
    EXPECT_OK(reader_list(counted, note_point, &listed, &err), &err);
    EXPECT_INT(listed.bases + listed.data, 3);
    store_free(counted);
    story_end(&story);
}

TAP_MAIN()
