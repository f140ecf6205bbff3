#include "snapshot/manifest.h"

#include "tests/tap.h"
#include "tests/unit/golden.h"
#include "tests/unit/manifest_forge.h"
#include "tests/unit/manifest_sample.h"

TEST(the_forge_makes_good_manifests_too)
{
    FORGE(forge);

    forge_part(&forge, 100, 8192);
    forge_part(&forge, 200, 5000);
    forge_database(&forge, "a.db", 2, 0, 1);
    forge_database(&forge, "b/c.db", 0, 0, 0);
    forge_directory(&forge, "b");
    forge_file(&forge, "b/file");
    forge_inline(&forge, "b/inline", 5000, 1, 0);
    forge_symlink(&forge, "b/link", "/etc/passwd", 11);
    forge_file(&forge, "not/listed/above");
    expect_forge_accepted(&forge);
}

TEST(the_frames_of_a_database_are_its_own_and_hold_its_pages)
{
    FORGE(beyond);
    FORGE(far_beyond);
    FORGE(shared);
    FORGE(too_few);
    FORGE(too_many);
    FORGE(other_size);
    FORGE(many_pages);

    forge_part(&beyond, 100, 4096);
    forge_database(&beyond, "db", 2, 0, 2);
    expect_forge_refused(&beyond, "manifest: db: its frames are beyond the last one");
    forge_part(&far_beyond, 100, 4096);
    forge_database(&far_beyond, "db", 1, UINT32_MAX, UINT32_MAX);
    expect_forge_refused(&far_beyond, "beyond the last one");
    forge_part(&shared, 100, 4096);
    forge_database(&shared, "a", 1, 0, 1);
    forge_database(&shared, "b", 1, 0, 1);
    expect_forge_refused(&shared, "manifest: b: a frame of its belongs to another database");
    forge_part(&too_few, 100, FRAME_RAW_BYTES);
    forge_database(&too_few, "db", 1025, 0, 1);
    expect_forge_refused(&too_few, "do not hold all of its pages");
    forge_part(&too_many, 100, 4096);
    forge_part(&too_many, 100, 4096);
    forge_database(&too_many, "db", 1, 0, 2);
    expect_forge_refused(&too_many, "do not hold its pages");
    forge_part(&other_size, 100, 4095);
    forge_database(&other_size, "db", 1, 0, 1);
    expect_forge_refused(&other_size, "do not hold its pages");
    forge_database(&many_pages, "db", UINT64_MAX, 0, 0);
    expect_forge_refused(&many_pages, "more pages than a database can have");
}

TEST(inline_content_lies_within_a_frame_that_is_no_database)
{
    FORGE(beyond);
    FORGE(past_the_end);
    FORGE(wrapped);
    FORGE(of_database);
    FORGE(large);
    FORGE(empty);

    forge_part(&beyond, 100, 4096);
    forge_inline(&beyond, "a", 5, 1, 0);
    expect_forge_refused(&beyond, "manifest: a: its frame is beyond the last one");
    forge_part(&past_the_end, 100, 4096);
    forge_inline(&past_the_end, "a", 5, 0, 4092);
    expect_forge_refused(&past_the_end, "beyond the end of its frame");
    forge_part(&wrapped, 100, 4096);
    forge_inline(&wrapped, "a", 5, 0, UINT32_MAX - 1);
    expect_forge_refused(&wrapped, "beyond the end of its frame");
    forge_part(&of_database, 100, 4096);
    forge_database(&of_database, "db", 1, 0, 1);
    forge_inline(&of_database, "a", 5, 0, 0);
    expect_forge_refused(&of_database, "manifest: a: its frame belongs to a database");
    forge_part(&large, 100, 1 << 20);
    forge_inline(&large, "a", TREE_INLINE_MAX + 1, 0, 0);
    expect_forge_refused(&large, "only files of 1 to 32768 bytes");
    forge_part(&empty, 100, 4096);
    forge_inline(&empty, "a", 0, 0, 0);
    expect_forge_refused(&empty, "only files of 1 to 32768 bytes");
}

static void forge_pieces(struct forge *forge, uint64_t size, uint32_t count, uint32_t written, uint32_t last)
{
    forge_entry(forge, ENTRY_FILE, "a", 1, size);
    wire_add_u8(&forge->entries, CONTENT_PIECES);
    wire_add_u32(&forge->entries, count);
    for (uint32_t at = 0; at < written; at++) {
        wire_add_u32(&forge->entries, at + 1 < written ? TREE_PIECE_SIZE : last);
        wire_add_u8(&forge->entries, 1);
    }
}

