/* Starts from a base and the records behind it: on an empty disk, on one that holds the state already, and on
 * one that only says so. */
#include "base/fs.h"
#include "snapshot/data_body.h"
#include "snapshot/identity.h"
#include "snapshot/log.h"
#include "snapshot/manifest.h"
#include "snapshot/pagehash.h"
#include "snapshot/reader.h"
#include "tests/double/life_story.h"
#include "tests/double/sample.h"
#include "tests/tap.h"

#include <fcntl.h>

enum { FILE_MAX = 64 << 20, PAGE = 4096 };

/* --- records, as an owner that ships deltas would append them ---------------------------------------- */

static bool visit_newest(void *context, const struct store_entry *entry, struct err *err)
{
    (void)err;
    return key_parse_log(entry->key, context);
}

/* A log that goes on behind the head. */
static void follow_head(struct store *store, struct log *log)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;
    struct id lineage;
    uint64_t newest = 0;
    struct err err = {0};

    REQUIRE_OK(identity_read(store, &lineage, &err) &&
                   store_list(store, "log/", NULL, 1, visit_newest, &newest, &err) &&
                   log_read(store, &lineage, newest, &bytes, &record, &err),
               &err);
    log_init(log, store, store, &lineage);
    log_follow(log, &record.header, &record.hash);
}

static uint32_t count_pages(const struct buf *bytes)
{
    return (uint32_t)(bytes->size / PAGE);
}

/* The commit that leads from one content of the database to another. */
static void add_commit(struct buf *body, const struct buf *before, const struct buf *after,
                       uint64_t incarnation)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(buf_clearp) struct buf images = BUF_INIT(DELTA_BYTES_MAX);
    CLEANUP(buf_clearp) struct buf previous = BUF_INIT(DELTA_BYTES_MAX);
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(DELTA_FRAME_MAX);
    static uint32_t pages[DELTA_PAGES_MAX];
    struct data_run run = {.path = "db.sqlite3",
                           .incarnation = incarnation,
                           .page_size = PAGE,
                           .pages_after = count_pages(after),
                           .is_last = true,
                           .rolling_hash = pagehash_of(after->bytes, after->size, PAGE, 1),
                           .pages = pages};
    struct err err = {0};

    for (uint32_t page = 1; page <= run.pages_after && run.count < DELTA_PAGES_MAX; page++) {
        size_t offset = (size_t)(page - 1) * PAGE;
        bool existed = offset + PAGE <= before->size;
        if (existed && memcmp(before->bytes + offset, after->bytes + offset, PAGE) == 0)
            continue;
        pages[run.count++] = page;
        buf_add(&images, after->bytes + offset, PAGE);
        if (existed)
            buf_add(&previous, before->bytes + offset, PAGE);
    }
    REQUIRE_OK(delta_encode(codec, images.bytes, images.size,
                            (struct codec_prefix){previous.bytes, previous.size}, &frame, &err),
               &err);
    run.frame = frame.bytes;
    run.frame_size = frame.size;
    data_add_run(body, &run);
}

static void add_text(struct buf *body, const char *text)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(1 << 16);
    struct tree_entry *entry = tree_add(tree, "text", 4, NULL, 0);
    struct err err = {0};

    entry->kind = ENTRY_FILE;
    entry->mode = 0644;
    entry->uid = geteuid();
    entry->gid = getegid();
    entry->mtime_ns = 1700000000123456789;
    entry->size = strlen(text);
    tree_set_inline(entry, 0, 0);
    REQUIRE_OK(codec_compress(codec, 3, text, strlen(text), &frame, &err), &err);
    data_add_put(body, tree, entry, frame.bytes, frame.size);
}

