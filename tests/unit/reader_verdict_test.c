/* What verification says of a whole store: the newest record, and the state there. */
#include "tests/double/reading.h"
#include "tests/double/story.h"
#include "tests/tap.h"

#include "snapshot/reader.h"

static void name_damage(void *context, const char *key, const char *reason)
{
    (void)context;
    printf("#   %s: %s\n", key, reason);
}

static bool verify(struct store *store, struct reader_result *result, struct err *err)
{
    struct reader_damage damage = {name_damage, NULL};

    return reader_verify(store, &damage, NULL, NULL, result, err);
}

/* What the story knows of the state after a record. */
static struct reader_result size_of(const struct story *story, uint64_t position)
{
    const struct story_state *state = &story->after[position];
    struct reader_result result = {.record = position};

    for (int at = 0; at < STORY_DATABASES; at++) {
        const struct story_database *database = &state->databases[at];
        if (database->incarnation == 0)
            continue;
        result.databases++;
        result.bytes += (uint64_t)database->pages * database->page_size;
    }
    for (int at = 0; at < STORY_FILES; at++) {
        const struct story_file *file = &state->files[at];
        result.files += file->kind == ENTRY_FILE || file->kind == ENTRY_SYMLINK;
        result.bytes += file->kind == ENTRY_FILE ? file->size : 0;
    }
    return result;
}

static void expect_state(struct story *story)
{
    struct reader_result wanted = size_of(story, history_head(&story->history)), said = {0};
    struct err err = {0};

    EXPECT_OK(verify(story->history.mem, &said, &err), &err);
    EXPECT(said.has_state);
    EXPECT_INT(said.record, wanted.record);
    EXPECT_INT(said.time_ns, story->history.log.newest.time_ns);
    EXPECT_INT(said.databases, wanted.databases);
    EXPECT_INT(said.files, wanted.files);
    EXPECT_INT(said.bytes, wanted.bytes);
}

TEST(what_was_verified_is_the_state_at_the_newest_record)
{
    for (uint64_t seed = 140; seed < 144; seed++) {
        struct story story;

        story_begin(&story, seed);
        expect_state(&story); /* a base and nothing behind it */
        for (int step = 0; step < 8; step++) {
            story.in_bulk = step % 3 == 1;
            story_step(&story);
            expect_state(&story);
        }
        story_cut(&story, history_head(&story.history) - 2, 2, false);
        expect_state(&story); /* records behind the base's state, and one before it */
        story_step(&story);
        story_idle(&story, RECORD_CLOSE);
        expect_state(&story);
        story_end(&story);
    }
}

TEST(bases_of_every_kind_lead_to_the_state_at_the_newest_record)
{
    for (uint64_t seed = 144; seed < 148; seed++) {
        struct story story;

        story_tell(&story, seed);
        expect_state(&story);
        story_end(&story);
    }
}

TEST(packs_lead_to_the_state_at_the_newest_record)
{
    struct story story;

    story_begin(&story, 148);
    for (int step = 0; step < 12; step++)
        story_step(&story);
    history_pack(&story.history, 3, 11);
    expect_state(&story);
    story_end(&story);
}

TEST(a_log_without_a_base_is_whole_and_has_no_state)
{
    struct history history;
    struct reader_result said = {0};
    struct err err = {0};

    history_begin(&history);
    history_fill(&history, 3, 9);
    EXPECT_OK(verify(history.mem, &said, &err), &err);
    EXPECT(!said.has_state);
    EXPECT_INT(said.record, history_head(&history));
    EXPECT_INT(said.databases + said.files + said.bytes, 0);
    history_end(&history);
}

static void note_progress(void *context, uint64_t done, uint64_t total)
{
    uint64_t *most = context;

    EXPECT(done <= total);
    if (total > *most)
        *most = total;
}

TEST(records_count_for_progress_too)
{
    struct story story;
    struct reader_damage damage = {name_damage, NULL};
    uint64_t bases = 0, all = 0;
    struct reader_progress progress = {note_progress, &bases};
    struct reader_result said;
    struct err err = {0};

    story_begin(&story, 151);
    story_step(&story);
    EXPECT_OK(reader_verify(story.history.mem, &damage, &progress, NULL, &said, &err), &err);
    for (int step = 0; step < 8; step++)
        story_step(&story);
    progress.context = &all;
    EXPECT_OK(reader_verify(story.history.mem, &damage, &progress, NULL, &said, &err), &err);
    EXPECT(all > bases); /* there is no other base */
    story_end(&story);
}

/* Every hash is right, and yet no restore could apply it. */
TEST(a_record_that_does_not_fit_the_state_before_it_is_named)
{
    struct story story;
    struct damages damages;
    struct buf body = story_body();
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(64);
    struct data_run run;
    struct key key;
    struct err err = {0};

    story_begin(&story, 149);
    story_step(&story);
    buf_add_text(&frame, "no matter");
    run = story_run_of(&story, "comes/from/the/future", &frame);
    run.incarnation = history_head(&story.history) + 100;
    data_add_run(&body, &run);
    key = key_log(story_append(&story, &body));
    EXPECT(!damages_find(story.history.mem, &damages, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_INT(damages.count, 1);
    EXPECT(damages_name(&damages, key.text));
    story_end(&story);
}

/* Another object each time: nothing is known to be damaged, and nothing was proved. */
TEST(what_never_holds_still_is_not_called_whole)
{
    struct story story;
    struct store *faulty;
    struct key keys[5];
    struct reader_result said = {.record = 77};
    struct err err = {0};

    story_begin(&story, 150);
    for (int step = 0; step < 8; step++)
        story_step(&story);
    story_cut(&story, history_head(&story.history), 0, true); /* each record below is read once */
    faulty = store_fault_new(story.history.mem);
    for (size_t plan = 0; plan < 5; plan++) {
        keys[plan] = key_log(4 + plan);
        store_fault_add(faulty, &(struct store_fault){.operation = "get",
                                                      .key = keys[plan].text,
                                                      .skip = plan,
                                                      .times = 1,
                                                      .kind = FAULT_BEFORE,
                                                      .code = ERR_NOT_FOUND});
    }
    EXPECT(!verify(faulty, &said, &err));
    EXPECT_INT(err.code, ERR_TRANSIENT);
    EXPECT_INT(said.record, 77);
    store_fault_clear(faulty);
    EXPECT_OK(verify(faulty, &said, &err), &err);
    store_free(faulty);
    story_end(&story);
}

TAP_MAIN()
