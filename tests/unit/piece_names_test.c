/* A content that is in the store already is found by its hash. */
#include "snapshot/piece_names.h"

#include "tests/tap.h"

static struct tree_piece piece(uint64_t tag, const char *content, uint32_t raw_bytes)
{
    return (struct tree_piece){tag, raw_bytes, digest_of(content, strlen(content))};
}

static void add_file(struct tree *tree, const char *path, const struct tree_piece *pieces, uint32_t count)
{
    struct tree_entry *entry = tree_add(tree, path, strlen(path), NULL, 0);

    entry->kind = ENTRY_FILE;
    if (count > 0)
        tree_set_pieces(tree, entry, pieces, count);
}

TEST(every_piece_of_the_tree_is_found_by_its_content)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    CLEANUP(piece_names_clearp) struct piece_names names = {0};
    struct tree_piece pieces[] = {piece(3, "x", 9), {.raw_bytes = 9}, piece(5, "y", 4), piece(7, "z", 2)};

    add_file(tree, "empty", NULL, 0);
    add_file(tree, "first", pieces, 3);
    add_file(tree, "second", &pieces[3], 1);
    names = piece_names_of(tree);
    EXPECT_INT(names.count, 3); /* a hole has no name */
    for (size_t at = 0; at < 4; at++) {
        const struct tree_piece *found = piece_names_find(&names, &pieces[at].content, pieces[at].raw_bytes);
        EXPECT((found != NULL) == (pieces[at].tag != 0));
        EXPECT(!found || found->tag == pieces[at].tag);
    }
}

TEST(another_size_or_content_is_not_found)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    CLEANUP(piece_names_clearp) struct piece_names names = {0};
    struct tree_piece known = piece(3, "x", 9), other = piece(3, "other", 9);

    EXPECT(!piece_names_find(&names, &known.content, 9));
    add_file(tree, "file", &known, 1);
    names = piece_names_of(tree);
    EXPECT(!piece_names_find(&names, &known.content, 8));
    EXPECT(!piece_names_find(&names, &other.content, 9));
}

TEST(no_tree_names_nothing)
{
    struct piece_names names = piece_names_of(NULL);

    EXPECT_INT(names.count, 0);
    piece_names_clear(&names);
}

TAP_MAIN()