/* The newest base's record says which incarnation its databases began with: there was none before. */
static uint64_t first_incarnation(struct store *store, const struct log *log)
{
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(MANIFEST_SIZE_MAX);
    struct manifest manifest = {0};
    uint64_t incarnation = 0;
    struct err err = {0};

    EXPECT_OK(store_get(store, log->newest.base.key.text, &object, &err) &&
                  manifest_decode(object.bytes, object.size, &manifest, &err),
              &err);
    if (manifest.databases_count > 0)
        incarnation = manifest.databases[0].incarnation;
    manifest_clear(&manifest);
    return incarnation;
}

/* Appends a data record of so many more commits, and a file `text`. Gives its position. */
static uint64_t append(struct store *store, uint64_t commits, const char *text)
{
    CLEANUP(scratch_closep) struct scratch copy;
    CLEANUP(freep) char *path = NULL;
    CLEANUP(buf_clearp) struct buf before = BUF_INIT(FILE_MAX);
    CLEANUP(buf_clearp) struct buf after = BUF_INIT(FILE_MAX);
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(RECORD_SIZE_MAX - 4096);
    struct log_change change = {.kind = RECORD_DATA, .changes_data = true};
    struct id owner = id_random();
    struct reader_result result;
    struct log log;
    uint64_t position;
    struct err err = {0};

    scratch_open(&copy);
    EXPECT_OK(reader_restore(store, copy.path, READER_LATEST, NULL, NULL, &result, &err) &&
                  fs_read_file(copy.fd, "db.sqlite3", &before, &err),
              &err);
    path = xasprintf("%s/db.sqlite3", copy.path);
    if (!EXPECT(writer_make(path, commits, NULL)))
        abort();
    EXPECT_OK(fs_read_file(copy.fd, "db.sqlite3", &after, &err), &err);
    follow_head(store, &log);
    add_commit(&body, &before, &after, first_incarnation(store, &log));
    add_text(&body, text);
    change.body = body.bytes;
    change.body_size = body.size;
    log_freeze(&log, &owner, &change);
    EXPECT_OK(log_send(&log, &err), &err);
    position = log.newest.position;
    log_clear(&log);
    return position;
}

/* A store with a base of 2 commits and two data records of 3 and 4 more. */
static uint64_t fill(struct life *life)
{
    life_set_up(life);
    if (!EXPECT(life_live(life, 2, "two")))
        abort();
    (void)append(life->mem, 3, "five");
    return append(life->mem, 4, "nine");
}

/* --- starts ------------------------------------------------------------------------------------------ */

static bool holds_nine(struct life *life)
{
    return EXPECT(life_value(life->disk.path) == 9) && EXPECT(life_says(life, "text", "nine"));
}

TEST(an_empty_disk_gets_the_base_and_the_records_behind_it)
{
    struct life life;

    (void)fill(&life);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT(holds_nine(&life));
    EXPECT_INT(store_fault_count(life.faulty, "get", "base/") > 0, 1);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    EXPECT(holds_nine(&life));
    life_tear_down(&life);
}