TEST(pieces_add_up_to_the_size_of_their_file)
{
    static const struct {
        uint64_t size;
        uint32_t count, written, last;
        bool good;
    } cases[] = {
        {1, 1, 1, 1, true},
        {TREE_PIECE_SIZE, 1, 1, TREE_PIECE_SIZE, true},
        {TREE_PIECE_SIZE + 1, 2, 2, 1, true},
        {0, 0, 0, 0, false},
        {0, 1, 1, 0, false},
        {TREE_PIECE_SIZE, 2, 2, 0, false},
        {TREE_PIECE_SIZE + 1, 1, 1, TREE_PIECE_SIZE, false},
        {TREE_PIECE_SIZE + 1, 2, 2, 2, false},
        {5, 1, 1, 6, false},
        {5, 2, 2, 5, false},
        {UINT64_MAX, 3, 3, 5, false},
        {UINT64_C(0xffffffff) * TREE_PIECE_SIZE, UINT32_MAX, 3, TREE_PIECE_SIZE, false},
        {UINT64_C(0x100000001) * TREE_PIECE_SIZE, 1, 1, TREE_PIECE_SIZE, false},
    };

    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        FORGE(forge);
        forge_pieces(&forge, cases[at].size, cases[at].count, cases[at].written, cases[at].last);
        if (cases[at].good)
            expect_forge_accepted(&forge);
        else
            expect_forge_refused(&forge, "manifest: a: its pieces do not");
    }
}

TEST(a_piece_is_a_blob_with_a_tag_or_zeros)
{
    FORGE(kind);
    FORGE(tag);

    forge_pieces(&kind, 5, 1, 1, 5);
    kind.entries.bytes[kind.entries.size - 1] = 2;
    expect_forge_refused(&kind, "unknown kind");
    forge_pieces(&tag, 5, 1, 1, 5);
    tag.entries.bytes[tag.entries.size - 1] = 0;
    for (size_t at = 0; at < 8 + DIGEST_SIZE; at++)
        wire_add_u8(&tag.entries, at < 8 ? 0 : 1);
    expect_forge_refused(&tag, "manifest: a: its pieces");
}

TEST(counts_of_four_billion_are_refused_before_memory_is_taken)
{
    for (int list = 0; list < 4; list++) {
        CLEANUP(buf_clearp) struct buf body = BUF_INIT(1000), bytes = BUF_INIT(1000);
        wire_add_u32(&body, list == 0 ? UINT32_MAX : list == 3);
        if (list == 3) /* one part, of so many frames */
            for (size_t at = 0; at < 8 + 8 + DIGEST_SIZE + 4; at++)
                wire_add_u8(&body, 0xff);
        wire_add_u32(&body, list == 1 ? UINT32_MAX : 0);
        wire_add_u64(&body, list == 2 ? UINT64_MAX : 0);
        forge_wrap(&body, &bytes);
        expect_manifest_refused(&bytes, "manifest: ");
    }
}

TEST(parts_hold_the_frames_they_say)
{
    FORGE(bytes);
    FORGE(empty_frame);
    FORGE(large_frame);
    FORGE(large_stored);
    FORGE(no_frames);

    forge_part(&bytes, 100, 4096);
    bytes.parts.bytes[8] ^= 1;
    expect_forge_refused(&bytes, "manifest: part 1 of 117 bytes has frames of 116");
    forge_part(&empty_frame, 0, 4096);
    expect_forge_refused(&empty_frame, "frame 0 has 4096 bytes, 0 stored");
    forge_part(&large_frame, 100, FRAME_RAW_BYTES + 1);
    expect_forge_refused(&large_frame, "frame 0 has");
    forge_part(&large_stored, FRAME_STORED_MAX + 1, 4096);
    expect_forge_refused(&large_stored, "frame 0 has");
    no_frames.parts_count = 1;
    for (size_t at = 0; at < 8 + 8 + DIGEST_SIZE + 4; at++)
        wire_add_u8(&no_frames.parts, 0);
    expect_forge_refused(&no_frames, "manifest: part 0 has no frames");
}

TEST(symlinks_and_directories_have_the_size_they_should)
{
    FORGE(wrong);
    FORGE(empty);
    FORGE(directory);

    forge_symlink(&wrong, "a", "target", 7);
    expect_forge_refused(&wrong, "manifest: a: its size is not that of its target");
    forge_symlink(&empty, "a", "", 0);
    expect_forge_refused(&empty, "manifest: a: its size is not that of its target");
    forge_entry(&directory, ENTRY_DIRECTORY, "a", 1, 4096);
    expect_forge_refused(&directory, "a directory with a size");
}

