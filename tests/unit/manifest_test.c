#include "snapshot/manifest.h"

#include "tests/tap.h"
#include "tests/unit/golden.h"
#include "tests/unit/manifest_forge.h"
#include "tests/unit/manifest_sample.h"

#include <malloc.h>
#include <time.h>

enum { HEADER_SIZE = 144, BODY_BYTES_AT = 16, RAW_BYTES_AT = 136 };

static struct digest encode_sample(struct buf *bytes)
{
    CLEANUP(manifest_clearp) struct manifest manifest;
    struct digest hash = {{0}};
    struct err err = {0};

    sample_manifest(&manifest);
    EXPECT_OK(manifest_encode(&manifest, bytes, &hash, &err), &err);
    return hash;
}

/* What is compressed may change with zstd's version: the body is compared as it was before. */
static void decompress_body(const struct buf *bytes, struct buf *body)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    struct wire_reader reader = wire_reader_of(bytes->bytes + RAW_BYTES_AT, 8);
    uint64_t raw_bytes = wire_u64(&reader);
    struct err err = {0};

    REQUIRE_OK(codec_decompress(codec, bytes->bytes + HEADER_SIZE, bytes->size - HEADER_SIZE - DIGEST_SIZE,
                                buf_extend(body, raw_bytes), raw_bytes, &err),
               &err);
}

TEST(the_bytes_of_a_manifest_are_those_of_the_specification)
{
    CLEANUP(buf_clearp) struct buf wanted = BUF_INIT(1 << 20), wanted_body = BUF_INIT(1 << 20);
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20), body = BUF_INIT(1 << 20);

    REQUIRE(golden_read("manifest", &wanted) && golden_read("manifest_body", &wanted_body));
    (void)encode_sample(&bytes);
    decompress_body(&bytes, &body);
    REQUIRE(body.size == wanted_body.size);
    EXPECT(memcmp(body.bytes, wanted_body.bytes, body.size) == 0);
    memset(bytes.bytes + BODY_BYTES_AT, 0, 8);
    memset(wanted.bytes + BODY_BYTES_AT, 0, 8);
    EXPECT(memcmp(bytes.bytes, wanted.bytes, HEADER_SIZE) == 0);
}

static void expect_same_database(const struct manifest_database *one, const struct manifest_database *other)
{
    EXPECT_STR(one->path, other->path);
    EXPECT(one->incarnation == other->incarnation && one->position == other->position);
    EXPECT(one->page_size == other->page_size && one->pages == other->pages);
    EXPECT(one->rolling_hash == other->rolling_hash && one->mode == other->mode);
    EXPECT(one->uid == other->uid && one->gid == other->gid && one->mtime_ns == other->mtime_ns);
    EXPECT(one->first_frame == other->first_frame && one->frames == other->frames);
}

static void expect_same_entry(struct tree *one_tree, struct tree *other_tree, size_t at)
{
    const struct tree_entry *one = tree_at(one_tree, at), *other = tree_at(other_tree, at);

    EXPECT_STR(tree_path(one_tree, one), tree_path(other_tree, other));
    EXPECT(one->kind == other->kind && one->content == other->content && one->mode == other->mode);
    EXPECT(one->uid == other->uid && one->gid == other->gid && one->mtime_ns == other->mtime_ns);
    EXPECT(one->kind == ENTRY_DIRECTORY || one->size == other->size);
    if (one->kind == ENTRY_SYMLINK)
        EXPECT_STR(tree_target(one_tree, one), tree_target(other_tree, other));
    if (one->content == CONTENT_INLINE)
        EXPECT(one->target == other->target && one->extra == other->extra);
    if (one->content != CONTENT_PIECES)
        return;
    REQUIRE(one->extra == other->extra);
    for (uint32_t piece = 0; piece < one->extra; piece++) {
        const struct tree_piece *left = &tree_pieces(one_tree, one)[piece];
        const struct tree_piece *right = &tree_pieces(other_tree, other)[piece];
        EXPECT(left->tag == right->tag && left->raw_bytes == right->raw_bytes);
        EXPECT(digest_equal(&left->content, &right->content));
    }
}

