/* From a base to every later record, compared byte by byte with an oracle. */
#include "snapshot/pagehash.h"
#include "tests/double/attempt.h"
#include "tests/double/store_fault.h"
#include "tests/tap.h"

static bool restores(struct attempt attempt)
{
    bool right = attempt_carry_out(&attempt);

    if (!right)
        printf("#   record %llu: %s\n", (unsigned long long)attempt.through, attempt.err.text);
    right = right &&
            (attempt.described_only || story_matches(attempt.story, attempt.through, attempt.disk.fd)) &&
            story_describes(attempt.story, attempt.through, &attempt.manifest);
    attempt_clear(&attempt);
    return right;
}

TEST(every_position_is_restored_byte_for_byte)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct story story;
        uint64_t base;

        story_begin(&story, seed);
        base = story.base;
        for (int step = 0; step < 25; step++) {
            story.in_bulk = step % 5 == 3;
            story_step(&story);
        }
        for (uint64_t through = base; through <= history_head(&story.history); through++)
            REQUIRE(restores((struct attempt){
                .story = &story, .announced = base, .through = through, .staged = through % 3 == 0}));
        story_end(&story);
    }
}

TEST(records_that_change_nothing_are_passed_over)
{
    struct story story;
    uint64_t base;

    story_begin(&story, 11);
    base = story.base;
    story_step(&story);
    story_idle(&story, RECORD_DRAIN);
    story_idle(&story, RECORD_CLOSE);
    story_step(&story);
    story_cut(&story, history_head(&story.history) - 1, 0, false);
    story_step(&story);
    EXPECT(restores(
        (struct attempt){.story = &story, .announced = base, .through = history_head(&story.history)}));
    story_end(&story);
}

/* Databases that stand at different records below P, among them some that appeared and went meanwhile. */
TEST(databases_of_a_base_catch_up_each_from_where_it_stands)
{
    for (uint64_t seed = 20; seed < 30; seed++) {
        struct story story;
        uint64_t position;

        story_begin(&story, seed);
        for (int step = 0; step < 12; step++)
            story_step(&story);
        position = history_head(&story.history);
        story_step(&story);
        story_cut(&story, position, 6, false);
        for (int step = 0; step < 4; step++)
            story_step(&story);
        for (uint64_t through = position; through <= history_head(&story.history); through++)
            REQUIRE(restores((struct attempt){.story = &story, .announced = story.base, .through = through}));
        story_end(&story);
    }
}

TEST(a_manifest_is_brought_forward_without_a_disk)
{
    struct story story;
    uint64_t base;
    struct store *counted;

    story_begin(&story, 31);
    base = story.base;
    story.in_bulk = true;
    for (int step = 0; step < 20; step++)
        story_step(&story);
    counted = store_fault_new(story.history.mem);
    for (uint64_t through = base; through <= history_head(&story.history); through++)
        REQUIRE(restores((struct attempt){.story = &story,
                                          .store = counted,
                                          .announced = base,
                                          .through = through,
                                          .described_only = true}));
    EXPECT_INT(store_fault_count(counted, "get", "part/"), 0);
    EXPECT_INT(store_fault_count(counted, "get", "blob/"), 0);
    store_free(counted);
    story_end(&story);
}

/* A blob that a record after the base dropped may be deleted: no later point needs it (protocol.md, P6). */
TEST(blobs_that_are_dropped_on_the_way_may_be_gone)
{
    for (uint64_t seed = 40; seed < 46; seed++) {
        struct story story;
        uint64_t base, horizon;

        story_begin(&story, seed);
        base = story.base;
        for (int step = 0; step < 20; step++)
            story_step(&story);
        horizon = history_head(&story.history) - 3;
        story_forget_blobs(&story, horizon);
        for (uint64_t through = horizon; through <= history_head(&story.history); through++)
            REQUIRE(restores((struct attempt){.story = &story, .announced = base, .through = through}));
        story_end(&story);
    }
}

