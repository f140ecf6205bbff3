/* What a disk proves of databases that the log names and that are not what they were: only what was seen to
 * go, by somebody who watched, in this boot, is gone. */
#include "snapshot/local.h"

#include "tests/double/sample.h"
#include "tests/double/scanning.h"
#include "tests/double/scratch.h"
#include "tests/double/writer.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* What has the name of b.db. */
enum content { NOTHING, FORMER, SUCCESSOR, STRANGER };

static const char *const content_paths[] = {NULL, "tmp/former", "tmp/successor", "tmp/stranger"};

struct fixture {
    struct scratch disk;
    struct globs *exclude;
    struct globs *databases;
    struct follower *follower;
    struct manifest manifest;
    struct gone_list gone;
    struct local_match match;
};

static void make(const struct fixture *fixture, const char *name)
{
    char path[SAMPLE_PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", fixture->disk.path, name);
    REQUIRE(writer_make(path, 2, NULL));
}

static void name_database(struct fixture *fixture, const char *path)
{
    struct manifest_database *database = manifest_add_database(&fixture->manifest, path);

    database->incarnation = 3;
    database->page_size = 4096;
}

/* Links never give a number to another file. */
static void put(const struct fixture *fixture, enum content content)
{
    (void)unlinkat(fixture->disk.fd, "b.db", 0);
    if (content != NOTHING)
        EXPECT_INT(linkat(fixture->disk.fd, content_paths[content], fixture->disk.fd, "b.db", 0), 0);
}

static void fixture_open(struct fixture *fixture)
{
    *fixture = (struct fixture){.match = {.matched = {true, false}}};
    scratch_open(&fixture->disk);
    scratch_mkdir(fixture->disk.fd, "tmp");
    fixture->exclude = globs("tmp");
    fixture->databases = globs("*");
    manifest_init(&fixture->manifest);
    fixture->manifest.tree = tree_new();
    name_database(fixture, "a.db");
    name_database(fixture, "b.db");
    make(fixture, "a.db");
    for (int content = FORMER; content <= STRANGER; content++)
        make(fixture, content_paths[content]);
    put(fixture, FORMER);
}

static void fixture_close(struct fixture *fixture)
{
    follower_free(fixture->follower);
    gone_clear(&fixture->gone);
    manifest_clear(&fixture->manifest);
    globs_free(fixture->databases);
    globs_free(fixture->exclude);
    scratch_close(&fixture->disk);
}

static void note(struct fixture *fixture, uint64_t incarnation, enum content seen)
{
    struct file_id was;

    EXPECT(file_id_at(fixture->disk.fd, "b.db", &was));
    gone_add(&fixture->gone, "b.db", incarnation, &was);
    put(fixture, seen);
    EXPECT_INT(gone_look(&fixture->gone, fixture->disk.fd), seen != FORMER);
    EXPECT(!gone_look(&fixture->gone, fixture->disk.fd));
}

static void ignore_warning(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static bool prove(struct fixture *fixture)
{
    struct follower_config config = {.directory_fd = fixture->disk.fd,
                                     .directory_path = fixture->disk.path,
                                     .exclude = fixture->exclude,
                                     .databases = fixture->databases,
                                     .warn = ignore_warning};
    struct state_point nothing = {0};
    struct local_question question = {.directory_fd = fixture->disk.fd,
                                      .manifest = &fixture->manifest,
                                      .point = &nothing,
                                      .gone = &fixture->gone};
    struct err err = {0};
    bool proven = false;

    EXPECT_OK(follower_open(&config, &fixture->follower, &err), &err);
    question.follower = fixture->follower;
    EXPECT_OK(local_prove(&question, &fixture->match, &proven, &err), &err);
    return proven;
}

static bool check(enum content seen, enum content found)
{
    struct fixture fixture;
    bool proven;

    fixture_open(&fixture);
    note(&fixture, 3, seen);
    put(&fixture, found);
    proven = prove(&fixture);
    EXPECT_INT(fixture.match.gone[1], proven);
    EXPECT(!fixture.match.gone[0]);
    fixture_close(&fixture);
    return proven;
}

TEST(one_that_was_seen_to_go_is_gone_if_nothing_is_there)
{
    EXPECT(check(NOTHING, NOTHING));
    EXPECT(check(SUCCESSOR, NOTHING)); /* what took its place may go unseen: that was never in the log */
}

TEST(one_that_was_replaced_is_gone_if_the_very_file_is_there)
{
    EXPECT(check(SUCCESSOR, SUCCESSOR));
    EXPECT(!check(SUCCESSOR, STRANGER));
    EXPECT(!check(SUCCESSOR, FORMER));
}

TEST(one_that_came_back_is_not_gone)
{
    EXPECT(!check(NOTHING, FORMER));
    EXPECT(!check(NOTHING, STRANGER));
}

/* It was let go of for another reason. */
TEST(one_that_was_never_seen_to_go_is_not_gone)
{
    EXPECT(!check(FORMER, FORMER));
    EXPECT(!check(FORMER, NOTHING));
    EXPECT(!check(FORMER, STRANGER));
}

TEST(without_a_note_of_that_incarnation_and_this_boot_nothing_is_gone)
{
    for (int lacks = 0; lacks < 3; lacks++) {
        struct fixture fixture;
        fixture_open(&fixture);
        if (lacks > 0)
            note(&fixture, lacks == 1 ? 2 : 3, NOTHING);
        if (lacks == 2)
            fixture.gone.boot[0] = fixture.gone.boot[0] == '0' ? '1' : '0';
        put(&fixture, NOTHING);
        EXPECT(!prove(&fixture));
        EXPECT(!fixture.match.gone[1]);
        fixture_close(&fixture);
    }
}

TEST(the_others_are_proven_as_ever)
{
    struct fixture fixture;

    fixture_open(&fixture);
    note(&fixture, 3, NOTHING);
    fixture.match.matched[0] = false;
    EXPECT(!prove(&fixture));
    fixture_close(&fixture);
}

TEST(what_has_been_shipped_or_proven_is_forgotten)
{
    static const bool none[2];
    struct fixture fixture;

    fixture_open(&fixture);
    note(&fixture, 3, NOTHING);
    gone_keep(&fixture.gone, &fixture.manifest, NULL);
    EXPECT(gone_has(&fixture.gone, "b.db", 3) && !gone_has(&fixture.gone, "b.db", 2));
    gone_keep(&fixture.gone, &fixture.manifest, (const bool[]){false, true});
    EXPECT_INT(fixture.gone.count, 1);
    gone_keep(&fixture.gone, &fixture.manifest, none);
    EXPECT_INT(fixture.gone.count, 0);
    gone_add(&fixture.gone, "b.db", 2, &(struct file_id){1, 1}); /* the state names another incarnation */
    gone_add(&fixture.gone, "c.db", 3, &(struct file_id){1, 1}); /* … or none */
    gone_keep(&fixture.gone, &fixture.manifest, NULL);
    EXPECT_INT(fixture.gone.count, 0);
    fixture_close(&fixture);
}

TEST(more_than_there_can_be_are_not_noted)
{
    struct gone_list gone = {0};

    for (uint64_t at = 1; at <= GONE_MAX + 5; at++)
        for (int again = 0; again < 2; again++)
            gone_add(&gone, "a.db", at, &(struct file_id){1, 1});
    EXPECT_INT(gone.count, GONE_MAX);
    EXPECT(gone_has(&gone, "a.db", GONE_MAX) && !gone_has(&gone, "a.db", GONE_MAX + 1));
    gone_clear(&gone);
}

TAP_MAIN()
