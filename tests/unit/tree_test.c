#include "snapshot/tree.h"

#include "base/buf.h"
#include "tests/tap.h"

static struct tree_entry *add_file(struct tree *tree, const char *path, uint64_t size)
{
    struct tree_entry *entry = tree_add(tree, path, strlen(path), NULL, 0);

    entry->kind = ENTRY_FILE;
    entry->size = size;
    return entry;
}

TEST(an_empty_tree_is_in_order_and_has_nothing)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();

    EXPECT(tree_sort(tree));
    EXPECT_INT(tree_count(tree), 0);
    EXPECT(tree_bytes(tree) == 0);
    EXPECT(!tree_find(tree, "a"));
    tree_trim(tree);
    tree_free(NULL);
}

/* Byte order: '-' < '.' < '/' < '0' < 'a' < 0xff, and a prefix before what it begins. */
static const char *const in_order[] = {"a",  "a-b", "a.b", "a/b",      "a/b/c",
                                       "a0", "aa",  "b",   "\xc3\xa9", "\xff"};

enum { IN_ORDER = sizeof(in_order) / sizeof(in_order[0]) };

TEST(entries_are_sorted_by_the_bytes_of_their_paths)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();

    for (size_t at = 0; at < IN_ORDER; at++)
        (void)add_file(tree, in_order[(at * 7 + 3) % IN_ORDER], at);
    REQUIRE(tree_sort(tree));
    REQUIRE(tree_count(tree) == IN_ORDER);
    for (size_t at = 0; at < IN_ORDER; at++)
        EXPECT_STR(tree_path(tree, tree_at(tree, at)), in_order[at]);
}

TEST(every_path_is_found_and_no_other)
{
    static const char *const absent[] = {"",      "A",  "a/", "a/a",  "a/b/",
                                         "a/b/b", "ab", "c",  "\xc3", "\xff\xff"};
    CLEANUP(tree_freep) struct tree *tree = tree_new();

    for (size_t count = 0; count < IN_ORDER; count++) {
        (void)add_file(tree, in_order[count], count);
        for (size_t at = 0; at <= count; at++)
            EXPECT(tree_find(tree, in_order[at]) == tree_at(tree, at));
        for (size_t at = 0; at < sizeof(absent) / sizeof(absent[0]); at++)
            EXPECT(!tree_find(tree, absent[at]));
    }
}

TEST(a_copy_has_all_that_the_entry_had)
{
    CLEANUP(tree_freep) struct tree *from = tree_new();
    CLEANUP(tree_freep) struct tree *to = tree_new();
    struct tree_piece pieces[] = {{.tag = 3, .raw_bytes = 8}, {.raw_bytes = 9}};
    struct tree_entry *entry = tree_add(from, "link", 4, "target", 6);

    entry->kind = ENTRY_SYMLINK;
    entry = add_file(from, "large", 17);
    entry->inode = 5;
    tree_set_pieces(from, entry, pieces, 2);
    (void)add_file(to, "other", 1);
    for (size_t at = 0; at < 2; at++)
        (void)tree_add_copy(to, from, tree_at(from, at));
    REQUIRE(tree_sort(to));
    tree_free(MOVE(from));
    EXPECT_STR(tree_target(to, tree_find(to, "link")), "target");
    entry = tree_find(to, "large");
    REQUIRE(entry && entry->content == CONTENT_PIECES);
    EXPECT_INT(entry->inode, 5);
    EXPECT_INT(entry->extra, 2);
    EXPECT(memcmp(tree_pieces(to, entry), pieces, sizeof(pieces)) == 0);
}

TEST(paths_in_ascending_order_are_found_one_after_the_other)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    size_t from = 0;

    for (size_t at = 0; at < IN_ORDER; at += 2)
        (void)add_file(tree, in_order[at], at);
    for (size_t at = 0; at < IN_ORDER; at++) {
        const struct tree_entry *found = tree_seek(tree, &from, in_order[at]);
        EXPECT((found != NULL) == (at % 2 == 0));
        EXPECT(!found || found->size == at);
        EXPECT(tree_seek(tree, &from, in_order[at]) == found); /* also twice */
    }
    EXPECT(!tree_seek(tree, &from, "\xff\xff"));
}

TEST(a_path_that_occurs_twice_is_noticed)
{
    CLEANUP(tree_freep) struct tree *adjacent = tree_new(), *apart = tree_new();

    (void)add_file(adjacent, "a", 1);
    (void)add_file(adjacent, "a", 2);
    EXPECT(!tree_sort(adjacent));
    (void)add_file(apart, "b", 1);
    (void)add_file(apart, "c", 2);
    (void)add_file(apart, "a", 3);
    (void)add_file(apart, "c", 4);
    EXPECT(!tree_sort(apart));
}

TEST(a_path_is_copied_up_to_its_size)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    char path[] = "folder/file and more";

    (void)tree_add(tree, path, 11, NULL, 0);
    memset(path, 'x', sizeof(path) - 1);
    EXPECT_STR(tree_path(tree, tree_at(tree, 0)), "folder/file");
}

