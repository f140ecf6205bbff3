/* One record, loose or packed, and what passes for one. */
#include "snapshot/archive.h"

#include "tests/double/history.h"
#include "tests/double/store_fault.h"
#include "tests/tap.h"

struct bench {
    struct history history;
    struct store *counted;
    struct archive archive;
};

/* An open, 9 data records, an open, 9 data records, and a newest one. */
static void set_up(struct bench *bench)
{
    history_begin(&bench->history);
    history_work(&bench->history, 9, 50);
    history_fill(&bench->history, 1, 50);
    history_work(&bench->history, 10, 50);
    bench->counted = store_fault_new(bench->history.mem);
    bench->archive = archive_of(bench->counted, &bench->history.lineage);
}

static void tear_down(struct bench *bench)
{
    archive_clear(&bench->archive);
    store_free(bench->counted);
    history_end(&bench->history);
}

static bool reads(struct bench *bench, uint64_t position)
{
    struct record record;
    struct err err = {0};

    if (archive_read(&bench->archive, position, &record, &err))
        return digest_equal(&record.hash, &bench->history.hashes[position]);
    printf("# %s\n", err.text);
    return false;
}

TEST(every_record_is_found_wherever_it_lies)
{
    struct bench bench;

    set_up(&bench);
    history_pack(&bench.history, 1, 7);
    history_pack(&bench.history, 8, 15);
    for (uint64_t position = 21; position > 0; position--)
        EXPECT(reads(&bench, position));
    for (uint64_t position = 1; position <= 21; position++)
        EXPECT(reads(&bench, position));
    tear_down(&bench);
}

TEST(what_was_read_last_needs_no_request)
{
    struct bench bench;
    size_t before;

    set_up(&bench);
    history_pack(&bench.history, 1, 15);
    EXPECT(reads(&bench, 20));
    before = store_fault_count(bench.counted, NULL, NULL);
    EXPECT(reads(&bench, 20));
    EXPECT_INT(store_fault_count(bench.counted, NULL, NULL) - before, 0);
    EXPECT(reads(&bench, 3));
    EXPECT_INT(store_fault_count(bench.counted, NULL, NULL) - before,
               3); /* log/, the list of packs, the pack */
    for (uint64_t position = 1; position <= 15; position++)
        EXPECT(reads(&bench, position));
    EXPECT_INT(store_fault_count(bench.counted, NULL, NULL) - before, 3);
    tear_down(&bench);
}

/* protocol.md, H2: a claimant's open that was under way for a long time lands where a record was packed. */
TEST(an_open_that_fell_into_a_hole_is_not_taken_for_the_record)
{
    struct bench bench;
    struct err err = {0};

    set_up(&bench);
    history_pack(&bench.history, 2, 12);
    {
        CLEANUP(buf_clearp) struct buf stray = BUF_INIT(RECORD_SIZE_MAX);
        struct record_header header = bench.history.log.newest;
        struct digest hash;
        header.kind = RECORD_OPEN;
        header.position = 5;
        header.epoch = 5;
        header.open_times_ns[0] = header.time_ns;
        header.previous = bench.history.hashes[4];
        header.data_position = 4;
        record_encode(&header, "late", 4, &stray, &hash);
        REQUIRE_OK(store_put(bench.history.mem, key_log(5).text, stray.bytes, stray.size, &err), &err);
    }
    EXPECT(reads(&bench, 5));
    tear_down(&bench);
}

TEST(a_damaged_loose_record_does_not_matter_where_a_pack_holds_it)
{
    struct bench bench;
    struct err err = {0};

    set_up(&bench);
    history_pack(&bench.history, 2, 12);
    REQUIRE_OK(store_put(bench.history.mem, key_log(6).text, "junk", 4, &err), &err);
    EXPECT(reads(&bench, 6));
    tear_down(&bench);
}

static void expect_failure(struct bench *bench, uint64_t position, enum err_code code, const char *begins)
{
    struct record record = {.body_size = 77};
    struct err err = {0};

    EXPECT(!archive_read(&bench->archive, position, &record, &err));
    EXPECT_INT(err.code, code);
    EXPECT(strstr(err.text, begins) != NULL);
    EXPECT_INT(record.body_size, 77);
}

TEST(what_is_nowhere_is_not_found_and_what_is_damaged_is_named)
{
    struct bench bench;
    struct key key;
    struct err err = {0};

    set_up(&bench);
    history_pack(&bench.history, 2, 12);
    key = key_pack(2, 12);
    expect_failure(&bench, 22, ERR_NOT_FOUND, "22");
    store_fault_add(bench.counted,
                    &(struct store_fault){.operation = "get", .key = "pack/", .kind = FAULT_FLIP});
    expect_failure(&bench, 4, ERR_CORRUPT, key.text);
    store_fault_clear(bench.counted);
    store_fault_add(bench.counted,
                    &(struct store_fault){.operation = "list", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    expect_failure(&bench, 4, ERR_TRANSIENT, "");
    store_fault_clear(bench.counted);
    EXPECT(reads(&bench, 4)); /* nothing of it was kept */
    REQUIRE_OK(store_put(bench.history.mem, key_log(14).text, "junk", 4, &err), &err);
    expect_failure(&bench, 14, ERR_CORRUPT, key_log(14).text);
    tear_down(&bench);
}

TEST(what_is_named_as_a_base_and_is_none_is_refused)
{
    struct bench bench;
    struct record record = {.body_size = 77};
    struct base_body body;
    struct err err = {0};

    set_up(&bench);
    for (uint64_t position = 1; position <= 2; position++) { /* an open, a data record */
        EXPECT(!archive_read_base(&bench.archive, position, &record, &body, &err));
        EXPECT_INT(err.code, ERR_CORRUPT);
        EXPECT(strstr(err.text, "is named as a base and is none") != NULL);
    }
    EXPECT(!archive_read_base(&bench.archive, 22, &record, &body, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT_INT(record.body_size, 77);
    tear_down(&bench);
}

TAP_MAIN()
