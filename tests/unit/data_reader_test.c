/* What is refused in a data record, runs apart: the order of its sections, and what is in them. */
#include "snapshot/manifest.h"
#include "tests/unit/data_forge.h"

static const char *const bad_paths[] = {"",      "/db",  "../db", "a/../db",
                                        "a//db", "./db", "db/",   ".holdfast/db"};

TEST(no_path_leaves_the_data_directory)
{
    for (size_t at = 0; at < sizeof(bad_paths) / sizeof(bad_paths[0]); at++) {
        static const uint16_t kinds[] = {DATA_GONE, DATA_DATABASE_GONE, DATA_ATTRIBUTES};
        for (int kind = 0; kind < 3; kind++) {
            BODY(body);
            BODY(content);
            wire_add_str(&content, bad_paths[at], strlen(bad_paths[at]));
            wire_add_u64(&content, 5);
            wire_add_u32(&content, 0600);
            wire_add_u64(&content, 0);
            forge_section(&body, kinds[kind], content.bytes, content.size);
            expect_refused(&body, "not a path inside");
        }
    }
}

/* One section of each kind, in the order of the format. */
static void forge_kind(struct buf *body, size_t rank, const char *path)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    struct digest hash = digest_of("part", 4);
    struct blob_name name = {.tag = 1};
    struct tree_entry *entry;

    switch (rank) {
    case 0:
        data_add_bulk(body, body->size + 1, 100, &hash);
        return;
    case 1:
        forge_run(body, &sound);
        return;
    case 2:
        data_add_attributes(body, &(struct data_attributes){.path = path, .incarnation = 5});
        return;
    case 3:
        data_add_gone(body, path);
        return;
    case 4:
        entry = tree_add(tree, path, strlen(path), NULL, 0);
        entry->kind = ENTRY_DIRECTORY;
        data_add_put(body, tree, entry, NULL, 0);
        return;
    default:
        data_add_dropped(body, &name, 1);
    }
}

TEST(sections_stand_in_the_order_of_the_format)
{
    for (size_t first = 0; first < 6; first++)
        for (size_t second = 0; second < 6; second++) {
            BODY(body);
            forge_kind(&body, first, "a");
            forge_kind(&body, second, "b");
            if (first < second || (first == second && first < 5))
                expect_accepted(&body);
            else
                expect_refused(&body, "section 1: it is not in the order");
        }
}

TEST(databases_go_among_the_runs)
{
    BODY(body);

    data_add_database_gone(&body, "db", 4);
    forge_run(&body, &sound);
    data_add_database_gone(&body, "db", 5);
    forge_run(&body, &sound);
    expect_accepted(&body);
}

TEST(paths_of_attributes_gone_and_put_ascend)
{
    for (size_t rank = 2; rank < 5; rank++) {
        BODY(twice);
        BODY(descending);
        forge_kind(&twice, rank, "a");
        forge_kind(&twice, rank, "a");
        expect_refused(&twice, "a: paths are not in ascending order");
        forge_kind(&descending, rank, "b/a");
        forge_kind(&descending, rank, "b");
        expect_refused(&descending, "b: paths are not in ascending order");
    }
}

TEST(the_first_put_may_be_below_the_last_path_gone)
{
    BODY(body);

    data_add_gone(&body, "z");
    forge_kind(&body, 4, "a");
    expect_accepted(&body);
}

TEST(a_mode_has_permission_bits_only)
{
    static const uint32_t modes[] = {07777, 010000, 0100644, UINT32_MAX};

    for (size_t at = 0; at < sizeof(modes) / sizeof(modes[0]); at++) {
        BODY(body);
        BODY(content);
        wire_add_str(&content, "db", 2);
        wire_add_u64(&content, 5);
        wire_add_u32(&content, modes[at]);
        wire_add_u64(&content, 0);
        forge_section(&body, DATA_ATTRIBUTES, content.bytes, content.size);
        if (modes[at] <= 07777)
            expect_accepted(&body);
        else
            expect_refused(&body, "is none");
    }
}

TEST(bulks_have_the_size_of_parts_and_ascend)
{
    static const uint64_t bad_sizes[] = {0, 16, PART_SIZE_MAX + 1, UINT64_MAX};
    struct digest hash = digest_of("part", 4);
    BODY(twice);
    BODY(largest);

    for (size_t at = 0; at < 4; at++) {
        BODY(body);
        BODY(content);
        wire_add_u64(&content, 1);
        wire_add_u64(&content, bad_sizes[at]);
        buf_add(&content, hash.bytes, DIGEST_SIZE);
        forge_section(&body, DATA_BULK, content.bytes, content.size);
        expect_refused(&body, "size is not that of a part");
    }
    data_add_bulk(&twice, 7, 17, &hash);
    data_add_bulk(&twice, 7, 17, &hash);
    expect_refused(&twice, "bulks are not in ascending order");
    data_add_bulk(&largest, 0, PART_SIZE_MAX, &hash);
    expect_accepted(&largest);
}