static void expect_same(const struct manifest *one, const struct manifest *other)
{
    EXPECT(id_equal(&one->lineage, &other->lineage) && id_equal(&one->owner, &other->owner));
    EXPECT(one->epoch == other->epoch && one->position == other->position && one->time_ns == other->time_ns);
    EXPECT(one->key_id == other->key_id && one->n == other->n);
    EXPECT(digest_equal(&one->record, &other->record) && one->lowest_position == other->lowest_position);
    REQUIRE(one->parts_count == other->parts_count && one->frames_count == other->frames_count);
    REQUIRE(one->databases_count == other->databases_count &&
            tree_count(one->tree) == tree_count(other->tree));
    for (size_t at = 0; at < one->parts_count; at++) {
        EXPECT(one->parts[at].n == other->parts[at].n && one->parts[at].bytes == other->parts[at].bytes);
        EXPECT(digest_equal(&one->parts[at].hash, &other->parts[at].hash));
        EXPECT_INT(one->parts[at].first_frame, other->parts[at].first_frame);
        EXPECT_INT(one->parts[at].frames, other->parts[at].frames);
    }
    for (size_t at = 0; at < one->frames_count; at++)
        EXPECT(memcmp(&one->frames[at], &other->frames[at], sizeof(one->frames[at])) == 0);
    for (size_t at = 0; at < one->databases_count; at++)
        expect_same_database(&one->databases[at], &other->databases[at]);
    for (size_t at = 0; at < tree_count(one->tree); at++)
        expect_same_entry(one->tree, other->tree, at);
}

TEST(the_pinned_manifest_is_read)
{
    CLEANUP(manifest_clearp) struct manifest wanted = {0}, found = {0};
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);
    struct err err = {0};

    sample_manifest(&wanted);
    REQUIRE(golden_read("manifest", &bytes));
    REQUIRE_OK(manifest_decode(bytes.bytes, bytes.size, &found, &err), &err);
    expect_same(&found, &wanted);
    EXPECT_INT(manifest_state_bytes(&found), 1034 * 4096 + 1000 + 300 + 2 * TREE_PIECE_SIZE + 5);
    EXPECT(tree_find(found.tree, "storage/link"));
}

TEST(what_a_manifest_takes_of_a_disk_has_no_holes_and_nothing_that_is_there_already)
{
    CLEANUP(manifest_clearp) struct manifest manifest = {0};
    const struct tree_entry *large;
    CLEANUP(freep) bool *entries = NULL;
    bool databases[8] = {false};
    uint64_t all, holes = 0;

    sample_manifest(&manifest);
    large = tree_find(manifest.tree, "storage/big");
    REQUIRE(large && large->content == CONTENT_PIECES);
    for (uint32_t at = 0; at < large->extra; at++)
        holes += tree_pieces(manifest.tree, large)[at].tag == 0
                     ? tree_pieces(manifest.tree, large)[at].raw_bytes
                     : 0;
    EXPECT(holes > 0);
    all = manifest_disk_bytes(&manifest, NULL, NULL);
    EXPECT_INT(all, manifest_state_bytes(&manifest) - holes);
    entries = xcalloc(tree_count(manifest.tree), sizeof(entries[0]));
    EXPECT_INT(manifest_disk_bytes(&manifest, entries, databases), all);
    entries[large - tree_at(manifest.tree, 0)] = true;
    EXPECT_INT(manifest_disk_bytes(&manifest, entries, databases), all - (large->size - holes));
    databases[0] = true;
    EXPECT_INT(manifest_disk_bytes(&manifest, entries, databases),
               all - (large->size - holes) - manifest.databases[0].pages * manifest.databases[0].page_size);
}