TEST(a_symlink_has_a_target)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    struct tree_entry *entry = tree_add(tree, "link", 4, "../target!", 9);

    entry->kind = ENTRY_SYMLINK;
    EXPECT_STR(tree_target(tree, entry), "../target");
    EXPECT_STR(tree_path(tree, entry), "link");
}

TEST(only_files_count_as_bytes)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();

    (void)add_file(tree, "one", 1000);
    (void)add_file(tree, "two", UINT64_C(1) << 40);
    add_file(tree, "folder", 4096)->kind = ENTRY_DIRECTORY;
    add_file(tree, "link", 7)->kind = ENTRY_SYMLINK;
    EXPECT(tree_bytes(tree) == 1000 + (UINT64_C(1) << 40));
}

TEST(pieces_belong_to_their_entry)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    struct tree_piece pieces[3] = {{.tag = 1, .raw_bytes = TREE_PIECE_SIZE},
                                   {.tag = 0, .raw_bytes = TREE_PIECE_SIZE},
                                   {.tag = 3, .raw_bytes = 5}};
    struct tree_entry *entry = NULL;

    pieces[2].content = digest_of("tail", 4);
    for (uint32_t file = 0; file < 100; file++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%03u", 99 - file);
        pieces[0].tag = file + 10;
        tree_set_pieces(tree, add_file(tree, name, 2 * TREE_PIECE_SIZE + 5), pieces, 3);
    }
    REQUIRE(tree_sort(tree));
    tree_trim(tree);
    for (size_t at = 0; at < 100; at++) {
        const struct tree_piece *found;
        entry = tree_at(tree, at);
        EXPECT(entry->content == CONTENT_PIECES && entry->extra == 3);
        found = tree_pieces(tree, entry);
        EXPECT_INT(found[0].tag, 99 - at + 10);
        EXPECT(found[1].tag == 0 && found[2].raw_bytes == 5);
        EXPECT(digest_equal(&found[2].content, &pieces[2].content));
    }
}

TEST(inline_content_is_a_place_in_a_frame)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    struct tree_entry *entry = add_file(tree, "small", 10);

    EXPECT_INT(entry->content, CONTENT_NONE);
    tree_set_inline(entry, 7, 4096);
    EXPECT(entry->content == CONTENT_INLINE && entry->target == 7 && entry->extra == 4096);
}

TEST(a_hundred_thousand_entries_are_sorted_and_found)
{
    enum { COUNT = 100000 };
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    uint32_t state = 1;

    for (uint32_t at = 0; at < COUNT; at++) {
        char path[64];
        state = state * 1664525 + 1013904223; /* a permutation of 2^32: no value comes twice */
        (void)snprintf(path, sizeof(path), "files/%02x/%08x", state >> 24, state);
        (void)add_file(tree, path, state);
    }
    REQUIRE(tree_sort(tree));
    tree_trim(tree);
    state = 1;
    for (uint32_t at = 0; at < COUNT; at++) {
        char path[64];
        const struct tree_entry *entry;
        state = state * 1664525 + 1013904223;
        (void)snprintf(path, sizeof(path), "files/%02x/%08x", state >> 24, state);
        entry = tree_find(tree, path);
        REQUIRE(entry && entry->size == state);
    }
}

TEST(a_copied_tree_is_the_same_and_another)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    CLEANUP(tree_freep) struct tree *none = tree_copy(tree);
    CLEANUP(tree_freep) struct tree *copy = NULL;
    struct tree_piece piece = {.tag = 7, .raw_bytes = 50000};

    EXPECT_INT(tree_count(none), 0);
    tree_set_pieces(tree, add_file(tree, "a", 50000), &piece, 1);
    tree_set_inline(add_file(tree, "b", 5), 3, 4);
    copy = tree_copy(tree);
    tree_at(tree, 0)->size = 1;
    (void)add_file(copy, "c", 1);
    EXPECT_INT(tree_count(tree), 2);
    REQUIRE(tree_count(copy) == 3);
    EXPECT_INT(tree_at(copy, 0)->size, 50000);
    EXPECT_INT(tree_pieces(copy, tree_at(copy, 0))->tag, 7);
    EXPECT_INT(tree_find(copy, "b")->extra, 4);
    EXPECT_STR(tree_path(copy, tree_at(copy, 2)), "c");
}

TEST(a_trimmed_tree_can_grow_again)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();

    for (size_t at = 0; at < IN_ORDER; at++) {
        (void)add_file(tree, in_order[at], at);
        tree_trim(tree);
    }
    EXPECT(tree_find(tree, "aa") == tree_at(tree, 6));
}

static bool is_safe(const char *path)
{
    return tree_path_is_safe(path, strlen(path));
}

TEST(paths_that_stay_inside_are_safe)
{
    static const char *const paths[] = {"a",           "a/b/c",     "...",       "a/...",      "..a",
                                        "a..",         ".a",        "a b\n\xff", ".holdfasts", ".holdfas",
                                        "a/.holdfast", ".HOLDFAST", "a/b.-/c",   "-",          "~"};

    for (size_t at = 0; at < sizeof(paths) / sizeof(paths[0]); at++)
        if (!EXPECT(is_safe(paths[at])))
            printf("#   \"%s\"\n", paths[at]);
}

