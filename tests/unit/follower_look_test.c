/* Which files a follower looks at: what was touched since what was settled, and everything where that isn't
 * known. The names that tell it apart are links below an excluded folder: what is written through them no
 * event tells. */
#include "snapshot/follower.h"
#include "tests/double/changing.h"
#include "tests/double/looking.h"
#include "tests/double/scanning.h"
#include "tests/double/upheaval.h"
#include "tests/double/writer.h"

#include <fcntl.h>

struct fixture {
    struct changing changing; /* its tree of before is the settled one */
    struct scratch outside;
    struct globs *exclude;
    struct globs *databases;
    struct follower *follower;
    unsigned warnings;
    char warning[256];
    bool renames; /* at the warning: it comes between the look for what is gone and the scan */
};

static void note_warning(void *context, const char *text)
{
    struct fixture *fixture = context;

    if (strstr(text, "is kept as a plain file"))
        return; /* there are no others here, and some come to have something in their logs */
    fixture->warnings++;
    if (fixture->renames)
        EXPECT_INT(renameat(fixture->changing.disk.fd, "old.db", fixture->changing.disk.fd, "new.db"), 0);
    (void)snprintf(fixture->warning, sizeof(fixture->warning), "%s", text);
}

/* A follower of a directory with a file "known", another name of which is "hidden/known". */
static void open_with(struct fixture *fixture, const char *databases)
{
    struct follower_config config = {.warn = note_warning, .warn_context = fixture};
    struct err err;

    *fixture = (struct fixture){.exclude = globs("hidden"), .databases = globs(databases)};
    changing_open(&fixture->changing);
    scratch_open(&fixture->outside);
    scratch_write(fixture->changing.disk.fd, "known", "known");
    scratch_mkdir(fixture->changing.disk.fd, "hidden");
    REQUIRE(linkat(fixture->changing.disk.fd, "known", fixture->changing.disk.fd, "hidden/known", 0) == 0);
    config.directory_fd = fixture->changing.disk.fd;
    config.directory_path = fixture->changing.disk.path;
    config.exclude = fixture->exclude;
    config.databases = fixture->databases;
    REQUIRE_OK(follower_open(&config, &fixture->follower, &err), &err);
}

static void fixture_open(struct fixture *fixture)
{
    open_with(fixture, "");
}

static void fixture_close(struct fixture *fixture)
{
    follower_free(fixture->follower);
    globs_free(fixture->databases);
    globs_free(fixture->exclude);
    scratch_close(&fixture->outside);
    changing_close(&fixture->changing);
}

static struct tree *look(struct fixture *fixture, enum follower_look how)
{
    struct tree *tree = NULL;
    bool steady = false;
    struct err err = {0};

    EXPECT_OK(follower_refresh(fixture->follower, how, fixture->changing.previous, &tree, &steady, &err),
              &err);
    return tree;
}

/* What the shipper does with a record that is confirmed. */
static void settle(struct fixture *fixture, uint64_t number)
{
    struct changing *changing = &fixture->changing;

    for (size_t at = 0; at < changing->deletions.count; at++)
        (void)touched_add(&changing->changes.again, changing->deletions.list[at].path, 0, true);
    follower_settle(fixture->follower, number, &changing->changes.again);
}

static void ship(struct fixture *fixture, struct tree *tree, uint64_t number)
{
    struct err err = {0};

    EXPECT_OK(changing_ship_seen(&fixture->changing, tree, &err), &err);
    settle(fixture, number);
}

static void look_and_ship(struct fixture *fixture, enum follower_look how)
{
    struct tree *tree = look(fixture, how);

    ship(fixture, tree, follower_looked(fixture->follower));
}

static int64_t size_of(struct tree *tree, const char *path)
{
    const struct tree_entry *entry = tree_find(tree, path);

    return entry ? (int64_t)entry->size : -1;
}

/* The size of a file, by a look that nothing comes of. */
static int64_t seen(struct fixture *fixture, enum follower_look how, const char *path)
{
    CLEANUP(tree_freep) struct tree *tree = look(fixture, how);

    return tree ? size_of(tree, path) : -2;
}

static void change_unseen(struct fixture *fixture, const char *text)
{
    scratch_write(fixture->changing.disk.fd, "hidden/known", text);
}