TEST(a_manifest_comes_back)
{
    CLEANUP(manifest_clearp) struct manifest wanted = {0}, found = {0};
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);
    struct digest hash;
    struct err err = {0};

    buf_add_text(&bytes, "front");
    hash = encode_sample(&bytes);
    EXPECT(memcmp(hash.bytes, bytes.bytes + bytes.size - DIGEST_SIZE, DIGEST_SIZE) == 0);
    sample_manifest(&wanted);
    REQUIRE_OK(manifest_decode(bytes.bytes + 5, bytes.size - 5, &found, &err), &err);
    expect_same(&found, &wanted);
}

TEST(a_database_is_found_by_its_path_and_no_other)
{
    static const char *const paths[] = {"a.db", "b/one.db", "b/two.db", "c.db", "d.db"};
    static const char *const others[] = {"", "a.d", "a.db-wal", "b", "b/one.dc", "c.d", "e.db"};
    CLEANUP(manifest_clearp) struct manifest manifest = {0};

    for (size_t count = 0; count <= sizeof(paths) / sizeof(paths[0]); count++) {
        for (size_t at = 0; at < sizeof(paths) / sizeof(paths[0]); at++)
            EXPECT(manifest_find_database(&manifest, paths[at]) ==
                   (at < count ? &manifest.databases[at] : NULL));
        for (size_t at = 0; at < sizeof(others) / sizeof(others[0]); at++)
            EXPECT(!manifest_find_database(&manifest, others[at]));
        if (count < sizeof(paths) / sizeof(paths[0]))
            (void)manifest_add_database(&manifest, paths[count]);
    }
}

TEST(a_manifest_of_nothing_comes_back)
{
    CLEANUP(manifest_clearp)
    struct manifest manifest = {.epoch = 1, .position = 1, .lowest_position = 1}, found = {0};
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1000);
    struct digest hash;
    struct err err = {0};

    REQUIRE_OK(manifest_encode(&manifest, &bytes, &hash, &err), &err);
    REQUIRE_OK(manifest_decode(bytes.bytes, bytes.size, &found, &err), &err);
    EXPECT(found.tree && tree_count(found.tree) == 0);
    EXPECT(manifest_state_bytes(&found) == 0 && manifest_state_bytes(&manifest) == 0);
}

TEST(the_same_manifest_gives_the_same_bytes)
{
    CLEANUP(buf_clearp) struct buf one = BUF_INIT(1 << 20), other = BUF_INIT(1 << 20);

    (void)encode_sample(&one);
    (void)encode_sample(&other);
    EXPECT(one.size == other.size && memcmp(one.bytes, other.bytes, one.size) == 0);
}

TEST(a_manifest_cut_anywhere_is_refused)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);

    (void)encode_sample(&bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        CLEANUP(freep) uint8_t *cut = xmalloc(size);
        struct buf view = {.bytes = cut, .size = size};
        memcpy(cut, bytes.bytes, size);
        expect_manifest_refused(&view, "");
    }
}

TEST(a_manifest_with_any_bit_flipped_is_refused)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);

    (void)encode_sample(&bytes);
    for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
        bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect_manifest_refused(&bytes, "");
        bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* What is accepted can be written again, and says the same. */
static bool check_if_accepted(const struct buf *bytes)
{
    CLEANUP(manifest_clearp) struct manifest manifest = {0}, found = {0};
    CLEANUP(buf_clearp) struct buf again = BUF_INIT(1 << 20);
    struct digest hash;
    struct err err = {0};

    if (!manifest_decode(bytes->bytes, bytes->size, &manifest, &err)) {
        EXPECT_INT(err.code, ERR_CORRUPT);
        return false;
    }
    EXPECT_OK(manifest_encode(&manifest, &again, &hash, &err), &err);
    EXPECT_OK(manifest_decode(again.bytes, again.size, &found, &err), &err);
    expect_same(&manifest, &found);
    return true;
}

