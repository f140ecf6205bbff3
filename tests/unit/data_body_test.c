#include "snapshot/data_body.h"

#include "snapshot/manifest.h"
#include "tests/tap.h"
#include "tests/unit/golden.h"

static const int64_t time_ns = INT64_C(1700000000) * 1000000000;

/* A zstd frame of one raw block. */
static size_t frame_of(const char *text, uint8_t frame[64])
{
    size_t size = strlen(text);
    const uint8_t header[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, (uint8_t)size, (uint8_t)(size << 3 | 1), 0, 0};

    memcpy(frame, header, sizeof(header));
    memcpy(frame + sizeof(header), text, size);
    return sizeof(header) + size;
}

static const uint32_t first_pages[] = {1, 3, 1000}, last_pages[] = {1001, 1034}, new_pages[] = {1, 2};

static void add_runs(struct buf *body)
{
    uint8_t frame[64];
    struct data_run run = {.path = "db.sqlite3",
                           .incarnation = 5,
                           .page_size = 4096,
                           .pages_after = 1034,
                           .rolling_hash = UINT64_C(0x1122334455667788),
                           .count = 3,
                           .pages = first_pages,
                           .frame = frame,
                           .frame_size = frame_of("first", frame)};

    data_add_run(body, &run);
    run.is_last = true;
    run.count = 2;
    run.pages = last_pages;
    run.frame = NULL;
    run.bulk_section = 1;
    run.bulk_offset = 16;
    run.bulk_size = 4000000;
    data_add_run(body, &run);
    data_add_database_gone(body, "db.sqlite3", 5);
    run = (struct data_run){.path = "db.sqlite3",
                            .incarnation = 42,
                            .page_size = 65536,
                            .pages_after = 2,
                            .is_last = true,
                            .rolling_hash = UINT64_C(0x99aabbccddeeff00),
                            .count = 2,
                            .pages = new_pages,
                            .bulk_offset = 17,
                            .bulk_size = 500};
    data_add_run(body, &run);
}

static struct tree_entry *add_entry(struct tree *tree, enum entry_kind kind, const char *path, uint16_t mode)
{
    bool is_link = kind == ENTRY_SYMLINK;
    struct tree_entry *entry = tree_add(tree, path, strlen(path), is_link ? "../x" : NULL, is_link ? 4 : 0);

    entry->kind = (uint8_t)kind;
    entry->mode = mode;
    entry->size = is_link ? 4 : 0;
    return entry;
}

static void own(struct tree_entry *entry, uint32_t owner, int64_t mtime_ns)
{
    entry->uid = owner;
    entry->gid = owner > 0 ? owner + 1 : 0;
    entry->mtime_ns = mtime_ns;
}

static void add_puts(struct buf *body)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    const struct tree_piece pieces[] = {{.raw_bytes = TREE_PIECE_SIZE}, {41, 5, digest_of("tail", 4)}};
    struct tree_entry *entry = add_entry(tree, ENTRY_DIRECTORY, "storage", 02755);
    uint8_t frame[64];
    size_t size = frame_of("inline content", frame);

    own(entry, 1000, time_ns);
    entry->size = 4096; /* what a disk says of a directory */
    data_add_put(body, tree, entry, NULL, 0);
    entry = add_entry(tree, ENTRY_FILE, "storage/a", 0644);
    own(entry, 1000, time_ns + 1);
    entry->size = 14;
    tree_set_inline(entry, 77, 88);
    data_add_put(body, tree, entry, frame, size);
    entry = add_entry(tree, ENTRY_FILE, "storage/big", 0600);
    own(entry, 0, -1);
    entry->size = TREE_PIECE_SIZE + 5;
    tree_set_pieces(tree, entry, pieces, 2);
    data_add_put(body, tree, entry, NULL, 0);
    data_add_put(body, tree, add_entry(tree, ENTRY_FILE, "storage/empty", 0), NULL, 0);
    entry = add_entry(tree, ENTRY_SYMLINK, "storage/link", 0777);
    own(entry, 0, time_ns);
    data_add_put(body, tree, entry, NULL, 0);
}