TEST(the_records_cost_no_listing_of_their_own)
{
    struct life life;
    size_t before;

    (void)fill(&life);
    life_wipe(&life);
    before = store_fault_count(life.faulty, "list", "log/");
    REQUIRE(life_begin(&life));
    EXPECT_INT(store_fault_count(life.faulty, "list", "log/") - before, 2); /* the survey, and to confirm */
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(a_disk_that_holds_the_state_keeps_it)
{
    struct life life;
    size_t before, lists;

    (void)fill(&life);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    before = store_fault_count(life.faulty, "get", "part/");
    lists = store_fault_count(life.faulty, "list", "log/");
    scratch_write(life.disk.fd, "mine", "still here");
    REQUIRE(life_begin(&life));
    EXPECT_INT(store_fault_count(life.faulty, "list", "log/") - lists, 2);
    EXPECT(holds_nine(&life));
    EXPECT(life_says(&life, "mine", "still here"));
    EXPECT_INT(store_fault_count(life.faulty, "get", "part/") - before, 0);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(what_goes_on_after_such_a_start_is_shipped)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct life life;
    struct reader_result result;
    struct err err = {0};

    (void)fill(&life);
    life_wipe(&life);
    REQUIRE(life_live(&life, 5, "fourteen"));
    scratch_open(&copy);
    REQUIRE_OK(reader_restore(life.mem, copy.path, READER_LATEST, NULL, NULL, &result, &err), &err);
    EXPECT_INT(life_value(copy.path), 14);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_value(life.disk.path), 14);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

/* A disk that was there before the records: it can't prove them. */
TEST(a_disk_that_stayed_behind_gives_way)
{
    struct life life;

    (void)fill(&life);
    EXPECT_INT(life_value(life.disk.path), 2);
    REQUIRE(life_begin(&life));
    EXPECT(holds_nine(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

/* The state file names the newest record, but the database was set back by hand. */
TEST(a_disk_that_was_set_back_gives_way)
{
    CLEANUP(buf_clearp) struct buf old = BUF_INIT(FILE_MAX);
    CLEANUP(freep) char *path = NULL;
    struct life life;
    struct err err = {0};

    (void)fill(&life);
    path = xasprintf("%s/db.sqlite3", life.disk.path);
    REQUIRE(writer_make(path, 0, NULL)); /* opened and closed: all of it is in the file */
    EXPECT_INT(life_value(life.disk.path), 2);
    REQUIRE_OK(fs_read_file(life.disk.fd, "db.sqlite3", &old, &err), &err);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    (void)unlinkat(life.disk.fd, "db.sqlite3-wal", 0);
    (void)unlinkat(life.disk.fd, "db.sqlite3-shm", 0);
    scratch_write_bytes(life.disk.fd, "db.sqlite3", old.bytes, old.size);
    EXPECT_INT(life_value(life.disk.path), 2);
    REQUIRE(life_begin(&life));
    EXPECT(holds_nine(&life));
    EXPECT(life_warned(&life, "does not prove"));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

/* --- faults ------------------------------------------------------------------------------------------ */

static void start_with(const struct store_fault *fault, bool starts)
{
    static struct key key;
    struct store_fault named = *fault;
    struct life life;

    key = key_log(fill(&life));
    named.operation = "get";
    named.key = key.text;
    life_wipe(&life);
    store_fault_add(life.faulty, &named);
    if (!starts) {
        /* It is the head as well, which the survey reads first. */
        EXPECT(!life_try_begin(&life));
        EXPECT_INT(life.status.err.code, ERR_CORRUPT);
        EXPECT(strstr(life.status.err.text, key.text) != NULL);
    } else if (EXPECT(life_begin(&life))) {
        EXPECT(holds_nine(&life));
    }
    (void)life_end(&life);
    EXPECT(starts || !scratch_exists(life.disk.fd, "db.sqlite3"));
    life_tear_down(&life);
}

TEST(a_record_that_vanishes_is_listed_again_before_it_counts)
{
    start_with(&(struct store_fault){.skip = 1, .times = 1, .kind = FAULT_BEFORE, .code = ERR_NOT_FOUND},
               true);
}

TEST(a_record_that_is_missing_or_damaged_ends_the_start)
{
    start_with(&(struct store_fault){.skip = 1, .kind = FAULT_BEFORE, .code = ERR_NOT_FOUND}, false);
    start_with(&(struct store_fault){.skip = 1, .kind = FAULT_FLIP}, false);
}

/* A start that fails among the records leaves a directory that is marked, and the next one begins anew. */
TEST(a_restore_that_failed_among_the_records_is_begun_anew)
{
    static struct key key;
    struct life life;

    key = key_log(fill(&life));
    life_wipe(&life);
    store_fault_add(life.faulty, &(struct store_fault){
                                     .operation = "get", .key = key.text, .skip = 1, .kind = FAULT_TRUNCATE});
    EXPECT(!life_try_begin(&life));
    (void)life_end(&life);
    store_fault_clear(life.faulty);
    REQUIRE(life_begin(&life));
    EXPECT(holds_nine(&life));
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TAP_MAIN()