TEST(a_blob_that_the_state_names_may_not_be_gone)
{
    for (uint64_t seed = 50; seed < 60; seed++) {
        struct story story;
        struct attempt attempt;
        struct store *faulty;

        story_begin(&story, seed);
        for (int step = 0; step < 10; step++)
            story_step(&story);
        faulty = store_fault_new(story.history.mem);
        store_fault_add(faulty,
                        &(struct store_fault){
                            .operation = "get", .key = "blob/", .kind = FAULT_BEFORE, .code = ERR_NOT_FOUND});
        attempt = (struct attempt){.story = &story,
                                   .store = faulty,
                                   .announced = story.base,
                                   .through = history_head(&story.history)};
        if (attempt_carry_out(&attempt)) {
            EXPECT(story_matches(&story, attempt.through, attempt.disk.fd)); /* it names none */
        } else {
            EXPECT_INT(attempt.err.code, ERR_CORRUPT);
            EXPECT(strncmp(attempt.err.text, "blob/", 5) == 0);
        }
        attempt_clear(&attempt);
        store_free(faulty);
        story_end(&story);
    }
}

TEST(a_base_that_restarts_the_state_is_where_it_begins_anew)
{
    struct story story;

    story_begin(&story, 62);
    for (int step = 0; step < 4; step++)
        story_step(&story);
    /* What lies between the state and the record that says so is cut off. */
    story_cut(&story, history_head(&story.history) - 2, 0, true);
    story_step(&story);
    for (uint64_t through = story.base; through <= history_head(&story.history); through++)
        EXPECT(restores((struct attempt){.story = &story, .announced = story.base, .through = through}));
    story_end(&story);
}

TEST(a_blob_of_the_base_that_no_record_replaced_may_not_be_gone)
{
    struct story story;
    struct attempt attempt;
    struct buf body = story_body();
    struct story_file *file;
    struct key key;
    struct err err = {0};

    story_begin(&story, 87);
    file = &story.now.files[0];
    while (file->pieces_count == 0 || file->pieces[0].tag == 0)
        file++;
    key = key_blob(file->pieces[0].tag, &file->pieces[0].content);
    data_add_gone(&body, "nothing");
    attempt = (struct attempt){.story = &story, .announced = story.base};
    attempt.through = story_append(&story, &body);
    REQUIRE_OK(store_delete(story.history.mem, key.text, &err), &err);
    EXPECT(!attempt_carry_out(&attempt));
    EXPECT_INT(attempt.err.code, ERR_CORRUPT);
    EXPECT(strncmp(attempt.err.text, key.text, strlen(key.text)) == 0);
    attempt_clear(&attempt);
    story_end(&story);
}

TEST(a_file_becomes_a_database_and_a_database_a_file)
{
    struct story story;
    struct story_database *third;
    struct attempt attempt;
    struct buf body, frame;
    struct data_run run;
    struct stat status;
    struct err err = {0};

    story_begin(&story, 64);
    body = story_body();
    attempt_put_plain(&body, ENTRY_FILE, "db.sqlite3");
    attempt_put_plain(&body, ENTRY_FILE, "grows");
    attempt_put_plain(&body, ENTRY_FILE, "grows-journal");
    (void)story_append(&story, &body);
    body = story_body();
    frame = (struct buf)BUF_INIT(DELTA_FRAME_MAX);
    third = &story.now.databases[1];
    run = story_run_of(&story, "grows", &frame);
    REQUIRE_OK(
        delta_encode(story.codec, third->bytes, third->page_size, (struct codec_prefix){0}, &frame, &err),
        &err);
    run.page_size = third->page_size;
    run.frame = frame.bytes;
    run.frame_size = frame.size;
    run.incarnation = history_head(&story.history) + 1;
    run.pages_after = 1;
    run.rolling_hash = pagehash_of(third->bytes, third->page_size, third->page_size, 1);
    data_add_run(&body, &run);
    attempt = (struct attempt){.story = &story, .announced = story.base, .staged = true};
    attempt.through = story_append(&story, &body);
    EXPECT_OK(attempt_carry_out(&attempt), &attempt.err);
    status = scratch_stat(attempt.disk.fd, "grows");
    EXPECT_INT(status.st_size, third->page_size);
    EXPECT_INT(scratch_stat(attempt.disk.fd, "db.sqlite3").st_size, 0);
    EXPECT(!scratch_exists(attempt.disk.fd, "grows-journal"));
    EXPECT(tree_find(attempt.manifest.tree, "db.sqlite3") != NULL);
    EXPECT(tree_find(attempt.manifest.tree, "grows") == NULL);
    EXPECT_INT(attempt.manifest.databases_count, 2);
    EXPECT_STR(attempt.manifest.databases[1].path, "grows");
    EXPECT_INT(attempt.manifest.databases[1].position, attempt.through);
    EXPECT(tree_find(attempt.manifest.tree, "grows-journal") == NULL);
    attempt_clear(&attempt);
    buf_clear(&frame);
    story_end(&story);
}