/* A file of `size` bytes whose inline frame has `frame` bytes. */
static void forge_put(struct buf *body, uint8_t content_kind, uint64_t size, uint32_t frame)
{
    BODY(content);

    wire_add_u8(&content, ENTRY_FILE);
    wire_add_str(&content, "a", 1);
    for (int at = 0; at < 3; at++)
        wire_add_u32(&content, 0);
    wire_add_u64(&content, 0);
    wire_add_u64(&content, size);
    wire_add_u8(&content, content_kind);
    if (content_kind == CONTENT_INLINE) {
        wire_add_u32(&content, frame);
        memset(buf_extend(&content, frame), 'f', frame);
    }
    forge_section(body, DATA_PUT, content.bytes, content.size);
}

TEST(a_put_keeps_the_rules_of_a_manifest)
{
    static const struct {
        uint8_t kind;
        uint64_t size;
        uint32_t frame;
        const char *text;
    } rows[] = {
        {CONTENT_INLINE, 1, 1, NULL},
        {CONTENT_INLINE, TREE_INLINE_MAX, 33 << 10, NULL},
        {CONTENT_NONE, 0, 0, NULL},
        {CONTENT_INLINE, TREE_INLINE_MAX, (33 << 10) + 1, "larger than zstd"},
        {CONTENT_INLINE, 1, 0, "its frame is empty"},
        {CONTENT_INLINE, 0, 10, "1 to 32768 bytes"},
        {CONTENT_INLINE, TREE_INLINE_MAX + 1, 10, "1 to 32768 bytes"},
        {CONTENT_NONE, 1, 0, "its content is missing"},
        {3, 1, 0, "unknown kind"},
    };

    for (size_t at = 0; at < sizeof(rows) / sizeof(rows[0]); at++) {
        BODY(body);
        forge_put(&body, rows[at].kind, rows[at].size, rows[at].frame);
        if (rows[at].text)
            expect_refused(&body, rows[at].text);
        else
            expect_accepted(&body);
    }
}

TEST(dropped_blobs_have_tags_and_are_not_none)
{
    static const uint8_t none[4] = {0}, no_tag[4 + 8 + DIGEST_SIZE] = {1}, fewer[4 + 8 + DIGEST_SIZE] = {2};
    static const uint8_t huge[4] = {255, 255, 255, 255};
    BODY(empty);
    BODY(untagged);
    BODY(short_one);
    BODY(claims);

    forge_section(&empty, DATA_DROPPED, none, sizeof(none));
    expect_refused(&empty, "without any");
    forge_section(&untagged, DATA_DROPPED, no_tag, sizeof(no_tag));
    expect_refused(&untagged, "no tag");
    forge_section(&short_one, DATA_DROPPED, fewer, sizeof(fewer));
    expect_refused(&short_one, "does not end where it should");
    forge_section(&claims, DATA_DROPPED, huge, sizeof(huge));
    expect_refused(&claims, "does not end where it should");
}

TEST(unknown_types_and_flags_are_left_to_a_newer_holdfast)
{
    static const uint16_t unknown[] = {0, 8, 0x0101, UINT16_MAX};

    for (size_t at = 0; at < 4; at++) {
        BODY(body);
        forge_section(&body, unknown[at], "", 0);
        expect_refused(&body, "a newer holdfast may know it");
    }
    for (size_t at = 2; at < 8; at++) { /* flags and zero */
        BODY(body);
        forge_kind(&body, 2, "a");
        body.bytes[at] = 1;
        expect_refused(&body, "a newer holdfast may know it");
    }
}

TEST(a_run_may_be_alone_and_nothing_else)
{
    for (size_t rank = 0; rank < 5; rank++) {
        BODY(body);
        uint16_t kind;
        forge_kind(&body, rank, "a");
        kind = body.bytes[0];
        for (unsigned bit = 0; bit < 16; bit++) {
            struct err err = {0};
            body.bytes[2] = (uint8_t)(1U << bit);
            body.bytes[3] = (uint8_t)(1U << bit >> 8);
            if (kind == DATA_RUN && bit == 0)
                EXPECT_OK(read_all(&body, &err), &err);
            else
                expect_refused(&body, "a newer holdfast may know it");
        }
    }
}

/* One section of each kind, cut after each byte, and with each length that is wrong. */
TEST(a_section_ends_where_it_says)
{
    for (size_t rank = 0; rank < 5; rank++) {
        BODY(body);
        size_t whole;
        forge_kind(&body, rank, "a");
        whole = body.size;
        for (body.size = 1; body.size < whole; body.size++)
            expect_refused(&body, "data record: section 0: ");
        body.bytes[8]++;
        expect_refused(&body, "the record ends before it does");
        wire_add_u8(&body, 0);
        expect_refused(&body, "section 0: ");
        body.bytes[8] = (uint8_t)(body.bytes[8] - 2);
        expect_refused(&body, "section 0: ");
        body.bytes[15] = 255;
        expect_refused(&body, "the record ends before it does");
    }
}

TAP_MAIN()