static void add_sample(struct buf *body)
{
    const struct blob_name dropped[] = {{40, digest_of("piece", 5)}, {41, digest_of("other", 5)}};
    struct digest third = digest_of("part 3", 6), fifth = digest_of("part 5", 6);

    data_add_bulk(body, 3, 20000, &third);
    data_add_bulk(body, 5, 8000000, &fifth);
    add_runs(body);
    data_add_gone(body, "storage/old");
    data_add_gone(body, "storage/older");
    add_puts(body);
    data_add_dropped(body, dropped, 2);
}

TEST(a_body_is_byte_for_byte_that_of_the_format)
{
    CLEANUP(buf_clearp) struct buf golden = BUF_INIT(1 << 20), body = BUF_INIT(1 << 20);

    REQUIRE(golden_read("data_body", &golden));
    add_sample(&body);
    EXPECT(body.size == golden.size && memcmp(body.bytes, golden.bytes, golden.size) == 0);
}

/* The next section, which must be of this kind. */
static struct data_section next(struct data_reader *reader, enum data_kind kind)
{
    struct data_section section = {0};
    struct err err = {0};
    bool end = true;

    EXPECT_OK(data_next(reader, &section, &end, &err), &err);
    EXPECT(!end);
    EXPECT_INT(section.kind, kind);
    return section;
}

static void expect_end(struct data_reader *reader)
{
    struct data_section section = {0};
    struct err err = {0};
    bool end = false;

    for (int again = 0; again < 2; again++) {
        EXPECT_OK(data_next(reader, &section, &end, &err), &err);
        EXPECT(end && section.kind == 0);
    }
}

static void check_runs(struct data_reader *reader)
{
    struct data_run run = next(reader, DATA_RUN).run;
    uint8_t frame[64];
    size_t size = frame_of("first", frame);
    struct data_database_gone gone;

    EXPECT_STR(run.path, "db.sqlite3");
    EXPECT(run.incarnation == 5 && run.page_size == 4096 && run.pages_after == 1034 && !run.is_last);
    EXPECT(run.rolling_hash == UINT64_C(0x1122334455667788) && run.count == 3);
    EXPECT(data_run_page(&run, 0) == 1 && data_run_page(&run, 2) == 1000);
    EXPECT(run.frame_size == size && memcmp(run.frame, frame, size) == 0);
    run = next(reader, DATA_RUN).run;
    EXPECT(run.is_last && !run.frame && run.bulk_section == 1 && run.bulk_offset == 16);
    EXPECT(run.bulk_size == 4000000 && run.count == 2 && data_run_page(&run, 1) == 1034);
    gone = next(reader, DATA_DATABASE_GONE).database_gone;
    EXPECT_STR(gone.path, "db.sqlite3");
    EXPECT_INT(gone.incarnation, 5);
    run = next(reader, DATA_RUN).run;
    EXPECT(run.incarnation == 42 && run.page_size == 65536 && run.bulk_section == 0);
}

static void check_puts(struct data_reader *reader)
{
    struct data_put put = next(reader, DATA_PUT).put;
    uint8_t frame[64];
    size_t size = frame_of("inline content", frame);

    EXPECT_STR(tree_path(put.tree, put.entry), "storage");
    EXPECT(put.entry->kind == ENTRY_DIRECTORY && put.entry->mode == 02755 && put.entry->size == 0);
    put = next(reader, DATA_PUT).put;
    EXPECT_STR(tree_path(put.tree, put.entry), "storage/a");
    EXPECT(put.entry->content == CONTENT_INLINE && put.entry->size == 14 && put.entry->gid == 1001);
    EXPECT(put.frame_size == size && memcmp(put.frame, frame, size) == 0);
    EXPECT(put.entry->mtime_ns == time_ns + 1);
    put = next(reader, DATA_PUT).put;
    EXPECT(put.entry->content == CONTENT_PIECES && put.entry->extra == 2 && !put.frame);
    EXPECT(tree_pieces(put.tree, put.entry)[0].tag == 0 && tree_pieces(put.tree, put.entry)[1].tag == 41);
    put = next(reader, DATA_PUT).put;
    EXPECT(put.entry->content == CONTENT_NONE && put.entry->size == 0);
    put = next(reader, DATA_PUT).put;
    EXPECT_STR(tree_target(put.tree, put.entry), "../x");
}