TEST(what_was_not_touched_is_taken_over_without_a_look)
{
    struct fixture fixture;

    fixture_open(&fixture);
    look_and_ship(&fixture, FOLLOWER_NOW);
    change_unseen(&fixture, "unseen");
    EXPECT_INT(seen(&fixture, FOLLOWER_NOW, "known"), 5);
    scratch_write(fixture.changing.disk.fd, "known", "told");
    EXPECT_INT(seen(&fixture, FOLLOWER_NOW, "known"), 4);
    fixture_close(&fixture);
}

TEST(until_something_is_settled_everything_is_looked_at)
{
    struct fixture fixture;

    fixture_open(&fixture);
    EXPECT_INT(seen(&fixture, FOLLOWER_NOW, "known"), 5);
    change_unseen(&fixture, "unseen");
    EXPECT_INT(seen(&fixture, FOLLOWER_NOW, "known"), 6);
    look_and_ship(&fixture, FOLLOWER_NOW);
    follower_unsettle(fixture.follower);
    change_unseen(&fixture, "new");
    EXPECT_INT(seen(&fixture, FOLLOWER_NOW, "known"), 3);
    fixture_close(&fixture);
}

TEST(a_look_that_nothing_comes_of_loses_nothing)
{
    struct fixture fixture;

    fixture_open(&fixture);
    look_and_ship(&fixture, FOLLOWER_NOW);
    scratch_write(fixture.changing.disk.fd, "new/file", "1234");
    for (int round = 0; round < 3; round++)
        EXPECT_INT(seen(&fixture, FOLLOWER_NOW, "new/file"), 4);
    look_and_ship(&fixture, FOLLOWER_NOW);
    EXPECT_INT(size_of(fixture.changing.previous, "new/file"), 4);
    fixture_close(&fixture);
}

TEST(what_happens_after_the_look_that_is_settled_is_still_to_be_looked_at)
{
    struct fixture fixture;
    struct tree *tree;
    uint64_t number;

    fixture_open(&fixture);
    look_and_ship(&fixture, FOLLOWER_NOW);
    scratch_write(fixture.changing.disk.fd, "file", "1");
    tree = look(&fixture, FOLLOWER_NOW);
    number = follower_looked(fixture.follower);
    scratch_write(fixture.changing.disk.fd, "another", "12");
    EXPECT_INT(seen(&fixture, FOLLOWER_NOW, "another"), 2); /* while the record is on its way */
    ship(&fixture, tree, number);
    EXPECT_INT(size_of(fixture.changing.previous, "another"), -1);
    EXPECT_INT(seen(&fixture, FOLLOWER_NOW, "another"), 2);
    EXPECT_INT(seen(&fixture, FOLLOWER_NOW, "file"), 1);
    fixture_close(&fixture);
}

TEST(what_is_to_be_looked_at_again_is)
{
    struct touched again = {0};
    struct fixture fixture;
    uint64_t number;

    fixture_open(&fixture);
    look_and_ship(&fixture, FOLLOWER_NOW);
    change_unseen(&fixture, "unseen");
    (void)touched_add(&again, "known", 0, true);
    number = follower_looked(fixture.follower);
    follower_settle(fixture.follower, number, &again);
    EXPECT_INT(seen(&fixture, FOLLOWER_NOW, "known"), 6);
    fixture_close(&fixture);
}

TEST(a_change_that_no_event_told_of_moves_the_position_and_is_said_once)
{
    struct fixture fixture;
    uint64_t position;

    fixture_open(&fixture);
    look_and_ship(&fixture, FOLLOWER_NOW);
    for (int round = 0; round < 2; round++) {
        change_unseen(&fixture, round == 0 ? "unseen" : "new");
        position = follower_position(fixture.follower);
        EXPECT_INT(seen(&fixture, FOLLOWER_WHOLE, "known"), round == 0 ? 6 : 3);
        EXPECT(follower_position(fixture.follower) > position);
        look_and_ship(&fixture, FOLLOWER_NOW); /* it is not forgotten by then */
        EXPECT_INT(size_of(fixture.changing.previous, "known"), round == 0 ? 6 : 3);
    }
    EXPECT_INT(fixture.warnings, 1);
    EXPECT(strstr(fixture.warning, "known"));
    fixture_close(&fixture);
}