/* Directories that no entry lists: they come and go with what lies in them. */
TEST(what_lies_in_a_directory_without_an_entry_makes_way_too)
{
    struct story story;
    struct attempt attempt;
    struct buf body = story_body();

    story_begin(&story, 65);
    attempt_put_plain(&body, ENTRY_FILE, "free/deep/file");
    attempt_put_plain(&body, ENTRY_FILE, "other/deep/file");
    attempt_put_plain(&body, ENTRY_FILE, "third/file");
    (void)story_append(&story, &body);
    body = story_body();
    data_add_database_gone(&body, "dbs/two", story.now.databases[1].incarnation);
    data_add_gone(&body, "other/deep/file");
    data_add_gone(&body, "third");
    attempt_put_plain(&body, ENTRY_FILE, "dbs");
    attempt_put_plain(&body, ENTRY_SYMLINK, "free");
    attempt = (struct attempt){.story = &story, .announced = story.base, .staged = true};
    attempt.through = story_append(&story, &body);
    EXPECT_OK(attempt_carry_out(&attempt), &attempt.err);
    EXPECT(S_ISREG(scratch_stat(attempt.disk.fd, "dbs").st_mode));
    EXPECT(S_ISLNK(scratch_stat(attempt.disk.fd, "free").st_mode));
    EXPECT(!scratch_exists(attempt.disk.fd, "other"));
    EXPECT(scratch_exists(attempt.disk.fd, "third/file")); /* nothing had that path */
    EXPECT(tree_find(attempt.manifest.tree, "free/deep/file") == NULL);
    EXPECT(tree_find(attempt.manifest.tree, "third/file") != NULL);
    attempt_clear(&attempt);
    story_end(&story);
}

TEST(attributes_hold_from_their_record_on)
{
    struct story story;
    struct attempt attempt;
    struct buf body = story_body();
    struct stat status;

    story_begin(&story, 66);
    data_add_attributes(&body, &(struct data_attributes){.path = "db.sqlite3",
                                                         .incarnation = story.now.databases[0].incarnation,
                                                         .mode = 0444,
                                                         .uid = geteuid(),
                                                         .gid = getegid()});
    attempt = (struct attempt){.story = &story, .announced = story.base, .staged = true};
    attempt.through = story_append(&story, &body);
    EXPECT_OK(attempt_carry_out(&attempt), &attempt.err);
    status = scratch_stat(attempt.disk.fd, "db.sqlite3");
    EXPECT_INT(status.st_mode & 07777, 0444);
    EXPECT_INT(attempt.manifest.databases[0].mode, 0444);
    attempt_clear(&attempt);
    story_end(&story);
}

/* The engine may see that a directory has gone before it sees that its database has. */
TEST(a_database_survives_the_entry_of_its_directory)
{
    struct story story;
    struct attempt attempt;
    struct buf body = story_body();

    story_begin(&story, 66);
    attempt_put_plain(&body, ENTRY_DIRECTORY, "dbs");
    attempt_put_plain(&body, ENTRY_FILE, "dbs/beside");
    (void)story_append(&story, &body);
    body = story_body();
    data_add_gone(&body, "dbs");
    attempt = (struct attempt){.story = &story, .announced = story.base};
    attempt.through = story_append(&story, &body);
    EXPECT_OK(attempt_carry_out(&attempt), &attempt.err);
    EXPECT(scratch_exists(attempt.disk.fd, "dbs/two"));
    EXPECT(!scratch_exists(attempt.disk.fd, "dbs/beside"));
    EXPECT(story_describes(&story, attempt.through, &attempt.manifest));
    attempt_clear(&attempt);
    story_end(&story);
}

TAP_MAIN()
