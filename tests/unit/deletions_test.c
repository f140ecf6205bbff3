/* Deletions wait until no restored state can name the file any more (protocol.md, H9). */
#include "snapshot/deletions.h"

#include "base/buf.h"
#include "tests/tap.h"

static struct tree *tree_of(const char *const *paths)
{
    struct tree *tree = tree_new();

    for (; *paths; paths++) {
        struct tree_entry *entry = tree_add(tree, *paths, strlen(*paths), NULL, 0);
        entry->kind = ENTRY_FILE;
        entry->size = strlen(*paths);
        entry->mode = 0640;
        entry->mtime_ns = 7;
        entry->inode = 99;
    }
    if (!tree_sort(tree))
        abort();
    return tree;
}

#define TREE(...) tree_of((const char *const[]){__VA_ARGS__, NULL})

static struct base_database some_database = {.path = "db"};

/* Looks at a directory that holds `now` where `before` was shipped; whether `path` is in the state. */
static bool ships(struct deletions *deletions, struct tree *before, struct tree *now,
                  const struct deletion_moment *moment, const char *path)
{
    bool there;

    deletions_hold(deletions, before, now, moment);
    there = tree_find(now, path) != NULL;
    tree_free(now);
    return there;
}

static struct deletion_moment moment_at(uint64_t seconds, uint64_t frozen, uint64_t seen)
{
    return (struct deletion_moment){.now_ms = 1000000 + seconds * 1000,
                                    .commits_frozen = frozen,
                                    .commits_seen = seen,
                                    .databases = &some_database,
                                    .databases_count = 1};
}

TEST(a_file_that_vanished_stays_as_it_was)
{
    CLEANUP(tree_freep) struct tree *before = TREE("a", "gone", "z");
    CLEANUP(tree_freep) struct tree *now = TREE("a", "z");
    struct deletions deletions = {0};
    struct deletion_moment moment = moment_at(0, 5, 5);
    const struct tree_entry *entry;

    deletions_hold(&deletions, before, now, &moment);
    entry = tree_find(now, "gone");
    REQUIRE(entry != NULL);
    EXPECT_INT(entry->size, 4);
    EXPECT_INT(entry->mode, 0640);
    EXPECT_INT(entry->mtime_ns, 7);
    EXPECT_INT(entry->inode, 0); /* not what is on the disk */
    deletions_clear(&deletions);
}

TEST(a_deletion_waits_for_a_minute_and_for_a_commit)
{
    CLEANUP(tree_freep) struct tree *before = TREE("a", "gone");
    struct deletions deletions = {0};
    struct deletion_moment first = moment_at(0, 5, 5), early = moment_at(59, 9, 9);
    struct deletion_moment silent = moment_at(3600, 5, 5), due = moment_at(3600, 6, 6);

    EXPECT(ships(&deletions, before, TREE("a"), &first, "gone"));
    EXPECT(ships(&deletions, before, TREE("a"), &early, "gone"));
    EXPECT(ships(&deletions, before, TREE("a"), &silent, "gone"));
    EXPECT(!ships(&deletions, before, TREE("a"), &due, "gone"));
    deletions_clear(&deletions);
}

TEST(a_commit_after_the_freeze_does_not_count)
{
    CLEANUP(tree_freep) struct tree *before = TREE("a", "gone");
    struct deletions deletions = {0};
    /* When it was noticed, the application had already gone on to commit 6. */
    struct deletion_moment first = moment_at(0, 5, 6), later = moment_at(61, 6, 7), due = moment_at(62, 7, 7);

    EXPECT(ships(&deletions, before, TREE("a"), &first, "gone"));
    EXPECT(ships(&deletions, before, TREE("a"), &later, "gone"));
    EXPECT(!ships(&deletions, before, TREE("a"), &due, "gone"));
    deletions_clear(&deletions);
}

TEST(without_a_database_only_time_counts)
{
    CLEANUP(tree_freep) struct tree *before = TREE("a", "gone");
    struct deletions deletions = {0};
    struct deletion_moment first = moment_at(0, 0, 0), due = moment_at(60, 0, 0);

    first.databases_count = due.databases_count = 0;
    EXPECT(ships(&deletions, before, TREE("a"), &first, "gone"));
    EXPECT(!ships(&deletions, before, TREE("a"), &due, "gone"));
    deletions_clear(&deletions);
}

TEST(a_file_that_came_back_waits_anew)
{
    CLEANUP(tree_freep) struct tree *before = TREE("a", "gone");
    struct deletions deletions = {0};
    struct deletion_moment first = moment_at(0, 5, 5), back = moment_at(50, 6, 6),
                           again = moment_at(61, 7, 7);

    EXPECT(ships(&deletions, before, TREE("a"), &first, "gone"));
    EXPECT(ships(&deletions, before, TREE("a", "gone"), &back, "gone"));
    EXPECT_INT(deletions.count, 0);
    EXPECT(ships(&deletions, before, TREE("a"), &again, "gone"));
    deletions_clear(&deletions);
}

TEST(what_is_buried_under_another_kind_can_not_stay)
{
    CLEANUP(tree_freep) struct tree *before = TREE("folder/gone", "z");
    struct deletions deletions = {0};
    struct deletion_moment first = moment_at(0, 5, 5);

    EXPECT(!ships(&deletions, before, TREE("folder", "z"), &first, "folder/gone"));
    deletions_clear(&deletions);
}

TEST(what_has_become_a_database_has_not_vanished)
{
    CLEANUP(tree_freep) struct tree *before = TREE("a", "db", "db-journal");
    CLEANUP(tree_freep) struct tree *now = TREE("a");
    struct deletions deletions = {0};
    struct deletion_moment first = moment_at(0, 5, 5);

    deletions_hold(&deletions, before, now, &first);
    EXPECT_INT(tree_count(now), 1);
    EXPECT_INT(deletions.count, 0);
    deletions_clear(&deletions);
}

TEST(many_deletions_keep_their_order_and_their_times)
{
    CLEANUP(tree_freep) struct tree *before = TREE("a", "b", "c", "d", "e");
    struct deletions deletions = {0};
    struct deletion_moment first = moment_at(0, 5, 5), second = moment_at(30, 6, 6),
                           third = moment_at(70, 8, 8);
    CLEANUP(tree_freep) struct tree *now = TREE("c");

    EXPECT(ships(&deletions, before, TREE("a", "c", "d", "e"), &first, "b"));
    EXPECT(ships(&deletions, before, TREE("a", "c"), &second, "e"));
    deletions_hold(&deletions, before, now, &third);
    EXPECT(tree_find(now, "a") != NULL); /* noticed only now */
    EXPECT(tree_find(now, "b") == NULL); /* 70 s ago */
    EXPECT(tree_find(now, "d") != NULL); /* 40 s ago */
    EXPECT(tree_find(now, "e") != NULL);
    deletions_clear(&deletions);
}

TAP_MAIN()