TEST(what_was_written_is_read_in_its_order)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(1 << 20);
    CLEANUP(data_reader_freep) struct data_reader *reader = NULL;
    struct digest fifth = digest_of("part 5", 6), other = digest_of("other", 5);
    struct data_bulk bulk;
    struct data_dropped dropped;
    struct blob_name second;

    add_sample(&body);
    reader = data_reader_new(body.bytes, body.size);
    EXPECT_INT(next(reader, DATA_BULK).bulk.n, 3);
    bulk = next(reader, DATA_BULK).bulk;
    EXPECT(bulk.n == 5 && bulk.size == 8000000 && digest_equal(&bulk.hash, &fifth));
    check_runs(reader);
    EXPECT_STR(next(reader, DATA_GONE).gone, "storage/old");
    EXPECT_STR(next(reader, DATA_GONE).gone, "storage/older");
    check_puts(reader);
    dropped = next(reader, DATA_DROPPED).dropped;
    EXPECT_INT(dropped.count, 2);
    EXPECT_INT(data_dropped_name(&dropped, 0).tag, 40);
    second = data_dropped_name(&dropped, 1);
    EXPECT(second.tag == 41 && digest_equal(&second.content, &other));
    expect_end(reader);
}

TEST(a_body_may_be_empty)
{
    CLEANUP(data_reader_freep) struct data_reader *reader = data_reader_new(NULL, 0);
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(100);

    expect_end(reader);
    data_add_dropped(&body, NULL, 0);
    EXPECT_INT(body.size, 0);
}

TEST(a_body_can_be_cut_into_its_sections_by_their_headers)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(1 << 20);
    uint8_t header[DATA_SECTION_HEADER_BYTES];
    struct digest hash = digest_of("part", 4);
    size_t ends[3];

    data_add_gone(&body, "a");
    ends[0] = body.size;
    data_add_bulk(&body, 1, 100, &hash);
    ends[1] = body.size;
    data_add_database_gone(&body, "a/b.db", 5);
    ends[2] = body.size;
    EXPECT_INT(data_section_bytes(body.bytes), ends[0]);
    EXPECT_INT(data_section_bytes(body.bytes + ends[0]), ends[1] - ends[0]);
    EXPECT_INT(data_section_bytes(body.bytes + ends[1]), ends[2] - ends[1]);
    memset(header, 0xff, sizeof(header));
    EXPECT(data_section_bytes(header) == UINT64_MAX);
    header[8] -= DATA_SECTION_HEADER_BYTES;
    EXPECT(data_section_bytes(header) == UINT64_MAX);
    header[8]--;
    EXPECT(data_section_bytes(header) == UINT64_MAX - 1);
}

/* A section that was read is written again with its frame somewhere else. */
TEST(a_run_that_was_read_can_be_moved_into_a_bulk)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(1 << 20), moved = BUF_INIT(1 << 20);
    CLEANUP(data_reader_freep) struct data_reader *before = NULL, *after = NULL;
    struct digest hash = digest_of("part", 4);
    struct data_run run;

    add_runs(&body);
    before = data_reader_new(body.bytes, body.size);
    run = next(before, DATA_RUN).run;
    EXPECT(!run.is_alone);
    run.is_last = run.is_alone = true;
    run.bulk_offset = 16;
    run.bulk_size = (uint32_t)run.frame_size;
    run.frame = NULL;
    data_add_bulk(&moved, 1, 100, &hash);
    data_add_run(&moved, &run);
    after = data_reader_new(moved.bytes, moved.size);
    (void)next(after, DATA_BULK);
    run = next(after, DATA_RUN).run;
    EXPECT(!run.frame && run.bulk_size == 14 && data_run_page(&run, 2) == 1000 && run.is_alone);
    expect_end(after);
}

TEST(a_section_without_room_leaves_nothing)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(100);
    struct err err = {0};

    data_add_gone(&body, "a");
    EXPECT_INT(body.size, 19);
    add_runs(&body);
    EXPECT_INT(body.size, 19);
    EXPECT(!buf_check(&body, "a data record", &err));
}

TAP_MAIN()