TEST(paths_that_leave_or_touch_what_is_ours_are_not)
{
    static const char *const paths[] = {"",
                                        "/",
                                        "/a",
                                        "a/",
                                        "a//b",
                                        "//",
                                        ".",
                                        "..",
                                        "./a",
                                        "../a",
                                        "a/.",
                                        "a/..",
                                        "a/./b",
                                        "a/../../b",
                                        "a/b/..",
                                        ".holdfast",
                                        ".holdfast/state"};

    for (size_t at = 0; at < sizeof(paths) / sizeof(paths[0]); at++)
        if (!EXPECT(!is_safe(paths[at])))
            printf("#   \"%s\"\n", paths[at]);
    EXPECT(!tree_path_is_safe("a\0b", 3));
    EXPECT(!tree_path_is_safe("a/..b", 4));
}

TEST(a_path_has_at_most_4095_bytes)
{
    char path[TREE_PATH_MAX + 2];

    memset(path, 'x', sizeof(path));
    EXPECT(tree_path_is_safe(path, TREE_PATH_MAX));
    EXPECT(!tree_path_is_safe(path, TREE_PATH_MAX + 1));
}

/* Every way to cut out and put in, against doing it by hand. */
static void patch_by_hand(struct tree *base, const bool *gone, struct tree *more)
{
    struct tree_range ranges[IN_ORDER];
    CLEANUP(tree_freep) struct tree *wanted = tree_new();
    CLEANUP(tree_freep) struct tree *patched = NULL;
    size_t count = 0;

    for (size_t at = 0; at < tree_count(base); at++) {
        if (!gone[at])
            (void)tree_add_copy(wanted, base, tree_at(base, at));
        else if (count > 0 && ranges[count - 1].end == at)
            ranges[count - 1].end++;
        else
            ranges[count++] = (struct tree_range){at, at + 1};
    }
    for (size_t at = 0; at < tree_count(more); at++)
        (void)tree_add_copy(wanted, more, tree_at(more, at));
    REQUIRE(tree_sort(wanted));
    patched = tree_patch(base, ranges, count, more);
    REQUIRE(tree_count(patched) == tree_count(wanted) && tree_sort(patched));
    for (size_t at = 0; at < tree_count(wanted); at++) {
        const struct tree_entry *entry = tree_at(patched, at);
        EXPECT_STR(tree_path(patched, entry), tree_path(wanted, tree_at(wanted, at)));
        EXPECT_INT(entry->size, tree_at(wanted, at)->size);
        if (entry->kind == ENTRY_SYMLINK)
            EXPECT_STR(tree_target(patched, entry), tree_target(wanted, tree_at(wanted, at)));
    }
}

TEST(a_tree_is_patched)
{
    for (unsigned choice = 0; choice < 4096; choice++) {
        CLEANUP(tree_freep) struct tree *base = tree_new();
        CLEANUP(tree_freep) struct tree *more = tree_new();
        bool gone[IN_ORDER] = {false};
        size_t count = 0;
        for (unsigned at = 0; at < 6; at++) {
            unsigned fate = choice >> (2 * at) & 3; /* stays, goes, comes, is replaced */
            const char *path = in_order[at];
            if (fate != 2)
                gone[count++] = fate != 0;
            if (fate != 2)
                tree_add(base, path, strlen(path), "old", 3)->kind = ENTRY_SYMLINK;
            if (fate >= 2)
                tree_add(more, path, strlen(path), "newer", 5)->kind = ENTRY_SYMLINK;
        }
        patch_by_hand(base, gone, more);
        REQUIRE(tap_failures == 0);
    }
}

TEST(a_patched_tree_says_nothing_of_contents)
{
    const struct tree_piece piece = {.tag = 1, .raw_bytes = 7};
    CLEANUP(tree_freep) struct tree *base = tree_new();
    CLEANUP(tree_freep) struct tree *more = tree_new();
    CLEANUP(tree_freep) struct tree *patched = NULL;
    struct tree_entry *entry;

    entry = add_file(base, "a", 7);
    tree_set_pieces(base, entry, &piece, 1);
    tree_set_inline(add_file(base, "b", 1), 3, 4);
    patched = tree_patch(base, NULL, 0, more);
    REQUIRE(tree_count(patched) == 2);
    for (size_t at = 0; at < 2; at++) {
        entry = tree_at(patched, at);
        EXPECT(entry->content == CONTENT_NONE && entry->target == 0 && entry->extra == 0);
    }
    EXPECT_INT(tree_at(patched, 0)->size, 7);
}

TEST(a_place_in_a_tree_is_the_first_that_is_not_below_it)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();

    EXPECT_INT(tree_place(tree, "a"), 0);
    (void)add_file(tree, "b", 0);
    (void)add_file(tree, "d", 0);
    EXPECT_INT(tree_place(tree, "a"), 0);
    EXPECT_INT(tree_place(tree, "b"), 0);
    EXPECT_INT(tree_place(tree, "c"), 1);
    EXPECT_INT(tree_place(tree, "e"), 2);
}

TAP_MAIN()