TEST(kinds_contents_and_modes_that_are_unknown_are_refused)
{
    FORGE(kind);
    FORGE(content);
    FORGE(missing);
    FORGE(mode);
    FORGE(database_mode);

    forge_entry(&kind, 4, "a", 1, 0);
    expect_forge_refused(&kind, "manifest: a: its kind is unknown");
    forge_file(&content, "a");
    content.entries.bytes[content.entries.size - 1] = 3;
    expect_forge_refused(&content, "its content is of an unknown kind");
    forge_entry(&missing, ENTRY_FILE, "a", 1, 5);
    wire_add_u8(&missing.entries, CONTENT_NONE);
    expect_forge_refused(&missing, "manifest: a: its content is missing");
    forge_file(&mode, "a");
    mode.entries.bytes[1 + 2 + 1 + 1] = 0x10;
    expect_forge_refused(&mode, "mode with unknown bits");
    forge_database(&database_mode, "a", 0, 0, 0);
    database_mode.databases.bytes[2 + 1 + 36 + 1] = 0x10;
    expect_forge_refused(&database_mode, "its mode has unknown bits");
}

/* Offsets in a database of path "a": 3 bytes of path, then as in docs/FORMAT.md. */
TEST(the_numbers_of_a_database_are_possible)
{
    static const struct {
        size_t offset;
        uint8_t value;
        const char *text;
    } cases[] = {
        {3 + 8, 42, "its position is not among"},
        {3 + 8, 38, "its position is not among"},
        {3 + 17, 0x11, "its page size"},
        {3 + 17, 1, "its page size"},
        {3 + 17, 0, "its page size"},
        {3 + 28, 1, "a hash but no pages"},
    };

    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        FORGE(forge);
        forge_database(&forge, "a", 0, 0, 0);
        forge.databases.bytes[cases[at].offset] = cases[at].value;
        expect_forge_refused(&forge, cases[at].text);
    }
}

TEST(the_header_keeps_its_rules)
{
    static const struct {
        size_t offset;
        uint8_t value;
        const char *text;
    } cases[] = {
        {8, 2, "a manifest of format 2, and this holdfast reads format 1: run a newer holdfast"},
        {8, 0, "format 0"},
        {10, 1, "its kind is unknown"},
        {12, 143, "not what its header says"},
        {56, 42, "epoch is above its position"},
        {64, 0, "begin at 1"},
        {80, 1, "encrypted"},
        {120, 0, "lowest position"},
        {120, 42, "lowest position"},
        {136, 5, "where 5 are due"},
        {139, 0xff, "which it can't have"},
        {143, 0xff, "which it can't have"},
        {0, 'X', "not a manifest"},
    };

    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);
        FORGE(forge);
        forge_seal(&forge, &bytes);
        bytes.bytes[cases[at].offset] = cases[at].value;
        golden_seal(&bytes);
        expect_manifest_refused(&bytes, cases[at].text);
    }
}

TEST(a_manifest_above_the_limit_is_refused_unread)
{
    struct buf huge = {.bytes = NULL, .size = (size_t)MANIFEST_SIZE_MAX + 1};

    expect_manifest_refused(&huge, "above the limit");
}

static void expect_unwritten(struct manifest *manifest, const char *text)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);
    struct digest hash;
    struct err err = {0};

    EXPECT(!manifest_encode(manifest, &bytes, &hash, &err));
    EXPECT_INT(bytes.size, 0);
    if (!EXPECT(strstr(err.text, text)))
        printf("#   \"%s\" has no \"%s\"\n", err.text, text);
    manifest_clear(manifest);
}

TEST(what_a_reader_would_refuse_is_never_written)
{
    struct manifest manifest;

    sample_manifest(&manifest);
    (void)sample_add(&manifest, ENTRY_FILE, "aaa", 0, 0);
    expect_unwritten(&manifest, "manifest: aaa: entries are not in ascending order");
    sample_manifest(&manifest);
    (void)sample_add(&manifest, ENTRY_FILE, "unread", 0, 77);
    expect_unwritten(&manifest, "manifest: unread: its content is missing");
    sample_manifest(&manifest);
    (void)sample_add(&manifest, ENTRY_FILE, "z/../a", 0, 0);
    expect_unwritten(&manifest, "manifest: z/../a: not a path");
    sample_manifest(&manifest);
    manifest.databases[0].pages++;
    expect_unwritten(&manifest, "do not hold its pages");
    sample_manifest(&manifest);
    manifest.parts[1].first_frame = 1;
    expect_unwritten(&manifest, "does not go on where");
    sample_manifest(&manifest);
    manifest_add_frame(&manifest, 1, 1);
    expect_unwritten(&manifest, "4 frames, of which 3 are in parts");
}

TEST(a_manifest_that_does_not_fit_its_buffer_leaves_it_as_it_was)
{
    CLEANUP(manifest_clearp) struct manifest manifest = {0};
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(300);
    struct digest hash;
    struct err err = {0};

    sample_manifest(&manifest);
    buf_add_text(&bytes, "kept");
    EXPECT(!manifest_encode(&manifest, &bytes, &hash, &err));
    EXPECT_INT(bytes.size, 4);
}

TAP_MAIN()