TEST(a_database_that_is_renamed_just_before_the_scan_is_not_left_out)
{
    struct fixture fixture;
    CLEANUP(freep) char *path = NULL;

    open_with(&fixture, "*");
    path = xasprintf("%s/old.db", fixture.changing.disk.path);
    REQUIRE(writer_make(path, 3, NULL));
    look_and_ship(&fixture, FOLLOWER_NOW);
    change_unseen(&fixture, "unseen");
    EXPECT_INT(seen(&fixture, FOLLOWER_WHOLE, "known"), 6);
    fixture.renames = true;
    EXPECT_INT(seen(&fixture, FOLLOWER_WHOLE, "known"), 6);
    EXPECT_INT(fixture.warnings, 1);
    EXPECT(strstr(fixture.warning, "known"));
    fixture_close(&fixture);
}

TEST(a_look_that_is_not_due_is_none)
{
    struct fixture fixture;

    fixture_open(&fixture);
    look_and_ship(&fixture, FOLLOWER_NOW);
    EXPECT_INT(seen(&fixture, FOLLOWER_IF_DUE, "known"), -2);
    fixture_close(&fixture);
}

/* --- at random --------------------------------------------------------------------------------------- */

static bool is_right(struct fixture *fixture, struct tree *tree)
{
    CLEANUP(scan_result_clearp) struct scan_result whole = {0};
    struct err err = {0};

    EXPECT_OK(scan(fixture->changing.disk.fd, "hidden", "", &whole, &err), &err);
    return whole.tree && looking_compare(tree, whole.tree);
}

static void change_and_look(struct fixture *fixture, struct upheaval *upheaval, unsigned round)
{
    struct changing *changing = &fixture->changing;
    enum follower_look how = round % 11 == 10 ? FOLLOWER_WHOLE : FOLLOWER_NOW;
    struct tree *tree, *other;
    uint64_t number;

    upheaval_go_on(upheaval, 1 + round % 9);
    tree = look(fixture, how);
    number = follower_looked(fixture->follower);
    if (!EXPECT(is_right(fixture, tree))) {
        tree_free(tree);
        return;
    }
    changing->moment.now_ms += round % 4 * 20000;
    pending_hold(changing->pending, tree, changing->previous);
    if (round % 5 == 1) {
        tree_free(tree); /* the record comes to nothing */
        return;
    }
    if (round % 5 == 3) { /* or is on its way for long */
        upheaval_go_on(upheaval, 3);
        other = look(fixture, FOLLOWER_NOW);
        EXPECT(is_right(fixture, other));
        tree_free(other);
    }
    ship(fixture, tree, number);
}

static void run(unsigned seed)
{
    struct fixture fixture;
    struct upheaval upheaval;

    fixture_open(&fixture);
    fixture.changing.final = false;
    upheaval_begin(&upheaval, fixture.changing.disk.fd, fixture.outside.fd, seed);
    for (unsigned round = 0; round < 40 && tap_failures == 0; round++) {
        change_and_look(&fixture, &upheaval, round);
        if (tap_failures > 0)
            printf("# seed %u, round %u\n", seed, round);
    }
    fixture.changing.final = true;
    REQUIRE(unlinkat(fixture.changing.disk.fd, "hidden/known", 0) == 0);
    REQUIRE(unlinkat(fixture.changing.disk.fd, "hidden", AT_REMOVEDIR) == 0);
    look_and_ship(&fixture, FOLLOWER_NOW);
    EXPECT_INT(fixture.warnings, 0);
    /* Side files of what has become a database are no files. */
    EXPECT(!upheaval.links || changing_is_equal(&fixture.changing));
    fixture_close(&fixture);
}

TEST(whatever_happens_a_look_finds_all_of_it_and_no_event_is_missing)
{
    /* The last two: a side file that goes with its database, and a change through another name. */
    static const unsigned seeds[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 112, 395};

    for (size_t at = 0; at < sizeof(seeds) / sizeof(seeds[0]) && tap_failures == 0; at++)
        run(seeds[at]);
}

TAP_MAIN()