TEST(a_flipped_bit_under_a_right_hash_is_refused_or_still_a_manifest)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);

    (void)encode_sample(&bytes);
    for (size_t bit = 0; bit < 8 * (bytes.size - DIGEST_SIZE); bit++) {
        bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        golden_seal(&bytes);
        (void)check_if_accepted(&bytes);
        bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(a_flipped_bit_of_the_body_is_refused_or_still_a_manifest)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(1 << 20), bytes = BUF_INIT(1 << 20);
    int accepted = 0;

    REQUIRE(golden_read("manifest_body", &body));
    for (size_t bit = 0; bit < 8 * body.size; bit++) {
        body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        forge_wrap(&body, &bytes);
        accepted += check_if_accepted(&bytes);
        body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    EXPECT(accepted > 1000); /* hashes, times, owners: not all of it is refused for another reason */
}

TEST(a_body_cut_anywhere_or_too_long_is_refused)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(1 << 20), bytes = BUF_INIT(1 << 20);
    size_t whole;

    REQUIRE(golden_read("manifest_body", &body));
    whole = body.size;
    for (body.size = 0; body.size < whole; body.size++) {
        forge_wrap(&body, &bytes);
        expect_manifest_refused(&bytes, "manifest: ");
    }
    buf_add(&body, "", 1);
    forge_wrap(&body, &bytes);
    expect_manifest_refused(&bytes, "does not end where it should");
}

static double now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void make_many(struct manifest *manifest, uint32_t count)
{
    sample_manifest(manifest);
    tree_free(manifest->tree);
    manifest->tree = tree_new();
    manifest_add_frame(manifest, 4000000, FRAME_RAW_BYTES);
    manifest_add_part(manifest, &(struct manifest_part){3, 16 + 4000000, digest_of("part 3", 6), 3, 1});
    for (uint32_t at = 0; at < count; at++) {
        char path[80];
        struct tree_entry *entry;
        /* As Convex names its files: a folder and a UUID. */
        (void)snprintf(path, sizeof(path), "storage/files/%08x-0000-4000-8000-%012x.blob", at,
                       at * 2654435761U);
        entry = sample_add(manifest, ENTRY_FILE, path, 0600, 1 + at % 4096);
        sample_own(entry, sample_time_ns + at * INT64_C(1000003));
        tree_set_inline(entry, 3, at % 1000);
    }
}

TEST(a_hundred_thousand_files_take_150_bytes_each)
{
    enum { COUNT = 100000 };
    CLEANUP(manifest_clearp) struct manifest manifest = {0}, found = {0};
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(MANIFEST_SIZE_MAX);
    struct digest hash;
    struct err err = {0};
    struct mallinfo2 before, after;
    double encoded_s, decoded_s;

    make_many(&manifest, COUNT);
    encoded_s = now_s();
    REQUIRE_OK(manifest_encode(&manifest, &bytes, &hash, &err), &err);
    encoded_s = now_s() - encoded_s;
    before = mallinfo2();
    decoded_s = now_s();
    REQUIRE_OK(manifest_decode(bytes.bytes, bytes.size, &found, &err), &err);
    decoded_s = now_s() - decoded_s;
    after = mallinfo2();
    printf("# %d files: %zu bytes of manifest, encoded in %.0f ms, decoded in %.0f ms\n", COUNT, bytes.size,
           encoded_s * 1e3, decoded_s * 1e3);
    EXPECT_INT(tree_count(found.tree), COUNT);
    if (after.uordblks + after.hblkhd > before.uordblks + before.hblkhd) { /* sanitizers count elsewhere */
        size_t grown = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
        printf("# %.1f bytes of memory for each file\n", (double)grown / COUNT);
        EXPECT(grown < (size_t)150 * COUNT);
    }
    EXPECT(bytes.size < (size_t)60 * COUNT);
}

TAP_MAIN()
