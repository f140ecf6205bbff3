/* Records that do not follow from the state before them, and parts that are not what they should be. */
#include "tests/double/attempt.h"
#include "tests/double/store_fault.h"
#include "tests/tap.h"

static void expect_refused(struct attempt attempt, enum err_code code, const char *key, const char *why)
{
    EXPECT(!attempt_carry_out(&attempt));
    EXPECT_INT(attempt.err.code, code);
    if (!EXPECT(strncmp(attempt.err.text, key, strlen(key)) == 0 && strstr(attempt.err.text, why) != NULL))
        printf("#   %s\n", attempt.err.text);
    attempt_clear(&attempt);
}

static void begin_with(struct story *story, struct buf *body)
{
    story_begin(story, 61);
    *body = story_body();
}

/* Applies one composed record behind the base. */
static void expect_body_refused(struct story *story, struct buf *body, const char *why)
{
    uint64_t position = story_append(story, body);

    expect_refused(
        (struct attempt){.story = story, .announced = story->base, .through = position, .staged = true},
        ERR_CORRUPT, key_log(position).text, why);
    story_end(story);
}

TEST(nothing_is_written_through_a_symlink_or_below_a_file)
{
    static const enum entry_kind kinds[] = {ENTRY_SYMLINK, ENTRY_FILE};

    for (size_t at = 0; at < 2; at++) {
        struct story story;
        struct buf body;

        begin_with(&story, &body);
        attempt_put_plain(&body, kinds[at], "way");
        attempt_put_plain(&body, ENTRY_FILE, "way/out");
        expect_body_refused(&story, &body, "no directory");
    }
}

TEST(nothing_is_written_below_a_database)
{
    struct story story;
    struct buf body;

    begin_with(&story, &body);
    attempt_put_plain(&body, ENTRY_FILE, "db.sqlite3/x");
    expect_body_refused(&story, &body, "below a database");
}

/* A frame that makes page 1 of the first database of something else. */
static struct buf frame_of(struct story *story)
{
    const struct story_database *database = &story->now.databases[0];
    CLEANUP(freep) uint8_t *page = xcalloc(1, database->page_size);
    struct buf frame = BUF_INIT(DELTA_FRAME_MAX);
    struct err err = {0};

    page[7] = 1;
    if (!delta_encode(story->codec, page, database->page_size,
                      (struct codec_prefix){database->bytes, database->page_size}, &frame, &err))
        abort();
    return frame;
}

enum run_fault {
    RUN_OTHER_HASH,
    RUN_OTHER_PREFIX,
    RUN_NOT_LAST,
    RUN_EARLIER,
    RUN_FROM_LATER,
    RUN_AFTER_GONE,
    RUN_BELOW_DATABASE,
    RUN_FAULTS
};

TEST(runs_that_do_not_follow_from_the_state_are_refused)
{
    static const char *const why[RUN_FAULTS] = {
        [RUN_OTHER_HASH] = "hash",
        [RUN_OTHER_PREFIX] = "",
        [RUN_NOT_LAST] = "within a commit",
        [RUN_EARLIER] = "earlier",
        [RUN_FROM_LATER] = "later record",
        [RUN_AFTER_GONE] = "is gone",
        [RUN_BELOW_DATABASE] = "below a database",
    };

    for (int fault = 0; fault < RUN_FAULTS; fault++) {
        struct story story;
        struct buf body, frame;
        struct data_run run;

        begin_with(&story, &body);
        frame = frame_of(&story);
        run = story_run_of(&story, "db.sqlite3", &frame);
        if (fault == RUN_OTHER_PREFIX)
            frame.bytes[frame.size - 1] ^= 0x55;
        if (fault == RUN_NOT_LAST)
            run.is_last = false;
        if (fault == RUN_EARLIER)
            run.incarnation--;
        if (fault == RUN_FROM_LATER)
            run.incarnation += 1000;
        if (fault == RUN_AFTER_GONE)
            data_add_database_gone(&body, run.path, run.incarnation);
        if (fault == RUN_BELOW_DATABASE)
            run.path = "db.sqlite3/db";
        data_add_run(&body, &run);
        buf_clear(&frame);
        expect_body_refused(&story, &body, why[fault]);
    }
}

TEST(another_incarnation_can_not_be_gone)
{
    struct story story;
    struct buf body;

    begin_with(&story, &body);
    data_add_database_gone(&body, "db.sqlite3", story.now.databases[0].incarnation + 1);
    expect_body_refused(&story, &body, "another incarnation");
}

TEST(attributes_are_those_of_a_database_that_is_there)
{
    for (int fault = 0; fault < 3; fault++) {
        struct story story;
        struct buf body;
        struct data_attributes attributes = {.path = fault == 0 ? "none" : "db.sqlite3", .mode = 0640};

        begin_with(&story, &body);
        attributes.incarnation = story.now.databases[0].incarnation + (fault == 1);
        if (fault == 2)
            data_add_database_gone(&body, attributes.path, attributes.incarnation);
        data_add_attributes(&body, &attributes);
        expect_body_refused(&story, &body, "attributes of a database that is not there");
    }
}

TEST(a_body_that_is_no_list_of_sections_is_refused)
{
    struct story story;
    struct buf body;

    begin_with(&story, &body);
    buf_add(&body, "\xff\xff\0\0\0\0\0\0\1\0\0\0\0\0\0\0x", 17);
    expect_body_refused(&story, &body, "");
}

TEST(a_base_that_restarts_the_state_is_not_passed_over)
{
    struct story story;
    uint64_t base, restart;

    story_begin(&story, 62);
    base = story.base;
    story_step(&story);
    story_cut(&story, history_head(&story.history), 0, true);
    restart = story.base;
    story_step(&story);
    expect_refused(
        (struct attempt){.story = &story, .announced = base, .through = history_head(&story.history)},
        ERR_CORRUPT, key_log(restart).text, "restarts");
    story_end(&story);
}

/* What a record has in bulk is in a part of its own. */
static void expect_part_refused(enum fault_kind kind, enum err_code code, enum err_code told)
{
    struct story story;
    struct store *faulty;
    static struct key key;
    uint64_t position;

    story_begin(&story, 63);
    story.in_bulk = true;
    position = history_head(&story.history) + 1;
    story_step(&story);
    key = key_part(position, &story.history.owner, story.next_n - 1);
    faulty = store_fault_new(story.history.mem);
    store_fault_add(faulty,
                    &(struct store_fault){.operation = "get", .key = key.text, .kind = kind, .code = code});
    expect_refused(
        (struct attempt){.story = &story, .store = faulty, .announced = story.base, .through = position},
        told, key.text, "");
    store_free(faulty);
    story_end(&story);
}

TEST(a_part_that_is_damaged_or_missing_is_named)
{
    expect_part_refused(FAULT_FLIP, ERR_NONE, ERR_CORRUPT);
    expect_part_refused(FAULT_TRUNCATE, ERR_NONE, ERR_CORRUPT);
    expect_part_refused(FAULT_BEFORE, ERR_NOT_FOUND, ERR_NOT_FOUND);
}

TAP_MAIN()
